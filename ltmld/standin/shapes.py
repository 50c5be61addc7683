"""JSON as Go writes it, and the shapes that all dialects share.

Checked against recordings of a real server (0.33.0-rc2) by ``tests/standin``.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ltmld.standin.speech import Spoken

VERSION = "0.33.0-rc2"
NATIVE = "application/json; charset=utf-8"
PLAIN = "application/json"
NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
# What /v1/responses and /v1/messages add to a stream, and to the errors that come instead of one.
LIVE = (("Cache-Control", "no-cache"), ("Connection", "keep-alive"))

# Go's encoder makes JSON safe to stand inside HTML.
_GO_ESCAPES = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing(ABC):
    """How one dialect writes an answer down."""

    spoken: Spoken

    media: ClassVar[str] = PLAIN
    """The media type of an answer in one piece."""

    stream_media: ClassVar[str] = SSE
    """The media type of a stream."""

    stream_headers: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Further headers of a stream."""

    @abstractmethod
    def whole(self) -> bytes:
        """Return the answer in one piece."""

    @abstractmethod
    def pieces(self) -> Iterator[bytes]:
        """Yield the answer as a stream, one HTTP chunk each."""

    @abstractmethod
    def died(self) -> bytes:
        """Return what a stream ends with when the runner died: perhaps nothing."""


def dumps(value: Any) -> bytes:
    """Return *value* as Go writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_GO_ESCAPES).encode()


def argued(arguments: Mapping[str, Any]) -> str:
    """Return the arguments of a call as the text that ``/v1`` puts them in."""
    return dumps(arguments).decode()


def event(kind: str, tree: Mapping[str, Any]) -> bytes:
    """Return one server-sent event with its name."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), dumps(tree))


def data(tree: Mapping[str, Any]) -> bytes:
    """Return one server-sent event without a name."""
    return b"data: " + dumps(tree) + b"\n\n"
