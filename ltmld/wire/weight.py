"""What a body costs to read, known before it is read: a kilobyte that unpacks to millions of values is not read.

Rules:
1. Counted is what opens or parts values (``{``, ``[`` and ``,``): never fewer than the values there are.
2. Where that is too many, they may be commas in long texts: then those in strings are left out, until the limit
   is reached or the body ends. A paste of any length, or an image, is one string.
3. Messages, items of an input, and the parts of their contents count together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ltmld.errors import WireLimitError

# Counted in pieces, so that other threads come between.
_PIECE_BYTES = 1 << 18
# An object has at most a key and a string for each mark.
_QUOTES_PER_VALUE = 4


def marks(body: bytes) -> int:
    """Return how many values a body holds at most, texts counted as if they were JSON."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def check_values(body: bytes, values_max: int) -> None:
    """Look whether *body* holds more than *values_max* JSON values.

    Raises:
        WireLimitError: it does, and passes unread.
    """
    counted = 0
    for start in range(0, len(body), _PIECE_BYTES):
        counted += marks(body[start : start + _PIECE_BYTES])
        if counted > values_max:
            _check_outside_strings(body, values_max)
            break


def check_messages(tree: Mapping[str, Any], messages_max: int) -> None:
    """Look whether a body's conversation has more than *messages_max* messages and parts.

    Raises:
        WireLimitError: it has, and passes untouched.
    """
    counted = 0
    for name in ("messages", "input", "system"):
        items = tree.get(name)
        if not isinstance(items, list):
            continue
        counted += len(items)
        counted += sum(len(value) for item in items if isinstance(item, dict) for value in _lists(item))
    if counted > messages_max:
        raise WireLimitError(f"the body has more than {messages_max} messages and parts; it passes untouched")


def _lists(item: Mapping[str, Any]) -> list[list[Any]]:
    found = (item.get("content"), item.get("output"), item.get("images"), item.get("tool_calls"))
    return [value for value in found if value.__class__ is list]


def _check_outside_strings(body: bytes, values_max: int) -> None:
    # Without the escapes a quote is the end or the beginning of a string.
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    counted = quotes = 0
    for start in range(0, len(bare), _PIECE_BYTES):
        parts = bare[start : start + _PIECE_BYTES].split(b'"')
        counted += marks(b"".join(parts[quotes % 2 :: 2]))
        quotes += len(parts) - 1
        if counted > values_max or quotes > _QUOTES_PER_VALUE * values_max:
            raise WireLimitError(f"the body holds more than {values_max} values; it passes unread")
