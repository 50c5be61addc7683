"""A stage for hostile bytes: a real data plane between a client that sends anything and an upstream that judges it.

What a strict parser of another make (h11) reads from the client's bytes is the law: of it, in its order, and of
nothing else may reach Ollama. Where h11 is more lenient than ltmld (bare LF, lists of lengths), ltmld may refuse.
"""

from __future__ import annotations

import asyncio
import fcntl
import re
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import h11
import uvloop

from ltmld.config import ProxySettings
from ltmld.proxy.client import Client
from ltmld.proxy.head import PREFACE
from tests.support.attendants import ObedientAttendant
from tests.support.serving import serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NEXT = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"
PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENCE_S = 3.0
"""How long the data plane may do nothing about bytes that have come; it takes a millisecond."""

LIMITS = ProxySettings(head_bytes_max=16_384, look_bytes_max=100_000, linger_s=0.2, grace_s=0.2)
_FIRST_LINE = re.compile(
    rb"[^\r\n]*\Z|\S+ \S+ HTTP/\d\.\d\r\n"
)  # Go refuses another without waiting for the rest
_CODED_CHUNKS = re.compile(
    rb"(?i)((?:^|\n)transfer-encoding:)[\t ]*(?:(?!chunked)[!#-'*+.^-z|~-]+[\t ]*,[\t ]*)+chunked(?=[\t ]*\r\n)"
)
_ASCII = bytes(range(0x80)) + b"~" * 0x80
_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"expect"}
_NEVER_NAMED = {b"host", b"content-length", b"transfer-encoding", b"content-type"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One whole request, as a parser has read it: without what belongs to one hop."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class MalformedError(Exception):
    """The reference parser refuses what is left."""


def requests_in(data: bytes) -> tuple[list[Read], bytes, bool]:
    """Return the whole requests that h11 reads from *data*, what is left, and whether that is malformed."""
    found: list[Read] = []
    while data:
        data = data[len(data) - len(data.lstrip(b"\r\n")) :] if data.startswith(b"\r\n") else data
        if data.startswith(PREFACE):
            return found, data, True
        try:
            one = _one(data)
        except h11.RemoteProtocolError:
            return found, data, True
        if one is None:
            break
        found.append(one[0])
        data = one[1]
    return found, data, False


def _one(data: bytes) -> tuple[Read, bytes] | None:
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
    line, end, rest = data.partition(b"\r\n")
    head, empty, behind = rest.partition(b"\r\n\r\n")
    # h11 alone refuses targets beyond ASCII, and codings in front of chunked; Go and llhttp find the same end.
    head = _CODED_CHUNKS.sub(rb"\1chunked", head + b"\r\n")[:-2]
    parser.receive_data(line.translate(_ASCII) + end + head + empty + behind)
    request: h11.Request | None = None
    body = b""
    while True:
        event = parser.next_event()
        match event:
            case h11.Request():
                request = event
            case h11.Data():
                body += bytes(event.data)
            case h11.EndOfMessage():
                assert request is not None
                return _end_to_end(request, body), bytes(parser.trailing_data[0])
            case _:
                return None


def _end_to_end(request: h11.Request, body: bytes) -> Read:
    headers = [(bytes(name), bytes(value)) for name, value in request.headers]
    named = {
        token.strip().lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    }
    gone = _HOP | (named - _NEVER_NAMED)
    kept = tuple(
        (name, value) for name, value in headers if name not in gone and not name.startswith(b"x-ltmld-")
    )
    return Read(method=bytes(request.method), target=bytes(request.target), headers=kept, body=body)


class Judge(asyncio.Protocol):
    """One connection where Ollama would be: it answers every whole request and keeps what it has read."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._data = b""
        self.answered = False
        stage.judges.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def close(self) -> None:
        """Close, after what is still to be sent."""
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - any end is an end
        """Take note."""
        self._stage.judges.remove(self)

    def data_received(self, data: bytes) -> None:
        """Read, and answer what is whole."""
        self._data += data
        found, self._data, malformed = requests_in(self._data)
        for request in found:
            self._stage.seen.append(request)
            self.answered = True
            for part in self._stage.answer:
                self._transport.write(part)
        if malformed or _FIRST_LINE.match(self._data) is None:
            # Only what no parser takes for a request of ours may come here, and then nothing beside it.
            stranger = b"/" not in self._data or self._data.startswith(PREFACE)
            if not stranger or found:
                self._stage.faults.append(f"Ollama got what nobody can read: {self._data[:200]!r}")
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request")
            self._transport.close()


class Sender(asyncio.Protocol):
    """A client that sends whatever it is told and keeps whatever it gets."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.got += data

    def eof_received(self) -> bool:
        """Take note."""
        self.ended = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - any end is an end
        """Take note."""
        self.ended = True


class Stage:
    """One data plane, its upstream, and an event loop of their own."""

    def __init__(self) -> None:
        self.seen: list[Read] = []
        self.faults: list[str] = []
        self.judges: list[Judge] = []
        self.answer = [OK]
        self.attendant = ObedientAttendant()
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self._runner.run(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._close())
        self._runner.__exit__(kind, error, trace)

    def send(self, parts: list[bytes]) -> Sender:
        """Send *parts* on a new connection; return its sender when the data plane has done all it will do."""
        return self._runner.run(self._send(parts))

    def hear(self, parts: list[bytes]) -> tuple[bytes, bytes]:
        """Answer a request with *parts*, and the next with ``NEXT``; return what the client got for each."""
        return self._runner.run(self._hear(parts))

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.faults.append(str(context)))
        self._upstream = await loop.create_server(lambda: Judge(self), "127.0.0.1", 0)
        port = self._upstream.sockets[0].getsockname()[1]
        self._serving = serving(port, LIMITS)
        self.proxy = await self._serving.__aenter__()
        self.attendant.may_attend.set()
        self.proxy.attendant = self.attendant

    async def _close(self) -> None:
        await self._serving.__aexit__(None, None, None)
        self._upstream.close()

    async def _send(self, parts: list[bytes]) -> Sender:
        self.seen.clear()
        self.attendant.heads.clear()
        self.attendant.bodies.clear()
        sender = await self._connect()
        await self._deliver(sender, parts)
        await self._leave(sender)
        seen = self.seen.copy()
        await self._ping()
        self.seen = seen
        return sender

    async def _hear(self, parts: list[bytes]) -> tuple[bytes, bytes]:
        sender = await self._connect()
        served = self._find(sender)
        assert served is not None
        self.answer = parts
        sender.transport.write(PING)
        # An answer may want more than there is: its sender goes in the end, as any program does some day.
        await self._until(lambda: self._settled(sender, served), closing=True)
        first = sender.got
        self.answer = [NEXT]
        if not sender.ended:
            await self._deliver(sender, [PING])
        await self._leave(sender)
        self.answer = [OK]
        await self._ping()
        return first, sender.got[len(first) :]

    async def _connect(self) -> Sender:
        loop = asyncio.get_running_loop()
        _, sender = await loop.create_connection(Sender, "127.0.0.1", self.proxy.port)
        await self._until(lambda: self._find(sender) is not None)
        return sender

    async def _deliver(self, sender: Sender, parts: list[bytes]) -> None:
        served = self._find(sender)
        for part in parts:
            if not sender.ended:
                sender.transport.write(part)
            await asyncio.sleep(0)
        await self._until(lambda: self._settled(sender, served))

    async def _leave(self, sender: Sender) -> None:
        sender.transport.abort()
        await self._until(lambda: not (self.proxy._plane.clients or self.proxy.stats.open))

    async def _until(self, condition: Callable[[], bool], *, closing: bool = False) -> None:
        turns = 0
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                turns += 1
                for judge in self.judges if closing and not turns % 100 else ():
                    if judge.answered:
                        judge.close()
                await asyncio.sleep(0)

    async def _ping(self) -> None:
        sender = await self._connect()
        await self._deliver(sender, [PING])
        if sender.got != OK:
            self.faults.append(f"the next client got {sender.got[:200]!r}")
        await self._leave(sender)

    def _find(self, sender: Sender) -> Client | None:
        own = sender.transport.get_extra_info("sockname")
        clients = self.proxy._plane.clients
        return next((c for c in clients if c.transport.get_extra_info("peername") == own), None)

    def _settled(self, sender: Sender, served: Client | None) -> bool:
        """Tell whether nothing more will happen unless somebody sends more."""
        if sender.ended or served is None:
            return True
        if served._closing or sender.transport.get_write_buffer_size():
            return False
        transport: Any = served.transport
        if transport.is_closing() or transport.get_protocol() is not served or unread(transport):
            return False
        if served.idle:
            return self._nothing_on_the_way(sender)
        # A request that came whole must be answered: the patience ends here if it is not.
        return served._relay is not None and not served._body.ended and self._nothing_on_the_way(sender)

    def _nothing_on_the_way(self, sender: Sender) -> bool:
        return not unread(sender.transport)


