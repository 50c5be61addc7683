"""Messages as they are read back: by id, along a thread, and those that no sleep has looked at yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ltmld.core.exchange import StoredMessage
from ltmld.ledger.spelling import dumped, moment, unpacked

Neighbors = dict[str, tuple[StoredMessage | None, StoredMessage | None]]

_COLUMNS = """
    messages.id, messages.scope, messages.thread_id, messages.exchange_id, messages.parent_id,
    messages.ordinal, messages.role, messages.speaker, messages.text, messages.at, messages.ref
"""

_BY_IDS = f"""
    SELECT {_COLUMNS}
    FROM json_each(?) AS wanted CROSS JOIN messages ON messages.id = wanted.value
    ORDER BY wanted.key
"""  # noqa: S608 - the columns are ours

_PREVIOUS = f"""
    SELECT wanted.value AS wanted_id, {_COLUMNS}
    FROM json_each(?) AS wanted
    CROSS JOIN messages AS here ON here.id = wanted.value
    CROSS JOIN messages ON messages.id = here.parent_id
"""  # noqa: S608 - the columns are ours

# Where a conversation was branched, the latest branch is the one that goes on.
_NEXT = f"""
    SELECT wanted.value AS wanted_id, {_COLUMNS}
    FROM json_each(?) AS wanted
    CROSS JOIN messages ON messages.id = (
        SELECT child.id FROM messages AS child
        WHERE child.parent_id = wanted.value
          AND child.id NOT IN (SELECT message_id FROM retractions)
        ORDER BY child.rowid DESC
        LIMIT 1
    )
"""  # noqa: S608 - the columns are ours

_OF_THREAD = f"""
    SELECT {_COLUMNS} FROM messages
    WHERE thread_id = ? AND id NOT IN (SELECT message_id FROM retractions)
    ORDER BY ordinal, rowid
"""  # noqa: S608 - the columns are ours

_UNGATHERED = f"""
    SELECT {_COLUMNS} FROM messages
    WHERE scope = ?
      AND role IN ('user', 'assistant')
      AND text <> ''
      AND NOT EXISTS (SELECT 1 FROM verdicts WHERE verdicts.message_id = messages.id)
      AND NOT EXISTS (SELECT 1 FROM retractions WHERE retractions.message_id = messages.id)
    ORDER BY at, ordinal, rowid
    LIMIT ?
"""  # noqa: S608 - the columns are ours


def by_ids(connection: sqlite3.Connection, ids: Sequence[str]) -> list[StoredMessage]:
    """Return the messages with these ids, in their order; unknown ids are left out."""
    return [message(row) for row in connection.execute(_BY_IDS, (dumped(ids),))]


def neighbors(connection: sqlite3.Connection, ids: Sequence[str]) -> Neighbors:
    """Return, for each of *ids*, the message before it and the one after it along its thread."""
    wanted = (dumped(ids),)
    before = {row["wanted_id"]: message(row) for row in connection.execute(_PREVIOUS, wanted)}
    after = {row["wanted_id"]: message(row) for row in connection.execute(_NEXT, wanted)}
    return {identity: (before.get(identity), after.get(identity)) for identity in ids}


def of_thread(connection: sqlite3.Connection, thread_id: str) -> list[StoredMessage]:
    """Return the messages of a thread that still count, by depth, branches in order of arrival."""
    return [message(row) for row in connection.execute(_OF_THREAD, (thread_id,))]


def ungathered(connection: sqlite3.Connection, scope: str, limit: int) -> list[StoredMessage]:
    """Return what was said in *scope*, still counts and has no verdict, the oldest first."""
    return [message(row) for row in connection.execute(_UNGATHERED, (scope, limit))]


def message(row: sqlite3.Row) -> StoredMessage:
    """Return the message in *row*."""
    return StoredMessage(
        id=row["id"],
        scope=row["scope"],
        thread_id=row["thread_id"],
        exchange_id=row["exchange_id"],
        parent_id=row["parent_id"],
        ordinal=row["ordinal"],
        role=row["role"],
        speaker=row["speaker"],
        text=unpacked(row["text"]),
        at=moment(row["at"]),
        ref=row["ref"],
    )
