"""Request and response heads: read strictly, passed on as they came, minus what belongs to one hop.

Rules:
1. What is read two ways by two parsers is refused (RFC 9112 11.2): both framings, several lengths, several
   hosts or none, bare LF, folded lines, white space before a colon.
2. What is not refused goes on byte for byte: order, case and spelling of every header are the sender's.
3. Hop-by-hop headers, those named by ``Connection``, and ltmld's own ``X-LTMLD-*`` stay here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from ltmld.core.ports import RequestHead

HEAD_END = b"\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\n"
"""How a client begins that speaks HTTP/2 only (RFC 9113 3.4); Ollama answers it 400."""

OWN_PREFIX = b"x-ltmld-"

_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade"})
# Naming these in Connection would change what the message is, or how long it is: the name is ignored.
_NEVER_NAMED = frozenset({b"host", b"content-length", b"transfer-encoding", b"content-type"})
_TELLING = _HOP | {b"content-length", b"transfer-encoding", b"expect", b"host"}

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELDS = rb"(?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"
_LINE = rb"(" + _TOKEN + rb") ([\x21-\x7e\x80-\xff]+) HTTP/1\.([0-9])\r\n"
_REQUEST_LINE = re.compile(_LINE)
_REQUEST = re.compile(_LINE + _FIELDS)
_RESPONSE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?\r\n" + _FIELDS)
_BARE_LF = re.compile(rb"(?<!\r)\n")
_OTHER_VERSION = re.compile(rb"[^\r\n]* HTTP/(?!1\.[0-9]\r)[0-9.]+\r\n")
_LENGTH_LINE = re.compile(rb"\ncontent-length:[^\r\n]*\r\n", re.IGNORECASE)
_INFERENCE = (b"/api/chat", b"/api/generate", b"/api/embed", b"/v1/")
_HOST = re.compile(rb"[!$%&'()*+,\-.:;=\[\]_~0-9A-Za-z]*")  # Go's rule, and so Ollama's: no user, no path
_URL_HOST = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://([^/?#]*)")
_CHUNKED_LAST = re.compile(rb"(?:" + _TOKEN + rb"[\t ]*,[\t ]*)*chunked", re.IGNORECASE)
_LENGTH_DIGITS_MAX = 18  # under 2**63, which every parser downstream can hold


class HeadRefusedError(ValueError):
    """A head that must not go on; ``status`` is what its sender is told. Never leaves this room."""

    def __init__(
        self, message: str, *, status: int = 400, foreign: bool = False, stranger: bytes = b""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.foreign = foreign
        """Ollama refuses it too: its sender gets Ollama's words, byte for byte, instead of an explanation."""
        self.stranger = stranger
        """What Ollama may see of it all the same, for no parser takes this for a request (see ``raw``)."""


class Framing(IntEnum):
    """How the end of a body is found."""

    NONE = 0
    LENGTH = 1
    CHUNKED = 2
    UNTIL_EOF = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request head: ``head`` for deciding, ``raw`` for passing on (both with everything that came)."""

    head: RequestHead
    raw: bytes
    host: bytes
    """Whom it is for: the host of its URL, where its target is one, else its Host header; empty: it does not say."""
    framing: Framing
    length: int
    http10: bool
    close: bool
    """The client wants its connection closed after the answer."""
    upgrade: bool
    expects_continue: bool
    stripped: frozenset[bytes]
    """Lower-case names that do not go on."""
    passing: bytes
    """The head as it goes on where nothing else is to change."""
    untouched: bool
    """Whether that is the head as it came."""
    simple: bool
    """Whether nothing about its connection, its body or its answer is out of the ordinary."""
    inference: bool
    """Whether it makes the model work."""

    def forward(self, *, drop: frozenset[bytes] = frozenset(), length: int | None = None) -> bytes:
        """Return the head for upstream; *length* replaces the framing by a Content-Length."""
        unwanted = self.stripped | drop
        if length is None:
            return without(self.raw, unwanted) if drop else self.passing
        framed = without(self.raw, unwanted | {b"transfer-encoding"})
        line = b"Content-Length: %d\r\n" % length
        if len(_LENGTH_LINE.findall(framed)) == 1:  # in its place, so that the order of headers stays
            return _LENGTH_LINE.sub(b"\n" + line, framed)
        return without(framed, frozenset({b"content-length"}))[:-2] + line + b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One response head, final or interim."""

    status: int
    http10: bool
    framing: Framing
    length: int
    close: bool
    passing: bytes
    """The head as it goes on where nothing else is to change."""
    untouched: bool
    """Whether that is the head as it came."""
    content_type: str

    def forward(self, *, close: bool, drop: frozenset[bytes] = frozenset()) -> bytes:
        """Return the head for the client; *close* tells it that its connection ends with this answer."""
        kept = without(self.passing, drop) if drop else self.passing
        return kept[:-2] + b"Connection: close\r\n\r\n" if close else kept


