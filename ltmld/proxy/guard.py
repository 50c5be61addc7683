"""Whose requests a listener on loopback takes: the names that Ollama's own listener would take.

A web page of elsewhere whose name is made to mean this machine (DNS rebinding) speaks to loopback as if it were its
own server: no rule of a browser stops it, only the Host header tells. Ollama refuses such a Host, but only while
Ollama itself listens on loopback and sees the Host that the client sent; ltmld's listener has to check its own.

Rules (docs/adr/0007):
1. Taken are the hosts that Ollama takes (``core.host_names``), and the addresses of this machine's interfaces.
2. Everything else is refused by a bare 403, as by Ollama.
3. Where Ollama may be checking too, what changes nothing there (GET, HEAD, OPTIONS) is left for it to refuse, for it
   has more to say than the 403 (CORS); whatever it says but a refusal is not passed on. All else is refused here.
4. A listener that others on the network can reach checks nothing, as Ollama's does not.
"""

from __future__ import annotations

import re
import socket
from email.utils import formatdate
from ipaddress import ip_address

from ltmld.core import host_names
from ltmld.core.host_names import address_of, is_public, without_port
from ltmld.proxy.head import HEAD_END, Framing, Request

KNOWN_MAX = 64
"""Most hosts remembered as taken; a client uses one, so this is for looks only."""

_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSAL = re.compile(rb"HTTP/1\.[01] (?:403|204) ")


class Guard:
    """The check of one listener's hosts; ``known`` are those that need no second look."""

    __slots__ = ("_defers", "known")

    def __init__(self, *, defers: bool) -> None:
        self.known: set[bytes] = set()
        self._defers = defers

    def admits(self, host: bytes) -> bool:
        """Tell whether requests for *host* are taken."""
        if host in self.known:
            return True
        if not allowed_host(host):
            return False
        # An address of this machine may be another's tomorrow: asked for again each time.
        if not _is_public_address(host):
            if len(self.known) >= KNOWN_MAX:
                self.known.clear()
            self.known.add(host)
        return True

    def question(self, request: Request) -> bytes:
        """Return what Ollama is to be asked about a refused *request*; empty: nothing (rule 3)."""
        harmless = (
            request.head.method in _HARMLESS and request.framing is Framing.NONE and not request.upgrade
        )
        if not (self._defers and harmless):
            return b""
        return request.forward()[:-2] + b"Connection: close\r\n\r\n"


def is_whole(answer: bytes) -> bool:
    """Tell whether there is enough of an answer to see whether it is a refusal."""
    return HEAD_END in answer


def is_refusal(answer: bytes) -> bool:
    """Tell whether Ollama refused, or answered a preflight: neither has a body, nor tells anything."""
    return _REFUSAL.match(answer) is not None and answer.endswith(HEAD_END)


def forbidden(*, close: bool) -> bytes:
    """Return Ollama's answer to a host that it does not take, byte for byte but for a *close*."""
    head = f"HTTP/1.1 403 Forbidden\r\nDate: {formatdate(usegmt=True)}\r\nContent-Length: 0\r\n"
    return (head + ("Connection: close\r\n\r\n" if close else "\r\n")).encode()


def allowed_host(host: bytes) -> bool:
    """Tell whether Ollama on loopback takes requests for *host*, the value of a Host header (rule 1)."""
    name = host.decode("latin-1")
    return host_names.allowed_host(name, hostname=socket.gethostname()) or _is_of_this_machine(name)


def on_loopback(host: str) -> bool:
    """Tell whether a listener at the address *host* is out of the network's reach."""
    address = address_of(host)
    return address is not None and address.is_loopback


def _is_public_address(host: bytes) -> bool:
    address = address_of(without_port(host.decode("latin-1")))
    return address is not None and is_public(address)


def _is_of_this_machine(host: str) -> bool:
    """Tell whether an interface has the address: only then can a socket be bound to it, but for those of many."""
    name = without_port(host)
    try:
        address = ip_address(name)
    except ValueError:
        return False
    if address.is_multicast or address.is_reserved:
        return False
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((name, 0))
    except OSError:
        return False
    return True
