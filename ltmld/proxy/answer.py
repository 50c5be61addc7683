"""One answer on its way from Ollama to the client.

Rules:
1. What one read brings goes on in one write; a chunk stays a chunk (see ``chunks``).
2. The end of a body is passed on only where Ollama said that it ends. An answer that broke off is never
   finished here: the client must see that it broke off.
3. With a tap, the end waits until the exchange is committed.
4. Who answers is not trusted either: heads and trailers are bounded, interim answers are counted, and nothing
   switches protocols that was not asked to.
"""

from __future__ import annotations

from collections.abc import Callable

from ltmld.config import ProxySettings
from ltmld.proxy.chunks import ChunkReader, frame
from ltmld.proxy.head import (
    HEAD_END,
    Framing,
    HeadRefusedError,
    Request,
    Response,
    read_response,
    switches_as_asked,
)
from ltmld.proxy.tap import Tap

_SWITCHING_PROTOCOLS = 101
_FINAL = 200
_REDIRECT = 300
_CODING = frozenset({b"transfer-encoding"})


class Answer:
    """Reads Ollama's bytes, writes the client's."""

    # Defaults on the class: one answer sets few of them, and there is one answer a request.
    started = False
    """A byte has come: the request must not be repeated."""
    head: Response | None = None
    """The final head; sent to the client as soon as it is here."""
    tunnel = False
    body_ended = False
    """Ollama has sent everything."""
    ended = False
    """The client has been sent everything."""
    extra = False
    """Bytes followed the end: the connection to Ollama is not to be trusted."""
    tap: Tap | None = None
    _buffer = b""
    _framing = Framing.NONE
    _framed = False
    _interims = 0
    _remaining = 0
    _reader: ChunkReader | None = None

    def __init__(
        self,
        request: Request,
        *,
        write: Callable[[bytes], None],
        closes: bool,
        limits: ProxySettings,
        read: Callable[[bytes], Response] = read_response,
    ) -> None:
        self.closes = closes
        """The client's connection ends with this answer."""
        self._request = request
        self._read = read
        self._write = write
        self._head_bytes_max = limits.head_bytes_max
        self._interim_max = limits.interim_max
        self._out: list[bytes] = []

    def feed(self, data: bytes, *, upload_ended: bool = True) -> None:
        """Take what has arrived.

        Raises:
            HeadRefusedError: the head is no HTTP/1.1 response, or too large.
            ChunksRefusedError: the body is not chunked as its head says.
        """
        self.started = True
        try:
            if self.head is None:
                self._buffer += data
                data = self._read_heads(upload_ended=upload_ended)
            if self.head is not None:
                self._read_body(data)
        finally:  # what was sound goes on, whatever follows it
            self._flush()

    def committed(self) -> None:
        """Pass on what waited for the ledger."""
        if self.tap is not None:
            self._out += map(self._framed_payload, self.tap.release())
        if self.body_ended:
            self._end()
        self._flush()

    def gone(self, error: Exception | None) -> bool:
        """Take note that Ollama closed the connection; return whether that was the end of the body."""
        if self.tunnel or (self._framing is Framing.UNTIL_EOF and error is None):
            self._finish_body()
            self._flush()
            return True
        if self._reader is not None and self._reader.held:
            self._emit(self._reader.held)
        if self.tap is not None and not self.tap.due:
            self._out += map(self._framed_payload, self.tap.release())
        self._flush()
        return False

    @property
    def reusable(self) -> bool:
        """Whether the connection to Ollama may serve another request."""
        return (
            self.body_ended
            and not self.extra
            and self.head is not None
            and not (self.head.close or self.tunnel)
        )

    @property
    def ends_by_closing(self) -> bool:
        """Whether the client takes the plain close of its connection for the end of the body."""
        return (
            self.head is not None
            and not self._framed
            and self._framing in (Framing.UNTIL_EOF, Framing.CHUNKED)
        )

    # --- head ---

    def _read_heads(self, *, upload_ended: bool) -> bytes:
        """Read up to the final head; return what follows it."""
        while True:
            end = self._buffer.find(HEAD_END)
            if (len(self._buffer) if end < 0 else end + 4) > self._head_bytes_max:
                raise HeadRefusedError(f"its head is larger than {self._head_bytes_max} bytes")
            if end < 0:
                return b""
            raw, self._buffer = self._buffer[: end + 4], self._buffer[end + 4 :]
            response = self._read(raw)
            if response.status == _SWITCHING_PROTOCOLS and not switches_as_asked(self._request, response):
                raise HeadRefusedError("it switches to a protocol that nobody asked for")
            if response.status >= _FINAL or response.status == _SWITCHING_PROTOCOLS:
                self._begin(response, upload_ended=upload_ended)
                return self._buffer
            self._interims += 1
            if self._interims > self._interim_max:
                raise HeadRefusedError(f"it has more than {self._interim_max} interim answers")
            if not self._request.http10:  # HTTP/1.0 knows no interim answers
                self._out.append(response.forward(close=False))

    def _begin(self, response: Response, *, upload_ended: bool) -> None:
        method = self._request.head.method
        self.head = response
        self.tunnel = response.status == _SWITCHING_PROTOCOLS or (
            method == "CONNECT" and _FINAL <= response.status < _REDIRECT
        )
        self._framing = Framing.NONE if method == "HEAD" or self.tunnel else response.framing
        self._remaining = response.length if self._framing is Framing.LENGTH else 0
        drop: frozenset[bytes] = frozenset()
        if self._framing is Framing.CHUNKED:
            self._reader = ChunkReader(trailer_bytes_max=self._head_bytes_max)
            self._framed = not self._request.http10
            drop = frozenset() if self._framed else _CODING
        self.closes = self.closes or not upload_ended or self.tunnel or self.ends_by_closing
        announce = self.closes and not (self._request.http10 or self.tunnel)
        self._out.append(response.forward(close=announce, drop=drop))
        if self.tap is not None:
            self.tap.recording.begin(status=response.status, content_type=response.content_type)

    # --- body ---

    def _read_body(self, data: bytes) -> None:
        if self.tunnel:
            self._out += [data] if data else []
        elif self.body_ended:
            self.extra = self.extra or bool(data)
        elif self._reader is not None:
            self._read_chunks(self._reader, data)
        elif self._framing is Framing.UNTIL_EOF:
            self._emit(data)
        else:
            self._read_counted(data)

    def _read_chunks(self, reader: ChunkReader, data: bytes) -> None:
        try:
            reader.feed(data)
        finally:
            for payload in reader.take():
                self._emit(payload)
        if reader.ended:
            self.extra = reader.extra
            self._finish_body()

    def _read_counted(self, data: bytes) -> None:
        body = data if len(data) <= self._remaining else data[: self._remaining]
        self.extra = len(body) != len(data)
        self._remaining -= len(body)
        self._emit(body)
        if not self._remaining or self._framing is Framing.NONE:
            self._finish_body()

    def _emit(self, payload: bytes) -> None:
        if not payload:
            return
        if self.tap is None:
            self._out.append(self._framed_payload(payload))
        else:
            self._out += map(self._framed_payload, self.tap.offer(payload))

    def _finish_body(self) -> None:
        self.body_ended = True
        if self.tap is None or not self.tap.due:
            self._end()

    def _end(self) -> None:
        if self.tap is not None:
            self.tap.recording.body_ended()
            self._out += map(self._framed_payload, self.tap.release())
        if self._framed and self._reader is not None:
            self._out.append(self._reader.end())
        self.ended = True

    def _framed_payload(self, payload: bytes) -> bytes:
        return frame(payload) if self._framed else payload

    def _flush(self) -> None:
        if self._out:
            out, self._out = self._out, []
            self._write(out[0] if len(out) == 1 else b"".join(out))