def read_request(raw: bytes, peer: str) -> Request:
    """Read one request head, ``raw`` including the empty line.

    Raises:
        HeadRefusedError: it is malformed, or two parsers could read it two ways.
    """
    match = _REQUEST.fullmatch(raw)
    if match is None:
        raise _why_not(raw)
    method, target, minor = match.groups()
    headers, telling, own = _headers(raw)
    http10 = minor == b"0"
    later = minor not in b"01"
    if (
        later
    ):  # read as the latest that is known, and passed on under the version spoken here (RFC 9110 2.5, 6.2)
        raw = raw[: match.start(3)] + b"1" + raw[match.end(3) :]
    hosts = telling.get(b"host", [])
    _check_host(hosts, http10=http10)
    upgrade = not http10 and b"upgrade" in telling and b"upgrade" in _tokens(telling.get(b"connection", ()))
    framing, length = _request_framing(telling, http10=http10)
    stripped = _stripped(telling, own, upgrade=upgrade)
    close = http10 or b"close" in _tokens(telling.get(b"connection", ()))
    ordinary = method not in (b"HEAD", b"CONNECT") and b"expect" not in telling
    return Request(
        head=RequestHead(method=method.decode(), target=target.decode("latin-1"), headers=headers, peer=peer),
        raw=raw,
        host=hosts[0] if hosts and target.startswith(b"/") else _addressee(method, target, hosts),
        framing=framing,
        length=length,
        http10=http10,
        close=close,
        upgrade=upgrade,
        expects_continue=_expects_continue(telling, framing, http10=http10),
        stripped=stripped,
        passing=without(raw, stripped) if stripped else raw,
        untouched=not stripped and not later,
        simple=ordinary and not close and not upgrade and framing is not Framing.CHUNKED,
        inference=method == b"POST" and target.startswith(_INFERENCE),
    )


def read_response(raw: bytes) -> Response:
    """Read one response head; framing is as if the request were a plain GET.

    Raises:
        HeadRefusedError: it is malformed.
    """
    match = _RESPONSE.fullmatch(raw)
    if match is None:
        raise HeadRefusedError("its head is malformed")
    status = int(match[2])
    headers, telling, _ = _headers(raw)
    http10 = match[1] == b"0"
    framing, length = _response_framing(telling, status, http10=http10)
    connection = _tokens(telling.get(b"connection", ()))
    stripped = _stripped(telling, frozenset(), upgrade=status == 101)
    if framing is Framing.CHUNKED and b"content-length" in telling:
        stripped |= {b"content-length"}
    return Response(
        status=status,
        http10=http10,
        framing=framing,
        length=length,
        close=b"close" in connection or (http10 and b"keep-alive" not in connection),
        passing=without(raw, stripped) if stripped else raw,
        untouched=not stripped,
        content_type=next((v for k, v in headers if k == b"content-type"), b"").decode("latin-1"),
    )


def switches_as_asked(request: Request, response: Response) -> bool:
    """Tell whether the protocol that *response* switches to is one that *request* asked for."""
    if not request.upgrade:
        return False
    chosen = _protocols(response.passing)
    return bool(chosen) and chosen <= _protocols(request.raw)


def _protocols(raw: bytes) -> frozenset[bytes]:
    _, telling, _ = _headers(raw)
    return frozenset(_tokens(telling.get(b"upgrade", ())))


def check_unfinished(partial: bytes) -> None:
    """Let an unfinished head be waited for.

    Raises:
        HeadRefusedError: whatever comes, it must not go on. It is refused now, for its end might never come.
    """
    if _has_bare_lf(partial):
        raise _why_not(partial)
    if b"\r\n" in partial and _REQUEST_LINE.match(partial) is None and not _OTHER_VERSION.match(partial):
        raise _why_not(partial)


def _has_bare_lf(raw: bytes) -> bool:
    return _BARE_LF.search(raw) is not None


def _headers(
    raw: bytes,
) -> tuple[tuple[tuple[bytes, bytes], ...], dict[bytes, list[bytes]], frozenset[bytes]]:
    headers = []
    telling: dict[bytes, list[bytes]] = {}
    own = []
    for line in raw[:-4].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        key = name.lower()
        value = value.strip(b" \t")
        headers.append((key, value))
        if key in _TELLING:
            telling.setdefault(key, []).append(value)
        elif key.startswith(OWN_PREFIX):
            own.append(key)
    return tuple(headers), telling, frozenset(own)


def _stripped(telling: dict[bytes, list[bytes]], own: frozenset[bytes], *, upgrade: bool) -> frozenset[bytes]:
    hop = _HOP.intersection(telling)
    if not hop:
        return own
    named = frozenset(_tokens(telling.get(b"connection", ()))) - _NEVER_NAMED
    if upgrade:  # the two headers are the request for a tunnel; without them there is none
        return (hop | named | own) - {b"connection", b"upgrade"}
    return hop | named | own


