"""What can be made to go wrong with an answer, on purpose."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """What happens to one inference request; they are used up in order."""

    NONE = "none"
    BROKEN_JSON = "broken-json"
    """The model's answer is JSON that breaks off (or prose with a brace)."""
    ERROR_500 = "error-500"
    """Ollama answers 500."""
    HANG = "hang"
    """Nothing comes, not even a head, until the client leaves."""
    MIDSTREAM_ERROR = "midstream-error"
    """The stream begins, then the runner dies as Ollama reports it; an answer in one piece is a 500."""
    CUT = "cut"
    """The stream begins, then the connection breaks; an answer in one piece never comes."""
    BUSY = "busy"
    """Ollama's queue is full: 503."""
