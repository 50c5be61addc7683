"""What Ollama's native answers report about the model's work."""

from __future__ import annotations

from typing import Any

from ltmld.core.exchange import Usage
from ltmld.wire.fields import count

_NS_PER_MS = 1e6


def usage(tree: dict[str, Any]) -> Usage:
    """Return the numbers of a last line; durations come in nanoseconds."""
    return Usage(
        prompt_tokens=count(tree, "prompt_eval_count"),
        reply_tokens=count(tree, "eval_count"),
        prompt_ms=_ms(tree, "prompt_eval_duration"),
        reply_ms=_ms(tree, "eval_duration"),
    )


def _ms(tree: dict[str, Any], name: str) -> float | None:
    duration_ns = count(tree, name)
    return None if duration_ns is None else duration_ns / _NS_PER_MS
