"""What Ollama's native answers report about the model's work."""

from __future__ import annotations

from typing import Any

from ltmld.core.exchange import Usage

_NS_PER_MS = 1e6


def usage(tree: dict[str, Any]) -> Usage:
    """Return the numbers of a last line; durations come in nanoseconds."""
    return Usage(
        prompt_tokens=_whole(tree.get("prompt_eval_count")),
        reply_tokens=_whole(tree.get("eval_count")),
        prompt_ms=_ms(tree.get("prompt_eval_duration")),
        reply_ms=_ms(tree.get("eval_duration")),
    )


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _ms(value: Any) -> float | None:
    duration_ns = _whole(value)
    return None if duration_ns is None else duration_ns / _NS_PER_MS