def _expects_continue(telling: dict[bytes, list[bytes]], framing: Framing, *, http10: bool) -> bool:
    """Tell whether the client waits to be asked for its body; not without one, nor in HTTP/1.0 (RFC 9110 10.1.1)."""
    if http10 or framing is Framing.NONE:
        return False
    return telling.get(b"expect", (b"",))[0].lower() == b"100-continue"


def _tokens(values: Iterable[bytes]) -> list[bytes]:
    return [
        token.strip(b" \t").lower() for value in values for token in value.split(b",") if token.strip(b" \t")
    ]


def _check_host(hosts: list[bytes], *, http10: bool) -> None:
    """Refuse what Ollama refuses too: whom a request is for decides whether a browser may send it."""
    if len(hosts) > 1:
        raise HeadRefusedError("the request has several Host headers; send one")
    if not hosts and not http10:
        raise HeadRefusedError("the request has no Host header; HTTP/1.1 requires one")
    if hosts and _HOST.fullmatch(hosts[0]) is None:
        raise HeadRefusedError("the request's Host is not the name of a host")


def _addressee(method: bytes, target: bytes, hosts: list[bytes]) -> bytes:
    """Return the host that Go's server, and so Ollama, believes: a target that names one comes before the header."""
    if method == b"CONNECT" and not target.startswith(b"/"):
        return target
    url = _URL_HOST.match(target)
    named = url[1].rpartition(b"@")[2] if url is not None else b""
    return named or (hosts[0] if hosts else b"")


def _request_framing(telling: dict[bytes, list[bytes]], *, http10: bool) -> tuple[Framing, int]:
    codings = telling.get(b"transfer-encoding")
    lengths = telling.get(b"content-length")
    if codings is not None:
        if lengths is not None:
            raise HeadRefusedError(
                "the request has both Content-Length and Transfer-Encoding; send one of them"
            )
        if http10 or not _ends_chunked(codings):
            raise HeadRefusedError("the request's Transfer-Encoding does not end in one 'chunked'")
        return Framing.CHUNKED, 0
    if lengths is None:
        return Framing.NONE, 0
    length = _length(lengths, whose="the request")
    return (Framing.LENGTH if length else Framing.NONE), length


def _ends_chunked(codings: list[bytes]) -> bool:
    """Tell whether every parser finds the end of such a body in the same place."""
    clean = len(codings) == 1 and _CHUNKED_LAST.fullmatch(codings[0]) is not None
    return clean and _tokens(codings).count(b"chunked") == 1


def _response_framing(telling: dict[bytes, list[bytes]], status: int, *, http10: bool) -> tuple[Framing, int]:
    if status < 200 or status in (204, 304):
        return Framing.NONE, 0
    codings = telling.get(b"transfer-encoding")
    if codings is not None:
        if _ends_chunked(codings) and not http10:
            _length(
                telling.get(b"content-length", [b"0"]), whose="its head"
            )  # not used, but no nonsense either
            return Framing.CHUNKED, 0
        if any(b"chunked" in coding.lower() for coding in codings):
            raise HeadRefusedError("its Transfer-Encoding can be read in several ways")
        return Framing.UNTIL_EOF, 0
    lengths = telling.get(b"content-length")
    if lengths is None:
        return Framing.UNTIL_EOF, 0
    length = _length(lengths, whose="its head")
    return (Framing.LENGTH if length else Framing.NONE), length


def _length(values: list[bytes], *, whose: str) -> int:
    first = values[0]
    if len(values) > 1:  # equal ones too: passing both on is forbidden (RFC 9110 8.6)
        foreign = any(value != first for value in values)  # Ollama takes equal ones
        raise HeadRefusedError(f"{whose} has several Content-Length headers; send one", foreign=foreign)
    if not first.isdigit() or len(first) > _LENGTH_DIGITS_MAX:
        raise HeadRefusedError(f"{whose} has a Content-Length that is not a plain number", foreign=True)
    return int(first)


def without(raw: bytes, unwanted: frozenset[bytes]) -> bytes:
    """Return the head *raw* less the headers of these lower-case names."""
    first, *lines = raw[:-4].split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].lower() not in unwanted]
    return b"\r\n".join([first, *kept, b"", b""])


def _why_not(raw: bytes) -> HeadRefusedError:
    if _has_bare_lf(raw):
        return HeadRefusedError("a line of the request's head ends in a bare LF; lines end in CR LF")
    if b"\r\n " in raw or b"\r\n\t" in raw:
        return HeadRefusedError("a header of the request is folded over two lines; send it on one")
    if _OTHER_VERSION.match(raw):
        stranger = raw if raw == PREFACE else b""
        return HeadRefusedError("only HTTP/1.x is spoken here", status=505, stranger=stranger)
    foreign = _REQUEST_LINE.match(raw) is None
    return HeadRefusedError(
        "the request's head is not HTTP/1.1: check its request line and headers",
        foreign=foreign,
        # Without a slash there is neither a version nor a path: the most lenient parser finds no request in it.
        stranger=raw if foreign and b"/" not in raw else b"",
    )
