"""The outbox: what changed in the ledger and is not yet in the index.

Rules:
1. A row is written in the transaction of the change it tells of: a crash between the two loses nothing.
2. Rows are worked off in order of their ids, and removed only after the index took them.
3. Ids are never used twice, so that ``done`` cannot remove a row that came later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["message", "memory"]
Operation = Literal["upsert", "delete"]

_ADD = "INSERT INTO outbox (scope, kind, entity_id, op) VALUES (?, ?, ?, ?)"

_OLDEST = "SELECT id, scope, kind, entity_id, op FROM outbox ORDER BY id LIMIT ?"

# Only what can be recalled: words that were said and still count, memories that may surface.
_ALL_MESSAGES = """
    INSERT INTO outbox (scope, kind, entity_id, op)
    SELECT scope, 'message', id, 'upsert' FROM messages
    WHERE role IN ('user', 'assistant')
      AND text <> ''
      AND id NOT IN (SELECT message_id FROM retractions)
    ORDER BY id
"""
_ALL_MEMORIES = """
    INSERT INTO outbox (scope, kind, entity_id, op)
    SELECT scope, 'memory', id, 'upsert' FROM memories
    WHERE state IN ('active', 'disputed')
    ORDER BY id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One change for the index: put an entity in as it is now, or take it out."""

    id: int
    scope: str
    kind: Kind
    entity_id: str
    op: Operation


def add(connection: sqlite3.Connection, scope: str, kind: Kind, ids: Iterable[str], op: Operation) -> None:
    """Leave a row for each of *ids*."""
    connection.executemany(_ADD, [(scope, kind, entity_id, op) for entity_id in ids])


def oldest(connection: sqlite3.Connection, limit: int) -> list[OutboxRow]:
    """Return the next rows to work off."""
    return [OutboxRow(**dict(row)) for row in connection.execute(_OLDEST, (limit,))]


def done(connection: sqlite3.Connection, through_id: int) -> None:
    """Remove the rows up to and including *through_id*."""
    connection.execute("DELETE FROM outbox WHERE id <= ?", (through_id,))


def depth(connection: sqlite3.Connection) -> int:
    """Return how many rows wait."""
    return int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0])


def refill(connection: sqlite3.Connection) -> int:
    """Ask for everything again; return how many rows wait then. Deletions that waited go first."""
    connection.execute("DELETE FROM outbox WHERE op = 'upsert'")
    connection.execute(_ALL_MESSAGES)
    connection.execute(_ALL_MEMORIES)
    return depth(connection)
