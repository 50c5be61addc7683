"""One client's connection to the stand-in: requests in, answers out, in order.

Rules:
1. Requests of one connection are answered one after the other, also when they were sent at once.
2. A client that goes away, or closes its sending half, ends its answer at once; one in the middle counts as aborted.
3. No byte of a stream, not even its head, is written before its first piece is there.
4. A body that nobody needs is not waited for: the answer comes early, and the connection ends with it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

import httptools

from ltmld.standin.response import LAST_CHUNK, Response, chunk, head, is_chunked
from ltmld.standin.seen import SeenRequest

# Go reads on to this much of a body that its handler left, to keep the connection.
_SPARED_BYTES_MAX = 256 << 10
_PREFACE = b"PRI * HTTP/2.0"


class Host(Protocol):
    """What a connection needs of its server."""

    def early(self, request: SeenRequest) -> Response | None:
        """Answer a request whose body need not come, if it is one."""

    def respond(self, request: SeenRequest) -> Response:
        """Answer one request."""

    def opened(self, connection: Connection) -> None:
        """Learn of a new connection."""

    def closed(self, connection: Connection, *, aborted: bool) -> None:
        """Learn that a connection is gone, and whether an answer was cut off by it."""


class Connection(asyncio.Protocol):
    """Speaks HTTP/1.1 as Ollama does."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[SeenRequest, str, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._streaming = False
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()
        self._answered_early = False

    # --- asyncio ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server gives nothing else
        self._transport = transport
        self._host.opened(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """End what is being answered."""
        aborted = self._streaming
        if self._task is not None:
            self._task.cancel()
        self._host.closed(self, aborted=aborted)

    def pause_writing(self) -> None:
        """Wait until the client has read."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Go on writing."""
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        """Read requests and answer them."""
        if self._answered_early:
            return
        if data.startswith(_PREFACE):
            self._last(Response(status=400, headers=(("Connection", "close"),)))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._answered_early:
                self._refuse(b"400 Bad Request", b"400 Bad Request")
            return
        self._go_on()

    def close(self) -> None:
        """Close from this side."""
        self._transport.abort()

    # --- httptools ------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._target = b""
        self._headers = []
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Let a client that asked first send its body, and answer at once where no body is needed."""
        seen = self._seen()
        hosts = [value for name, value in self._headers if name.lower() == "host"]
        if len(hosts) != 1 and self._parser.get_http_version() == "1.1":
            words = b"too many Host headers" if hosts else b"missing required Host header"
            self._refuse(b"400 Bad Request: " + words, b"400 Bad Request: " + words)
            return
        expected = seen.header("Expect").lower()
        if seen.header("Transfer-Encoding").lower() not in ("", "chunked"):
            self._refuse(b"501 Not Implemented", b"Unsupported transfer encoding")
        elif expected not in ("", "100-continue"):
            self._last(Response(status=417, headers=(("Connection", "close"),)))
        elif int(seen.header("Content-Length") or 0) > _SPARED_BYTES_MAX and (
            early := self._host.early(seen)
        ):
            self._last(early)
        elif expected:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._body += data

    def on_message_complete(self) -> None:
        """Queue the request."""
        if self._answered_early:
            return
        version = "1.0" if self._parser.get_http_version() == "1.0" else "1.1"
        self._waiting.append((self._seen(), version, self._parser.should_keep_alive()))

    def _seen(self) -> SeenRequest:
        return SeenRequest(
            method=self._parser.get_method().decode("latin-1"),
            target=self._target.decode("latin-1"),
            headers=tuple(self._headers),
            body=bytes(self._body),
        )

    # --- answering ------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        while self._waiting and self._task is None:
            request, version, keep_alive = self._waiting.popleft()
            response = self._host.respond(request)
            body = response.instant
            if body is None or not self._may_write.is_set():
                self._task = asyncio.get_running_loop().create_task(
                    self._write_slowly(request, response, version=version, keep_alive=keep_alive)
                )
                self._task.add_done_callback(self._finished)
                return
            self._write_at_once(request, response, body, version=version, keep_alive=keep_alive)

    def _refuse(self, status: bytes, words: bytes) -> None:
        """Write what Go writes to a request it cannot read: a head without a date, and words."""
        self._answered_early = True
        self._transport.write(
            b"HTTP/1.1 %b\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n%b"
            % (status, words)
        )
        self._transport.close()

    def _last(self, response: Response) -> None:
        """Write an answer before the body has come, and end the connection."""
        self._answered_early = True
        self._transport.write(head(response, version="1.1", keep_alive=False, without_body=False))
        self._transport.close()

    def _write_at_once(
        self, request: SeenRequest, response: Response, body: bytes, *, version: str, keep_alive: bool
    ) -> None:
        headless = request.method == "HEAD"
        data = head(response, version=version, keep_alive=keep_alive, without_body=headless)
        if not headless:
            data += chunk(body) + LAST_CHUNK if is_chunked(response, version=version) else body
        self._transport.write(data)
        if not keep_alive:
            self._transport.close()

    async def _write_slowly(
        self, request: SeenRequest, response: Response, *, version: str, keep_alive: bool
    ) -> None:
        self._streaming = response.inference
        if isinstance(response.body, bytes):
            await asyncio.sleep(response.wait_s)
            self._write_at_once(request, response, response.body, version=version, keep_alive=keep_alive)
        else:
            await self._stream(response, version=version, keep_alive=keep_alive)
        self._streaming = False

    async def _stream(self, response: Response, *, version: str, keep_alive: bool) -> None:
        assert not isinstance(response.body, bytes)  # noqa: S101 - whole bodies took the other way
        chunked = is_chunked(response, version=version)
        begin = head(response, version=version, keep_alive=keep_alive, without_body=False)
        async for piece in response.body:
            if piece is None:
                self._streaming = False
                self._transport.abort()
                return
            await self._may_write.wait()
            self._transport.write(begin + (chunk(piece) if chunked else piece))
            begin = b""
        self._transport.write(begin + (LAST_CHUNK if chunked else b""))
        if not (chunked and keep_alive):
            self._transport.close()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled():
            task.result()
            if not self._transport.is_closing():
                self._go_on()
