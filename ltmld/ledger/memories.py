"""Memories as they are read back: by id, by page, and with their history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from ltmld.core.memory import Memory, MemoryKind, MemoryState, Source
from ltmld.errors import NotFoundError
from ltmld.ledger.pages import Cursor, bounded, spelled
from ltmld.ledger.spelling import dumped, loaded_list, loaded_object, moment, moment_or_none

_BY_IDS = """
    SELECT memories.*
    FROM json_each(?) AS wanted CROSS JOIN memories ON memories.id = wanted.value
    ORDER BY wanted.key
"""

_SOURCES = """
    SELECT memory_id, message_id, quote FROM sources
    WHERE memory_id IN (SELECT value FROM json_each(?))
    ORDER BY memory_id, position
"""

_EXACT = "SELECT id FROM memories WHERE id = ?"

# Two are enough to know that a prefix names more than one.
_BY_PREFIX = """
    SELECT id FROM memories
    WHERE substr(id, 1, length(:prefix)) = :prefix AND :scope IN ('', scope)
    LIMIT 2
"""

_RECALLABLE = (
    "SELECT * FROM memories WHERE scope = ? AND state IN ('active', 'disputed') ORDER BY recorded_at, id"
)

# The condition is the partial index's own, word for word: only then does SQLite use it.
_STANDING = """
    SELECT * FROM memories INDEXED BY memories_standing
    WHERE scope = :scope AND state = 'active' AND (pinned = 1 OR kind IN ('identity', 'lesson'))
    ORDER BY pinned DESC, importance DESC, frequency DESC, id
    LIMIT :limit
"""

_PAGE = """
    SELECT * FROM memories
    WHERE (:scope = '' OR scope = :scope)
      AND (:kind = '' OR kind = :kind)
      AND (:state = '' OR state = :state)
      AND NOT EXISTS (
          SELECT 1 FROM json_each(:words) AS word
          WHERE instr(lower(text || ' ' || subject || ' ' || cues), word.value) = 0
      )
      AND (:at = '' OR (recorded_at, id) < (:at, :id))
    ORDER BY recorded_at DESC, id DESC
    LIMIT :limit
"""

_HISTORY = """
    SELECT id, memory_id, version, cause, cycle_id, before, after, at
    FROM memory_events WHERE memory_id = ? ORDER BY id
"""


def resolved(connection: sqlite3.Connection, memory_id: str, *, scope: str = "") -> str:
    """Return the id that *memory_id*, an id or the beginning of one that is unique in *scope*, stands for.

    Raises:
        NotFoundError: no memory's id begins so, or more than one's.
    """
    if memory_id and connection.execute(_EXACT, (memory_id,)).fetchone() is not None:
        return memory_id
    rows = (
        connection.execute(_BY_PREFIX, {"prefix": memory_id, "scope": scope}).fetchall() if memory_id else []
    )
    match rows:
        case []:
            raise NotFoundError(
                f"There is no memory {memory_id!r}. `ltmld inspect` shows the ones there are."
            )
        case [row]:
            return str(row["id"])
        case _:
            raise NotFoundError(f"More than one memory's id begins with {memory_id!r}. Give more of it.")


def one(connection: sqlite3.Connection, memory_id: str, *, scope: str = "") -> Memory:
    """Return the memory with this id, or this unique beginning of an id.

    Raises:
        NotFoundError: there is none, or more than one.
    """
    return by_ids(connection, [resolved(connection, memory_id, scope=scope)])[0]


def by_ids(connection: sqlite3.Connection, ids: Sequence[str]) -> list[Memory]:
    """Return the memories with these ids, in their order; unknown ids are left out."""
    return _memories(connection, connection.execute(_BY_IDS, (dumped(ids),)))


def recallable(connection: sqlite3.Connection, scope: str) -> list[Memory]:
    """Return the active and the disputed memories of *scope*, the oldest first."""
    return _memories(connection, connection.execute(_RECALLABLE, (scope,)))


def standing(connection: sqlite3.Connection, scope: str, *, limit: int) -> list[Memory]:
    """Return the memories that a new conversation is told whatever it is about, the firmest first."""
    return _memories(connection, connection.execute(_STANDING, {"scope": scope, "limit": limit}))


def page(
    connection: sqlite3.Connection, *, scope: str, kind: str, state: str, text: str, limit: int, cursor: str
) -> tuple[list[Memory], str]:
    """Return memories that hold every word of *text*, the latest first, and the cursor of the next page."""
    start = Cursor.parse(cursor)
    words = dumped(text.lower().split())
    values = {"scope": scope, "kind": kind, "state": state, "words": words, "at": start.at, "id": start.id}
    rows = connection.execute(_PAGE, {**values, "limit": bounded(limit)}).fetchall()
    return _memories(connection, rows), spelled([dict(row) for row in rows], at="recorded_at", limit=limit)


def history(connection: sqlite3.Connection, memory_id: str) -> list[dict[str, Any]]:
    """Return every change of a memory, the oldest first; *before* is ``None`` at its birth.

    Raises:
        NotFoundError: there is no such memory.
    """
    rows = [dict(row) for row in connection.execute(_HISTORY, (resolved(connection, memory_id),))]
    for row in rows:
        row["before"] = None if row["before"] is None else loaded_object(row["before"])
        row["after"] = loaded_object(row["after"])
    return rows


def _memories(connection: sqlite3.Connection, rows: Iterable[sqlite3.Row]) -> list[Memory]:
    rows = list(rows)
    sources: dict[str, list[Source]] = {row["id"]: [] for row in rows}
    for row in connection.execute(_SOURCES, (dumped(list(sources)),)):
        sources[row["memory_id"]].append(Source(message_id=row["message_id"], quote=row["quote"]))
    return [_memory(row, tuple(sources[row["id"]])) for row in rows]


def _memory(row: sqlite3.Row, sources: tuple[Source, ...]) -> Memory:
    return Memory(
        id=row["id"],
        scope=row["scope"],
        kind=MemoryKind(row["kind"]),
        text=row["text"],
        sources=sources,
        recorded_at=moment(row["recorded_at"]),
        subject=row["subject"],
        attribute=row["attribute"],
        importance=row["importance"],
        confidence=row["confidence"],
        frequency=row["frequency"],
        strength=row["strength"],
        stability_days=row["stability_days"],
        state=MemoryState(row["state"]),
        pinned=bool(row["pinned"]),
        cues=tuple(loaded_list(row["cues"])),
        when=row["when"],
        valid_from=moment_or_none(row["valid_from"]),
        valid_to=moment_or_none(row["valid_to"]),
        retired_at=moment_or_none(row["retired_at"]),
        used_at=moment_or_none(row["used_at"]),
        superseded_by=row["superseded_by"],
        version=row["version"],
    )
