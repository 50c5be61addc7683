"""Where Ollama is, read from text by the rules of ``OLLAMA_HOST``.

Rules (Ollama's ``envconfig.Host``, as its server and its clients read the variable):
1. Spaces and quotes around it are cut away. Without a scheme it is http on port 11434; ``http://`` alone means
   port 80, ``https://`` port 443, and ``ollama.com`` alone https. A path is kept and put before every target.
2. Addresses that only a listener can have (none at all, ``0.0.0.0``, ``::``) are connected to as loopback.
3. Ollama takes the scheme's own port where the port makes no sense. That is for a variable made for another
   program (*forgiving*); in a setting of ltmld such a port is refused, because a typing error is better said.
4. Reading is idempotent: ``parse(parse(text).url)`` is ``parse(text)``.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Self
from urllib.parse import quote

OLLAMA_PORT = 11434
CLOUD_NAME = "ollama.com"

_PORTS = {"http": 80, "https": 443}
_PORT_MAX = 65535
# A name as DNS has it, and with the underscores that container networks add.
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9._-]*[a-z0-9_.])?")
# A name whose last label is a number is no name but an address (WHATWG's URL standard, and every resolver).
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,32}")
_PATH_SAFE = "%:@!$&'()*+,;=~-._"
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LISTENERS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognized, not bound


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaHost:
    """One Ollama's address: ``host`` is a lower-case name or an address without brackets."""

    scheme: str = "http"
    host: str = "127.0.0.1"
    port: int = OLLAMA_PORT
    base_path: str = ""
    """Empty, or begins with a slash and does not end in one; percent-encoded."""

    @classmethod
    def parse(cls, text: str, *, forgiving: bool = False) -> Self:
        """Read *text*; *forgiving*: a bad port is the scheme's own (rule 3).

        Raises:
            ValueError: it names no address that could be connected to.
        """
        scheme, rest, port = _scheme(text.strip().strip("\"'").strip())
        if any(mark in rest for mark in "?#@\\"):
            raise ValueError(
                "must end with the port or a path: no user, question mark or # belongs to Ollama's address"
            )
        place, _, path = rest.partition("/")
        host, port_text = _split(place)
        if port_text is not None and not (forgiving and not _is_port(port_text)):
            port = _port(port_text)
        return cls(scheme=scheme, host=_host(host), port=port, base_path=_base_path(path))

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def url(self) -> str:
        """The whole address, always with its port: ``https://[::1]:443/base``."""
        return f"{self.scheme}://{self._bracketed}:{self.port}{self.base_path}"

    @property
    def authority(self) -> str:
        """What a Host header says: the port only where it is not the scheme's own, and no zone (RFC 6874)."""
        host = re.sub(r"%[^\]]*", "", self._bracketed)
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine by its very name."""
        return _is_loopback(self.host)

    def is_listener(self, address: str) -> bool:
        """Tell whether to connect here is to connect to the listener on *address* (``host:port``).

        By the text alone: a name of this machine is found out only when it has been connected to.
        """
        host, _, port = address.rpartition(":")
        own = _host(host.strip("[]"), listens=True)
        if port != str(self.port):
            return False
        return own == self.host or (self.loopback and (own in _LISTENERS or _is_loopback(own)))

    @property
    def rewrites_host(self) -> bool:
        """Whether Host must be the upstream's: a virtual host is found by its own name.

        Elsewhere it stays the client's, so that Ollama's own check of it works on what the client said.
        """
        return self.tls or bool(self.base_path) or not (self.numeric or self.loopback)

    @property
    def cloud(self) -> bool:
        """Whether it is Ollama's cloud itself, where every model is a cloud model."""
        name = self.host.rstrip(".")
        return name == CLOUD_NAME or name.endswith(f".{CLOUD_NAME}")

    @property
    def numeric(self) -> bool:
        """Whether the host is an address, and nobody has to be asked for it."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def _scheme(text: str) -> tuple[str, str, int]:
    """Return scheme, what follows it, and the port that it stands for."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        if text.lower() == CLOUD_NAME:
            return "https", text, _PORTS["https"]
        return "http", text, OLLAMA_PORT
    if scheme.lower() not in _PORTS:
        raise ValueError("must begin with http:// or https://, or with the host itself")
    return scheme.lower(), rest, _PORTS[scheme.lower()]


def _split(place: str) -> tuple[str, str | None]:
    """Split host and port as Go's ``net.SplitHostPort`` does; a bare IPv6 address has no port."""
    if place.startswith("["):
        host, bracket, after = place[1:].partition("]")
        if not bracket or after[:1] not in ("", ":"):
            raise ValueError(f"must be host:port or [address]:port, not {place!r}")
        if ":" not in host:
            raise ValueError(f"must have an IPv6 address in its brackets, not {host!r}")
        return host, after[1:] if after else None
    if place.count(":") == 1:
        host, _, port = place.partition(":")
        return host, port
    return place, None


def _host(host: str, *, listens: bool = False) -> str:
    """Return a host as it is compared and connected to; one that *listens* may be no address in particular."""
    plain = _plain(host)
    return plain if listens else _LISTENERS.get(plain, plain)


def _plain(host: str) -> str:
    if ":" in host:
        address = _address(host.replace("%25", "%", 1))
        return str(address.ipv4_mapped or address)
    try:
        name = host.lower() if host.isascii() else host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        name = "-"
    if _NUMBER.fullmatch(name.rstrip(".").rpartition(".")[2]):
        return _ipv4(name)
    if name and (not _NAME.fullmatch(name) or ".." in name):
        raise ValueError(f"must be http://host:port, the address of Ollama, and {host!r} is no host")
    return name


def _ipv4(name: str) -> str:
    """Read an address as the system's resolver does: also ``127.1``, ``0x7f.1`` and ``2130706433``."""
    *first, last = name.rstrip(".").split(".")
    with contextlib.suppress(ValueError):
        octets = [_number(part) for part in first]
        if len(octets) <= 3 and all(octet <= 255 for octet in octets):
            rest = _number(last).to_bytes(4 - len(octets), "big") if _fits(last, 4 - len(octets)) else b""
            return str(IPv4Address(bytes(octets) + rest))
    raise ValueError(f"must be host:port, and {name!r} is no IPv4 address")


def _number(text: str) -> int:
    if text.startswith("0x"):
        return int(text, 16)
    return int(text, 8 if len(text) > 1 and text.startswith("0") else 10)


def _fits(text: str, size: int) -> bool:
    return len(text) <= 11 and _number(text) < 256**size


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".") == "localhost"


def _address(host: str) -> IPv6Address:
    zone = host.partition("%")[2]
    with contextlib.suppress(ValueError):
        if not zone or _ZONE.fullmatch(zone):
            return IPv6Address(host)
    raise ValueError(f"must be host:port or [address]:port, and {host!r} is no IPv6 address")


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= _PORT_MAX


def _port(text: str) -> int:
    if not _is_port(text):
        raise ValueError(f"must have a port from 1 to {_PORT_MAX} behind the colon, not {text!r}")
    return int(text)


def _base_path(path: str) -> str:
    segments = [segment for segment in path.split("/") if segment]
    if {".", ".."} & set(segments):
        raise ValueError("must have a plain path, without . or ..")
    quoted = quote("/".join(segments), safe="/" + _PATH_SAFE)
    return "/" + _LONE_PERCENT.sub("%25", quoted) if quoted else ""
