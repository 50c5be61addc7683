"""What Ollama's own dialects have in common: the shape of an error, and an answer in lines."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import orjson

from ltmld.wire.capture import DialectReader
from ltmld.wire.fields import said
from ltmld.wire.framing import Mark, error_of
from ltmld.wire.ollama.usage import usage


def error(message: str) -> bytes:
    """Return an error body."""
    return orjson.dumps({"error": message})


class LineReader(DialectReader):
    """Reads answers whose every line is an answer of its own, the last one ``done``."""

    def piece(self, tree: dict[str, Any]) -> Mark:
        """Take one line."""
        if message := error_of(tree):
            self.transcript.error = message
            return Mark.MORE
        self.whole(tree)
        return Mark.END if tree.get("done") is True else Mark.MORE

    def whole(self, tree: dict[str, Any]) -> None:
        """Take a whole answer."""
        transcript = self.transcript
        transcript.model = said(tree, "model") or transcript.model
        self._take(tree)
        if tree.get("done") is True:
            transcript.done_reason = said(tree, "done_reason")
            transcript.usage = usage(tree)

    @abstractmethod
    def _take(self, tree: dict[str, Any]) -> None:
        """Take the words of a line."""
