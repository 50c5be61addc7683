"""Changes of memories: each a new version, with an event that says what was, what is, who and why.

Rules:
1. Nothing is overwritten without an event in the same transaction; ``used_at`` alone has none.
2. States change only along ``core.memory.TRANSITIONS``.
3. Every source is a message of the same scope, and the last source never goes.
4. A change that the index can see leaves a row for it; strength and use do not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from ltmld.core.memory import RECALLABLE, Memory, MemoryKind, MemoryState, may_become
from ltmld.errors import RefusedError
from ltmld.ledger import outbox
from ltmld.ledger.spelling import clean, dumped, stamp, stamp_or_none

# What neither the words of a retrieval unit nor its place in the index depend on.
_UNSEEN = frozenset(
    {"sources", "importance", "confidence", "frequency", "strength", "stability_days", "pinned", "used_at"}
)

_KEPT = frozenset({"id", "scope", "recorded_at", "version", "used_at", "retired_at"})

EDITABLE = frozenset(field.name for field in fields(Memory)) - _KEPT
"""The fields that an edit may name."""

_ADD = """
    INSERT INTO memories (
        id, scope, kind, text, subject, attribute, importance, confidence, frequency, strength,
        stability_days, state, pinned, cues, "when", valid_from, valid_to, recorded_at, retired_at,
        used_at, superseded_by, version
    ) VALUES (
        :id, :scope, :kind, :text, :subject, :attribute, :importance, :confidence, :frequency,
        :strength, :stability_days, :state, :pinned, :cues, :when, :valid_from, :valid_to,
        :recorded_at, :retired_at, :used_at, :superseded_by, :version
    )
"""

_CHANGE = """
    UPDATE memories SET
        kind = :kind, text = :text, subject = :subject, attribute = :attribute,
        importance = :importance, confidence = :confidence, frequency = :frequency, strength = :strength,
        stability_days = :stability_days, state = :state, pinned = :pinned, cues = :cues, "when" = :when,
        valid_from = :valid_from, valid_to = :valid_to, retired_at = :retired_at, used_at = :used_at,
        superseded_by = :superseded_by, version = :version
    WHERE id = :id
"""

_TAKEN = "SELECT 1 FROM memories WHERE id = ?"

_ADD_EVENT = """
    INSERT INTO memory_events (memory_id, version, cause, cycle_id, before, after, at)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""

_UNKNOWN_SOURCE = """
    SELECT named.value FROM json_each(?) AS named
    WHERE NOT EXISTS (SELECT 1 FROM messages WHERE id = named.value AND scope = ?)
    LIMIT 1
"""

_ADD_SOURCE = "INSERT INTO sources (memory_id, position, message_id, quote) VALUES (?, ?, ?, ?)"

_SETTLE = "UPDATE disputes SET settled_at = :at WHERE settled_at IS NULL AND :id IN (memory_id, other_id)"

_USED = "UPDATE memories SET used_at = ? WHERE id IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a memory changes: in words, by which cycle (if any), and when."""

    words: str
    at: datetime
    cycle_id: str | None = None


def born(connection: sqlite3.Connection, memory: Memory, cause: Cause) -> Memory:
    """Add *memory* as version 1.

    Raises:
        RefusedError: its id is taken, or a source is no message of its scope.
    """
    if connection.execute(_TAKEN, (memory.id,)).fetchone() is not None:
        raise RefusedError(f"There is a memory {memory.id} already; edit that one.")
    memory = replace(memory, version=1)
    _check_sources(connection, memory)
    connection.execute(_ADD, _row(memory))
    _write_sources(connection, memory)
    _event(connection, memory, before=None, after=described(memory), cause=cause)
    if memory.state in RECALLABLE:
        outbox.add(connection, memory.scope, "memory", [memory.id], "upsert")
    return memory


