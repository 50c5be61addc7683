"""``keep_alive`` as Ollama reads it: a number is seconds, a text is a duration of Go with its units."""

from __future__ import annotations

import re
from typing import Any

from ltmld.errors import WireError

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")


def seconds(keep_alive: Any) -> float | None:
    """Return a length of time in seconds, ``None`` when there is none.

    Raises:
        WireError: it is no length of time; the words are Go's.
    """
    if keep_alive is None:
        return None
    if isinstance(keep_alive, bool) or not isinstance(keep_alive, int | float | str):
        raise WireError(f"Unsupported type: '{_go_type(keep_alive)}'")
    return float(keep_alive) if not isinstance(keep_alive, str) else _parsed(keep_alive)


def _parsed(text: str) -> float:
    bare = text.lstrip("+-") if text[:1] in "+-" else text
    if bare == "0":
        return 0.0
    parts = _PART.findall(bare)
    if not parts or "".join(number + unit for number, unit in parts) != bare:
        raise WireError(f'time: invalid duration "{text}"')
    for _, unit in parts:
        if not unit:
            raise WireError(f'time: missing unit in duration "{text}"')
        if unit not in _SECONDS:
            raise WireError(f'time: unknown unit "{unit}" in duration "{text}"')
    total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return -total if text.startswith("-") else total


def _go_type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case list():
            return "[]interface {}"
        case _:
            return "map[string]interface {}"
