"""What the ledger holds, in numbers and names, and whether it holds together."""

from __future__ import annotations

import sqlite3

from ltmld.core.memory import MemoryState

_SCOPES = """
    SELECT DISTINCT scope FROM threads
    UNION SELECT DISTINCT scope FROM memories
    ORDER BY scope
"""

_COUNTS = """
    SELECT
        (SELECT count(*) FROM exchanges WHERE :scope IN ('', scope)) AS exchanges,
        (SELECT count(*) FROM messages WHERE :scope IN ('', scope)) AS messages,
        (SELECT count(*) FROM threads WHERE :scope IN ('', scope)) AS threads
"""

_STATES = "SELECT state, count(*) AS memories FROM memories WHERE :scope IN ('', scope) GROUP BY state"

_LAST_MODEL = "SELECT model FROM exchanges WHERE model <> '' ORDER BY rowid DESC LIMIT 1"

_WITHOUT_SOURCES = "SELECT id FROM memories WHERE id NOT IN (SELECT memory_id FROM sources) ORDER BY id"

_LOST_ROWS = """
    SELECT id, kind, entity_id FROM outbox
    WHERE op = 'upsert'
      AND entity_id NOT IN (SELECT id FROM messages UNION ALL SELECT id FROM memories)
    ORDER BY id
"""


def scopes(connection: sqlite3.Connection) -> list[str]:
    """Return the scopes that anything was recorded for."""
    return [row["scope"] for row in connection.execute(_SCOPES)]


def counts(connection: sqlite3.Connection, scope: str) -> dict[str, int]:
    """Return how many there are of each noun, in one scope or ('') in all; memories also per state."""
    found = {
        name: int(count)
        for name, count in dict(connection.execute(_COUNTS, {"scope": scope}).fetchone()).items()
    }
    states = {row["state"]: int(row["memories"]) for row in connection.execute(_STATES, {"scope": scope})}
    found["memories"] = sum(states.values())
    found.update({f"memories_{state.value}": states.get(state.value, 0) for state in MemoryState})
    return found


def last_model(connection: sqlite3.Connection) -> str:
    """Return the model that was talked to last, '' when none was."""
    row = connection.execute(_LAST_MODEL).fetchone()
    return "" if row is None else str(row["model"])


def integrity(connection: sqlite3.Connection) -> list[str]:
    """Return what is wrong with the ledger, one sentence each; empty when all is well."""
    return [
        *(f"SQLite: {row[0]}" for row in connection.execute("PRAGMA quick_check") if row[0] != "ok"),
        *(
            f"row {row['rowid']} of {row['table']} names a row of {row['parent']} that is not there"
            for row in connection.execute("PRAGMA foreign_key_check")
        ),
        *(f"memory {row['id']} has no sources" for row in connection.execute(_WITHOUT_SOURCES)),
        *(
            f"outbox row {row['id']} names {row['kind']} {row['entity_id']}, which is not there"
            for row in connection.execute(_LOST_ROWS)
        ),
    ]
