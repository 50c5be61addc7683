"""The body of one request as it comes in: how much of what was read belongs to it, and when it is whole.

Rules:
1. A body with a length is passed on as it comes; what follows it is the next request's.
2. A chunked body is given out a chunk at a time; what follows it in the same bytes is not kept apart (``followed``).
"""

from __future__ import annotations

from ltmld.proxy.chunks import END, ChunkReader
from ltmld.proxy.head import Framing, Request


class RequestBody:
    """One body, read piece by piece."""

    __slots__ = ("_reader", "_remaining", "ended", "heard_at")

    def __init__(self, request: Request | None = None, *, trailer_bytes_max: int = 0) -> None:
        """Begin to read the body of *request*; without one there is nothing to read."""
        self.ended = request is None
        self.heard_at = 0.0
        """When its latest part came, where it is looked into."""
        self._remaining = 0 if request is None else request.length
        chunked = request is not None and request.framing is Framing.CHUNKED
        self._reader = ChunkReader(trailer_bytes_max=trailer_bytes_max) if chunked else None

    def take(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return the payloads in *data*, and what follows the body.

        Raises:
            ChunksRefusedError: *data* is not a chunked body, or its trailers are too large.
        """
        if self._reader is not None:
            self._reader.feed(data)
            self.ended = self._reader.ended
            return self._reader.take(), b""
        payload = data if len(data) <= self._remaining else data[: self._remaining]
        self._remaining -= len(payload)
        self.ended = not self._remaining
        return [payload] if payload else [], data[len(payload) :]

    @property
    def end(self) -> bytes:
        """The bytes that end the body where it goes on in chunks, trailers included."""
        return self._reader.end() if self._reader is not None and self._reader.ended else END

    @property
    def followed(self) -> bool:
        """Whether bytes came behind the end of a chunked body."""
        return self._reader is not None and self._reader.extra


NO_BODY = RequestBody()
"""The body of a request that has none: it has always ended."""
