"""Withdrawing: memories go with the messages they were drawn from, and come back with them.

Rules:
1. A memory whose last source that counts was taken back is superseded, by nothing; while one source counts, it
   stands on that one.
2. When a source counts again, what was withdrawn is active again, and nothing else is.
3. What a person pinned stays: they have said so themselves.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from ltmld.core.memory import RECALLABLE, MemoryState
from ltmld.ledger import changes, memories
from ltmld.ledger.changes import Cause
from ltmld.ledger.spelling import dumped

TAKEN_BACK = "taken back in the conversation"
_SAID_AGAIN = "said again in the conversation"

_STANDING_ON = """
    SELECT DISTINCT sources.memory_id
    FROM json_each(?) AS gone
    CROSS JOIN sources ON sources.message_id = gone.value
    ORDER BY sources.memory_id
"""

_STILL_SAID = """
    SELECT 1 FROM sources
    WHERE memory_id = ? AND message_id NOT IN (SELECT message_id FROM retractions)
    LIMIT 1
"""

_LAST_CAUSE = "SELECT cause FROM memory_events WHERE memory_id = ? ORDER BY id DESC LIMIT 1"


def withdraw(connection: sqlite3.Connection, message_ids: Sequence[str], *, at: datetime) -> None:
    """Let go of the memories that no message stands behind any more, now that these are retracted."""
    for memory in memories.by_ids(connection, _standing_on(connection, message_ids)):
        said = connection.execute(_STILL_SAID, (memory.id,)).fetchone()
        if memory.state in RECALLABLE and not memory.pinned and said is None:
            changes.changed(connection, memory, Cause(words=TAKEN_BACK, at=at), state=MemoryState.SUPERSEDED)


def give_back(connection: sqlite3.Connection, message_ids: Sequence[str], *, at: datetime) -> None:
    """Bring back the memories that were withdrawn with these messages, which count again."""
    for memory in memories.by_ids(connection, _standing_on(connection, message_ids)):
        last = connection.execute(_LAST_CAUSE, (memory.id,)).fetchone()
        if memory.state is MemoryState.SUPERSEDED and last is not None and last["cause"] == TAKEN_BACK:
            changes.changed(connection, memory, Cause(words=_SAID_AGAIN, at=at), state=MemoryState.ACTIVE)


def _standing_on(connection: sqlite3.Connection, message_ids: Sequence[str]) -> list[str]:
    return [row["memory_id"] for row in connection.execute(_STANDING_ON, (dumped(message_ids),))]