def unread(transport: Any) -> int:
    """Return how many bytes lie in a connection's socket that nobody has read."""
    number = transport.get_extra_info("socket").fileno()
    if number < 0:
        return 0
    (count,) = struct.unpack("i", fcntl.ioctl(number, termios.FIONREAD, b"\0" * 4))
    return int(count)


def verdict(stage: Stage, sent: bytes, sender: Sender) -> str:
    """Return what is wrong with how *sent* was treated; empty: nothing."""
    if stage.faults:
        return "; ".join(stage.faults)
    expected, _, malformed = requests_in(sent)
    skipped = _skipped(stage.seen, expected)
    if skipped is None or skipped > sender.got.count(b"HTTP/1.1 403 "):
        return f"Ollama read {stage.seen}, the client said {expected}"
    refused = sender.got.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    if expected and not stage.seen and not refused:
        return f"a request was dropped without a word: {expected[0]}; the client got {sender.got[:100]!r}"
    if malformed and not expected and stage.seen:
        return "what is malformed went on"
    return ""


def answer_in(data: bytes) -> tuple[int, bytes] | None:
    """Return status and body of the answer that h11 reads from *data* and the end of its connection, if any."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**20)
    parser.send(h11.Request(method="GET", target="/ping", headers=[("Host", "localhost")]))
    parser.send(h11.EndOfMessage())
    status, body = 0, b""
    try:
        parser.receive_data(data)
        parser.receive_data(b"")
        while True:
            match parser.next_event():
                case h11.Response(status_code=code):
                    status = code
                case h11.Data(data=piece):
                    body += bytes(piece)
                case h11.EndOfMessage():
                    return status, body
                case h11.InformationalResponse():
                    pass
                case _:
                    return None
    except h11.RemoteProtocolError:
        return None


def verdict_on_answer(stage: Stage, said: bytes, first: bytes, second: bytes) -> str:
    """Return what is wrong with how the answer *said* was passed on, and with what the next request got."""
    if stage.faults:
        return "; ".join(stage.faults)
    if not first:
        return "the client got nothing"
    heard = answer_in(first)
    if heard is not None and heard[0] != 502 and heard != answer_in(said):
        return f"the client read {heard}, Ollama said {answer_in(said)}"
    if second and not second.endswith(b"next") and not second.startswith(b"HTTP/1.1 502"):
        return f"the next answer was {second!r}"
    return ""


def _skipped(seen: list[Read], expected: list[Read]) -> int | None:
    """Return how many requests were passed over (a foreign Host is refused here); ``None``: others were seen."""
    left = iter(expected)
    skipped = 0
    for request in seen:
        for candidate in left:
            if candidate == request:
                break
            skipped += 1
        else:
            return None
    return skipped
