"""Watch one reply go by and remember it, without touching a socket.

Rules:
1. ``feed`` never raises, whatever comes, and answers as ``core.ports.Recording.feed`` says.
2. The form is decided by the head: 200 with NDJSON, SSE or JSON is an answer; 400 and above is an error;
   anything else passes unread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ltmld.core.exchange import Reply
from ltmld.wire.framing import Document, ErrorBody, Events, Framing, Lines, Mark, Untouched
from ltmld.wire.transcript import Transcript


class DialectReader(ABC):
    """What reads one answer of a dialect, and the transcript that it writes."""

    def __init__(self, bytes_max: int) -> None:
        self.transcript = Transcript(bytes_max)

    @abstractmethod
    def piece(self, tree: dict[str, Any]) -> Mark:
        """Take one line or event of a stream."""

    @abstractmethod
    def whole(self, tree: dict[str, Any]) -> None:
        """Take a whole answer in one document."""

    def failed(self, message: str) -> None:
        """Take an error instead of an answer."""
        self.transcript.error = message


class Capture:
    """One reply as it goes by."""

    def __init__(self, reader: DialectReader, *, bytes_max: int) -> None:
        self._reader = reader
        self._bytes_max = bytes_max
        self._framing: Framing = Untouched()

    def begin(self, *, status: int, content_type: str) -> None:
        """Learn the answer's form."""
        self._framing = self._form(status, content_type.partition(";")[0].strip().lower())

    def feed(self, data: bytes) -> int:
        """Take the next bytes; return how many of those fed and not yet passed may pass now."""
        return self._framing.feed(data)

    @property
    def complete(self) -> bool:
        """Whether the terminator has been seen."""
        return self._framing.complete

    @property
    def unfinished(self) -> bool:
        """Whether a stream was read without a gap, and no terminator has been seen."""
        return self._framing.unfinished

    def end(self) -> None:
        """Take the end of the body: a last line that no line end follows is read now."""
        self._framing.end()

    def reply(self) -> Reply:
        """Return what came, as far as it came."""
        return self._reader.transcript.reply()

    def _form(self, status: int, media: str) -> Framing:
        if status >= 400:
            return ErrorBody(self._reader, status=status)
        if status == 200 and media == "application/x-ndjson":
            return Lines(self._reader)
        if status == 200 and media == "text/event-stream":
            return Events(self._reader)
        if status == 200 and media == "application/json":
            return Document(self._reader, bytes_max=self._bytes_max)
        return Untouched()
