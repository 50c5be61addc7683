"""The forms an answer's body can take, and how many of its bytes may pass before it is recorded.

Rules:
1. ``feed`` never raises, and how the bytes were cut makes no difference to what is read or held.
2. Whole lines (NDJSON) and whole events (SSE) pass; the one that ends the answer is held, with all that
   follows it, until the relay has committed. From the first sign of the end on (``finish_reason``) nothing passes.
3. What cannot be held passes: a line above ``LINE_BYTES_MAX`` is let go and not read.
4. Once ``complete``, what was held is the relay's to pass; later bytes pass at once.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol

import orjson

from ltmld.wire.fields import said, told

# The last line of /api/generate carries the whole context: 262,144 tokens of up to six digits are 1.8 MB.
LINE_BYTES_MAX = 4 * 1024 * 1024
# An error body is a sentence; Ollama's longest nests the runner's JSON.
_ERROR_BYTES_MAX = 64 * 1024


class Mark(Enum):
    """What one document of a stream means for its end."""

    MORE = "more"
    ENDING = "ending"
    END = "end"


class Reader(Protocol):
    """Understands the documents of one dialect's answers; never raises."""

    def piece(self, tree: dict[str, Any]) -> Mark:
        """Take one line or event of a stream."""

    def whole(self, tree: dict[str, Any]) -> None:
        """Take a whole answer in one document."""

    def failed(self, message: str) -> None:
        """Take an error instead of an answer."""


class Framing(Protocol):
    """One form of body."""

    complete: bool

    @property
    def unfinished(self) -> bool:
        """Whether the body should have a terminator, and none has been seen in anything that came."""

    def feed(self, data: bytes) -> int:
        """Take the next bytes; return how many of those not yet passed may pass now."""

    def end(self) -> None:
        """Take the end of the body."""


class Untouched:
    """A body that is nobody's answer: everything passes."""

    unfinished = False

    def __init__(self) -> None:
        self.complete = False

    def feed(self, data: bytes) -> int:
        """Let everything pass."""
        return len(data)

    def end(self) -> None:
        """Nothing to do."""


class ErrorBody:
    """The body of an answer that is an error: everything passes, its sentence is kept."""

    unfinished = False

    def __init__(self, reader: Reader, *, status: int) -> None:
        self.complete = False
        self._reader = reader
        self._body = bytearray()
        self._reader.failed(f"HTTP {status}")

    def feed(self, data: bytes) -> int:
        """Let everything pass, and read it as far as it came."""
        self._body += data[: max(0, _ERROR_BYTES_MAX - len(self._body))]
        text = self._body.decode("utf-8", "replace").strip()
        tree = _parsed(bytes(self._body))
        message = error_of(tree) if tree is not None else text
        if message:
            self._reader.failed(message)
        return len(data)

    def end(self) -> None:
        """Nothing to do."""


class Document:
    """One JSON document: held until it is whole, or too large to hold."""

    unfinished = False

    def __init__(self, reader: Reader, *, bytes_max: int) -> None:
        self.complete = False
        self._reader = reader
        self._bytes_max = bytes_max
        self._body = bytearray()
        self._open = False

    def feed(self, data: bytes) -> int:
        """Hold everything until the document is whole."""
        if self.complete or self._open:
            return len(data)
        self._body += data
        if len(self._body) > self._bytes_max:
            return self._let_go()
        if not self._body.rstrip().endswith(b"}"):
            return 0
        tree = _parsed(bytes(self._body))
        if tree is None:
            return 0
        if message := error_of(tree):
            self._reader.failed(message)
            return self._let_go()
        self._reader.whole(tree)
        self.complete = True
        self._body.clear()
        return 0

    def end(self) -> None:
        """Nothing to do: a document that is whole was read when its last byte came."""

    def _let_go(self) -> int:
        passing = len(self._body)
        self._body.clear()
        self._open = True
        return passing


class Lines:
    """NDJSON: one document a line."""

    def __init__(self, reader: Reader) -> None:
        self.complete = False
        self._reader = reader
        self._held = bytearray()
        self._read = 0  # up to here lines have been read
        self._searched = 0  # up to here there is no further line end
        self._safe = 0  # up to here bytes may pass
        self._ending = False
        self._overlong = False  # the line that is coming was let go
        self._gap = False  # a line was let go: it may have been the last

    @property
    def unfinished(self) -> bool:
        """Whether no terminator has come, and none can have been missed."""
        return not (self.complete or self._gap)

    def feed(self, data: bytes) -> int:
        """Read whole lines; hold the line that is coming, and the one that ends the answer."""
        if self.complete:
            return len(data)
        self._held += data
        if self._finds_the_end():
            passing = self._safe
            self._held.clear()
            return passing
        self._searched = len(self._held)
        if self._overlong or len(self._held) - self._safe > LINE_BYTES_MAX:
            self._overlong = self._overlong or self._read < len(self._held)
            self._gap = True
            self._read = self._safe = len(self._held)
        return self._passed()

    def end(self) -> None:
        """Read a last line that no line end follows."""
        if not self.complete and not self._overlong and self._held[self._read :].strip():
            self._take(bytes(self._held[self._read :]), after=len(self._held))

    def line(self, line: bytes) -> tuple[Mark, bool]:
        """Take one line; return its mark, and whether what was read so far may be parted from what follows."""
        tree = _parsed(line)
        return (Mark.MORE if tree is None else self._reader.piece(tree)), True

    def _finds_the_end(self) -> bool:
        while (end := self._held.find(b"\n", self._searched)) >= 0:
            self._take(bytes(self._held[self._read : end]), after=end + 1)
            if self.complete:
                return True
        return False

    def _take(self, line: bytes, *, after: int) -> None:
        mark, boundary = (Mark.MORE, True) if self._overlong else self.line(line)
        self._overlong = False
        self._read = self._searched = after
        self._ending = self._ending or mark is Mark.ENDING
        self.complete = mark is Mark.END
        if boundary and not self._ending and not self.complete:
            self._safe = after

    def _passed(self) -> int:
        passing = self._safe
        del self._held[:passing]
        self._read -= passing
        self._searched -= passing
        self._safe = 0
        return passing


class Events(Lines):
    """Server-sent events (WHATWG HTML 9.2, the parts that Ollama and its kind use): ``data:`` up to an empty line."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self._data: list[bytes] = []

    def line(self, line: bytes) -> tuple[Mark, bool]:
        """Take one line of an event; the empty line ends it."""
        line = line.removesuffix(b"\r")
        if not line:
            return self._event(), True
        if line.startswith(b"data:"):
            data = line[5:].removeprefix(b" ")
            if data == b"[DONE]":
                return Mark.END, False
            self._data.append(data)
        return Mark.MORE, False

    def end(self) -> None:
        """Read a last event that no empty line follows."""
        super().end()
        if not self.complete:
            self._event()

    def _event(self) -> Mark:
        data, self._data = b"\n".join(self._data), []
        tree = _parsed(data) if data else None
        return Mark.MORE if tree is None else self._reader.piece(tree)


def error_of(tree: dict[str, Any]) -> str:
    """Return the sentence of an error in any dialect's shape, or an empty string."""
    error = tree.get("error")
    if isinstance(error, dict):
        error = error.get("message") or "an error without a message"
    if not isinstance(error, str):
        return ""
    # Ollama passes on what its runner says as it is: JSON inside the sentence.
    nested = told(_parsed(error.encode("utf-8", "replace")), "error") if error.startswith("{") else {}
    return said(nested, "message") or error


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        tree = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return tree if isinstance(tree, dict) else None
