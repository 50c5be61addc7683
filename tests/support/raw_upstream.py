"""An upstream and a client whose every byte is the test's own: no HTTP library in between hides anything."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, cast

PATIENCE_S = 10.0
"""How long anything may take before a test fails; on an idle machine all of it takes milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMessage:
    """One HTTP message as it came: first line, headers in order and spelling, body with its chunk framing."""

    first: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of a header, by lower-case name."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def names(self) -> list[bytes]:
        """Return the names in the order and spelling in which they came."""
        return [key for key, _ in self.headers]

    @property
    def payload(self) -> bytes:
        """The body without chunk framing."""
        if self.get(b"transfer-encoding") != b"chunked":
            return self.body
        return b"".join(chunks(self.body))


def chunks(body: bytes) -> list[bytes]:
    """Return the payloads of the chunks in *body*, which must be whole."""
    payloads: list[bytes] = []
    while True:
        size, _, rest = body.partition(b"\r\n")
        count = int(size.split(b";")[0], 16)
        if not count:
            return payloads
        assert rest[count : count + 2] == b"\r\n"
        payloads.append(rest[:count])
        body = rest[count + 2 :]


class Wire:
    """One end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send *data* now."""
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), PATIENCE_S)

    async def some(self) -> bytes:
        """Return what one read brings; empty at the end."""
        return await asyncio.wait_for(self.reader.read(2**20), PATIENCE_S)

    async def rest(self) -> bytes:
        """Return everything up to the end of the connection."""
        return await asyncio.wait_for(self.reader.read(), PATIENCE_S)

    async def until(self, marker: bytes) -> bytes:
        """Return everything up to and with *marker*."""
        return await asyncio.wait_for(self.reader.readuntil(marker), PATIENCE_S)

    async def exactly(self, count: int) -> bytes:
        """Return *count* bytes."""
        return await asyncio.wait_for(self.reader.readexactly(count), PATIENCE_S)

    async def message(self, *, has_body: bool = True) -> RawMessage:
        """Return the next message; a body without a length runs to the end of an answer's connection."""
        first, *lines = (await self.until(b"\r\n\r\n"))[:-4].split(b"\r\n")
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(b":") for line in lines))
        head = RawMessage(first=first, headers=headers, body=b"")
        return RawMessage(first=first, headers=headers, body=await self._body(head) if has_body else b"")

    async def _body(self, head: RawMessage) -> bytes:
        if b"chunked" in (head.get(b"transfer-encoding") or b""):
            body = b""
            while True:
                size = await self.until(b"\r\n")
                body += size
                count = int(size.split(b";")[0], 16)
                if not count:
                    return body + await self._trailers()
                body += await self.exactly(count + 2)
        length = head.get(b"content-length")
        if length is not None:
            return await self.exactly(int(length))
        if not head.first.startswith(b"HTTP/") or head.first.split(b" ")[1] in (b"204", b"304"):
            return b""
        return await self.rest()

    async def _trailers(self) -> bytes:
        lines = b""
        while not lines.endswith(b"\r\n\r\n") and lines != b"\r\n":
            lines += await self.until(b"\r\n")
        return lines

    async def gone(self) -> None:
        """Wait until the other end has closed; what it still sent is dropped."""
        try:
            while await self.some():
                pass
        except ConnectionError:
            pass

    def hold(self) -> None:
        """Read nothing, so that the other end has to wait."""
        cast("asyncio.ReadTransport", self.writer.transport).pause_reading()

    def go_on(self) -> None:
        """Read again."""
        cast("asyncio.ReadTransport", self.writer.transport).resume_reading()

    async def unsent(self) -> int:
        """Wait until nothing leaves any more; return how much has not left."""
        before, still = -1, 0
        while still < 20:
            await asyncio.sleep(0.005)
            size = self.writer.transport.get_write_buffer_size()
            still = still + 1 if size == before else 0
            before = size
        return before

    def close(self) -> None:
        """Close in good order."""
        self.writer.close()

    def reset(self) -> None:
        """Close with a reset, as a program that was killed does."""
        peer = self.writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()


class RawUpstream:
    """Listens where Ollama would; the test takes each connection and plays its part by hand."""

    def __init__(self) -> None:
        self.port = 0
        self.wires: list[Wire] = []
        self._arrived: asyncio.Queue[Wire] = asyncio.Queue()
        self._server: asyncio.Server | None = None

    async def start(
        self, port: int = 0, *, host: str = "127.0.0.1", identity: ssl.SSLContext | None = None
    ) -> Self:
        """Listen on *port*, or a free one; with an *identity* by TLS."""
        self._server = await asyncio.start_server(self._arrive, host, port, limit=2**26, ssl=identity)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Listen no more, and close everything."""
        assert self._server is not None
        self._server.close()
        for wire in self.wires:
            wire.writer.transport.abort()

    async def accept(self) -> Wire:
        """Return the next connection."""
        return await asyncio.wait_for(self._arrived.get(), PATIENCE_S)

    def again(self, wire: Wire) -> None:
        """Let *wire* be accepted once more: it is kept alive, and the next request will come on it."""
        self._arrived.put_nowait(wire)

    async def answer(self, response: bytes) -> RawMessage:
        """Take the next connection, read its request, send *response*, and return the request."""
        wire = await self.accept()
        request = await wire.message()
        await wire.send(response)
        return request

    @property
    def waiting(self) -> int:
        """How many connections came that nobody has accepted."""
        return self._arrived.qsize()

    async def _arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        self.wires.append(wire)
        await self._arrived.put(wire)


async def connect(port: int, *, host: str = "127.0.0.1", trust: ssl.SSLContext | None = None) -> Wire:
    """Open a client's connection; with *trust* by TLS."""
    reader, writer = await asyncio.open_connection(host, port, limit=2**26, ssl=trust)
    return Wire(reader, writer)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds, for things that tell nobody when they change, such as counters."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
