"""How values are spelled in the ledger: times, long texts, JSON.

Rules:
1. Times are UTC text of fixed width with microseconds: they sort as text.
2. A text longer than ``PLAIN_BYTES_MAX`` is stored as zlib bytes; nobody outside this module can tell.
3. JSON is written with sorted keys, so that equal values are equal text.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

# Above this a text is a pasted file or a log: rarely read, and zlib makes it about a fifth.
PLAIN_BYTES_MAX = 32_000


def stamp(at: datetime) -> str:
    """Return *at* as it is stored; a time without a zone is taken as UTC."""
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="microseconds")


def stamp_or_none(at: datetime | None) -> str | None:
    """Return *at* as it is stored, ``None`` as NULL."""
    return None if at is None else stamp(at)


def moment(text: str) -> datetime:
    """Return the time that was stored as *text*."""
    return datetime.fromisoformat(text)


def moment_or_none(text: str | None) -> datetime | None:
    """Return the time that was stored as *text*, NULL as ``None``."""
    return None if text is None else moment(text)


def packed(text: str) -> str | bytes:
    """Return *text* as it is stored: itself, or compressed where it is long."""
    # A lone surrogate cannot be stored as UTF-8; a client that sent one gets a question mark, not a refusal.
    content = text.encode("utf-8", "replace")
    if len(content) <= PLAIN_BYTES_MAX:
        return content.decode("utf-8")
    return zlib.compress(content)


def unpacked(stored: str | bytes) -> str:
    """Return the text that ``packed`` stored."""
    if isinstance(stored, bytes):
        return zlib.decompress(stored).decode("utf-8")
    return stored


def dumped(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return *value* as JSON text."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def loaded_object(text: str) -> dict[str, Any]:
    """Return the JSON object in *text*."""
    return cast("dict[str, Any]", json.loads(text))


def loaded_list(text: str) -> list[Any]:
    """Return the JSON array in *text*."""
    return cast("list[Any]", json.loads(text))


def clean(text: str) -> str:
    """Return *text* as UTF-8 can spell it: half a character (a lone surrogate) becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