def changed(connection: sqlite3.Connection, memory: Memory, cause: Cause, **changes: Any) -> Memory:
    """Write a new version of *memory* with *changes*; without a difference nothing is written.

    Raises:
        RefusedError: the state may not change so, or a source is no message of its scope.
        ValueError: a field has no such value.
    """
    proposed = replace(memory, **_typed(changes))
    if not may_become(memory.state, proposed.state):
        raise RefusedError(
            f"Memory {memory.id} is {memory.state.value} and cannot become {proposed.state.value}. "
            "`ltmld inspect` shows what can be done with it."
        )
    if proposed.state is not memory.state:
        proposed = replace(proposed, retired_at=None if proposed.state in RECALLABLE else cause.at)
    old, new = described(memory), described(proposed)
    differing = {name for name, value in new.items() if value != old[name]}
    if not differing:
        return memory
    proposed = replace(proposed, version=memory.version + 1)
    _check_sources(connection, proposed)
    connection.execute(_CHANGE, _row(proposed))
    if "sources" in differing:
        connection.execute("DELETE FROM sources WHERE memory_id = ?", (memory.id,))
        _write_sources(connection, proposed)
    before = {name: old[name] for name in differing}
    _event(connection, proposed, before=before, after={name: new[name] for name in differing}, cause=cause)
    _tell_index(connection, proposed, differing)
    if memory.state is MemoryState.DISPUTED and proposed.state is not MemoryState.DISPUTED:
        connection.execute(_SETTLE, {"id": memory.id, "at": stamp(cause.at)})
    return proposed


def used(connection: sqlite3.Connection, ids: Sequence[str], at: datetime) -> None:
    """Note that these memories were used."""
    connection.execute(_USED, (stamp(at), dumped(ids)))


def described(memory: Memory) -> dict[str, Any]:
    """Return *memory* as a JSON object, without its version."""
    row = _row(memory)
    del row["version"]
    row["pinned"] = memory.pinned
    row["cues"] = list(memory.cues)
    row["sources"] = [{"message_id": one.message_id, "quote": clean(one.quote)} for one in memory.sources]
    return row


def _typed(changes: dict[str, Any]) -> dict[str, Any]:
    """Return *changes* with words for kinds and states as what they mean, and lists as tuples."""
    typed = dict(changes)
    if "kind" in typed:
        typed["kind"] = MemoryKind(typed["kind"])
    if "state" in typed:
        typed["state"] = MemoryState(typed["state"])
    for name in ("cues", "sources"):
        if name in typed:
            typed[name] = tuple(typed[name])
    return typed


def _row(memory: Memory) -> dict[str, Any]:
    return {
        "id": memory.id,
        "scope": memory.scope,
        "kind": memory.kind.value,
        "text": clean(memory.text),
        "subject": clean(memory.subject),
        "attribute": clean(memory.attribute),
        "importance": float(memory.importance),
        "confidence": float(memory.confidence),
        "frequency": memory.frequency,
        "strength": float(memory.strength),
        "stability_days": float(memory.stability_days),
        "state": memory.state.value,
        "pinned": int(memory.pinned),
        "cues": clean(dumped(memory.cues)),
        "when": clean(memory.when),
        "valid_from": stamp_or_none(memory.valid_from),
        "valid_to": stamp_or_none(memory.valid_to),
        "recorded_at": stamp(memory.recorded_at),
        "retired_at": stamp_or_none(memory.retired_at),
        "used_at": stamp_or_none(memory.used_at),
        "superseded_by": memory.superseded_by,
        "version": memory.version,
    }


def _check_sources(connection: sqlite3.Connection, memory: Memory) -> None:
    ids = dumped([source.message_id for source in memory.sources])
    unknown = connection.execute(_UNKNOWN_SOURCE, (ids, memory.scope)).fetchone()
    if unknown is not None:
        raise RefusedError(
            f"Memory {memory.id} names message {unknown['value']!r} as a source, and scope {memory.scope} has none "
            "such. Draw it from a message of its scope."
        )


def _write_sources(connection: sqlite3.Connection, memory: Memory) -> None:
    rows = [
        (memory.id, position, source.message_id, clean(source.quote))
        for position, source in enumerate(memory.sources)
    ]
    connection.executemany(_ADD_SOURCE, rows)


def _event(
    connection: sqlite3.Connection,
    memory: Memory,
    *,
    before: dict[str, Any] | None,
    after: dict[str, Any],
    cause: Cause,
) -> None:
    was = None if before is None else clean(dumped(before))
    row = (
        memory.id,
        memory.version,
        clean(cause.words),
        cause.cycle_id,
        was,
        clean(dumped(after)),
        stamp(cause.at),
    )
    connection.execute(_ADD_EVENT, row)


def _tell_index(connection: sqlite3.Connection, memory: Memory, differing: set[str]) -> None:
    if not differing - _UNSEEN:
        return
    known = memory.state in RECALLABLE
    outbox.add(connection, memory.scope, "memory", [memory.id], "upsert" if known else "delete")
