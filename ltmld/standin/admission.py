"""Who may ask: Ollama's rules for ``Host`` and ``Origin``.

Rules:
1. Bound to loopback, a ``Host`` that is no local name or address is refused: a page whose name was rebound to this
   machine stays outside.
2. An ``Origin`` that is neither the ``Host``'s own nor in the list is refused; one in the list is named in the answer.
3. A refusal is a bare 403, and says nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ltmld.standin.response import Response
from ltmld.standin.seen import SeenRequest

_LOCAL = ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 - names of origins; nothing listens there
_APPS = ("app://*", "file://*", "tauri://*", "vscode-webview://*", "vscode-file://*")
_DEFAULTS = (
    *(f"{scheme}://{host}{port}" for host in _LOCAL for scheme in ("http", "https") for port in ("", ":*")),
    *_APPS,
)
_ENDINGS = (".localhost", ".local", ".internal")
_ALLOWED_HEADERS = (
    "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,"
    "X-Stainless-Async,X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,"
    "X-Stainless-Os,X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,"
    "X-Stainless-Runtime,X-Stainless-Runtime-Version,X-Stainless-Timeout"
)
_PREFLIGHT = (
    ("Access-Control-Allow-Headers", _ALLOWED_HEADERS),
    ("Access-Control-Allow-Methods", "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"),
    ("Access-Control-Max-Age", "43200"),
)
_VARY_PREFLIGHT = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The rules of one server: where it is bound, and which origins were added by ``OLLAMA_ORIGINS``."""

    bound_to: str
    origins: Sequence[str] = ()

    def refused(self, request: SeenRequest) -> Response | None:
        """Return the answer that ends a request here: a refusal, or a preflight's 204."""
        origin, host = request.header("Origin"), request.header("Host")
        crosses = origin and origin not in (f"http://{host}", f"https://{host}")
        if crosses and not self._knows(origin):
            return Response(status=403)
        if crosses and request.method == "OPTIONS":
            vary = tuple(("Vary", name) for name in _VARY_PREFLIGHT)
            return Response(status=204, headers=(*_PREFLIGHT, *self._named(origin), *vary))
        if not is_loopback(self.bound_to) or _is_near(host):
            return None
        if is_local_name(host):
            return Response(status=204) if request.method == "OPTIONS" else None
        return Response(status=403)

    def admitted(self, request: SeenRequest, response: Response) -> Response:
        """Return the answer with what CORS adds to it."""
        origin, host = request.header("Origin"), request.header("Host")
        if not origin or origin in (f"http://{host}", f"https://{host}"):
            return response
        vary = () if "*" in self.origins else (("Vary", "Origin"),)
        return replace(response, headers=(*response.headers, *self._named(origin), *vary))

    def _named(self, origin: str) -> tuple[tuple[str, str], ...]:
        return (("Access-Control-Allow-Origin", "*" if "*" in self.origins else origin),)

    def _knows(self, origin: str) -> bool:
        return any(_matches(origin, pattern) for pattern in (*self.origins, *_DEFAULTS))


def is_loopback(host: str) -> bool:
    """Tell whether an address or ``localhost`` is this machine's loopback."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_local_name(host: str) -> bool:
    """Tell whether a ``Host`` is a name that only this machine or network gives."""
    name = _without_port(host).lower()
    return name in ("", "localhost", socket.gethostname().lower()) or name.endswith(_ENDINGS)


def _is_near(host: str) -> bool:
    try:
        address = ipaddress.ip_address(_without_port(host))
    except ValueError:
        return False
    return address.is_loopback or _is_private(address) or address.is_unspecified


def _is_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    # Go's IsPrivate: RFC 1918 and RFC 4193 alone, where Python counts documentation and test nets too.
    nets = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
    return any(address in ipaddress.ip_network(net) for net in nets)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() and ":" not in name else host


def _matches(origin: str, pattern: str) -> bool:
    start, star, end = pattern.partition("*")
    if not star:
        return origin == pattern
    return origin.startswith(start) and origin.endswith(end) and len(origin) >= len(start) + len(end)
