"""Chunked bodies: read by llhttp, written again with the same boundaries.

Rules:
1. One chunk in, one payload out: a chunk that arrives in pieces is joined, so that whole lines stay in one
   write. Only a chunk above ``CHUNK_BYTES_MAX`` goes on in parts, for a body must never be gathered in memory.
2. Trailers are kept in order and spelling. Chunk extensions end here (RFC 9112 7.1.1: they belong to one hop).
3. What is not a chunk is refused, never guessed.
"""

from __future__ import annotations

import httptools

CHUNK_BYTES_MAX = 64 * 1024
"""Largest chunk that is joined before it goes on: a line of a token stream has some hundred bytes."""

END = b"0\r\n\r\n"
_PRELUDE = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


class ChunksRefusedError(ValueError):
    """Bytes that are not chunks. Never leaves this room."""


class ChunkReader:
    """Takes the bytes of one chunked body, gives the payloads of its chunks."""

    __slots__ = (
        "_began",
        "_gathered",
        "_open",
        "_parser",
        "_payloads",
        "_quiet",
        "ended",
        "extra",
        "trailer_bytes_max",
        "trailers",
    )

    def __init__(self, *, trailer_bytes_max: int) -> None:
        self.trailer_bytes_max = trailer_bytes_max
        self.ended = False
        self.extra = False
        """Bytes followed the end of the body."""
        self.trailers: list[tuple[bytes, bytes]] = []
        self._payloads: list[bytes] = []
        self._open: list[bytes] = []
        self._gathered = 0
        self._quiet = 0
        self._began = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(_PRELUDE)
        self._began = True

    def feed(self, data: bytes) -> None:
        """Read *data*; ``take`` has what it completed.

        Raises:
            ChunksRefusedError: *data* is not a chunked body, or its trailers are too large.
        """
        if self.ended:
            self.extra = True
            return
        self._quiet += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._refuse_unless_ended(error)
        if self._quiet > self.trailer_bytes_max + CHUNK_BYTES_MAX:
            raise ChunksRefusedError("the trailers or chunk extensions are too large")

    def take(self) -> list[bytes]:
        """Return the payloads completed since the last call, in order."""
        payloads, self._payloads = self._payloads, []
        return payloads

    @property
    def held(self) -> bytes:
        """What has arrived of a chunk that is not complete."""
        return b"".join(self._open)

    def end(self) -> bytes:
        """Return the bytes that end the body, trailers included."""
        if not self.trailers:
            return END
        lines = b"".join(b"%b: %b\r\n" % trailer for trailer in self.trailers)
        return b"0\r\n%b\r\n" % lines

    def _refuse_unless_ended(self, error: Exception) -> None:
        if not self.ended:
            raise ChunksRefusedError(f"the chunked body is malformed ({error})") from error
        self.extra = True

    # --- called by the parser ---

    def on_body(self, data: bytes) -> None:
        """Gather a piece of a chunk."""
        self._quiet = 0
        self._open.append(data)
        self._gathered += len(data)
        if self._gathered > CHUNK_BYTES_MAX:
            self._close_chunk()

    def on_chunk_complete(self) -> None:
        """Give the chunk out."""
        self._quiet = 0
        if self._open:
            self._close_chunk()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a trailer."""
        if self._began and not self.ended:
            self.trailers.append((name, value))

    def on_message_begin(self) -> None:
        """Notice bytes behind the end."""
        if self.ended:
            self.extra = True

    def on_message_complete(self) -> None:
        """The body is over."""
        self.ended = True

    def _close_chunk(self) -> None:
        self._payloads.append(self._open[0] if len(self._open) == 1 else b"".join(self._open))
        self._open = []
        self._gathered = 0


def frame(payload: bytes) -> bytes:
    """Return *payload* as one chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)
