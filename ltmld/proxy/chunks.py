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


_FRAMING_BYTES = 16
"""What one chunk may cost beside its payload before it counts as overhead; Go allows the same."""

_NO_TRAILERS = frozenset(
    (
        b"host",
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"te",
        b"trailer",
        b"upgrade",
        b"expect",
    )
)
"""Names that decide where a message goes or ends; as trailers some parsers would believe them (RFC 9110 6.5.1)."""
_OWN_PREFIX = b"x-ltmld-"
# The second is raised for a request pipelined behind the end that asks for an Upgrade.
_PARSER_ERRORS = (httptools.HttpParserError, httptools.HttpParserUpgrade)


class ChunksRefusedError(ValueError):
    """Bytes that are not chunks. Never leaves this room."""


class ChunkReader:
    """Takes the bytes of one chunked body, gives the payloads of its chunks."""

    __slots__ = (
        "_began",
        "_gathered",
        "_open",
        "_overhead",
        "_parser",
        "_payloads",
        "_trailer_bytes",
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
        self._overhead = 0
        self._trailer_bytes = 0
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
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except _PARSER_ERRORS as error:
            self._refuse_unless_ended(error)
        if self._overhead > self.trailer_bytes_max + 4 * _FRAMING_BYTES:
            raise ChunksRefusedError("there is more of chunk extensions and trailers than of the body")

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
        if self.ended:  # the body of a request pipelined behind this one: llhttp reads on in the same bytes
            return
        self._overhead = max(
            0, self._overhead - 3 * len(data)
        )  # it came as overhead, and pays twice for more
        self._open.append(data)
        self._gathered += len(data)
        if self._gathered > CHUNK_BYTES_MAX:
            self._close_chunk()

    def on_chunk_complete(self) -> None:
        """Give the chunk out."""
        self._overhead = max(0, self._overhead - _FRAMING_BYTES)
        if self._open:
            self._close_chunk()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a trailer."""
        if not self._began or self.ended:
            return
        key = name.lower()
        if key in _NO_TRAILERS or key.startswith(_OWN_PREFIX):
            raise ChunksRefusedError(f"{key.decode()} is no trailer")
        self._trailer_bytes += len(name) + len(value) + 4
        if self._trailer_bytes > self.trailer_bytes_max:
            raise ChunksRefusedError(f"the trailers are larger than {self.trailer_bytes_max} bytes")
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
