"""Branches: which messages still count where a conversation goes more than one way.

Rules:
1. What a client last showed counts: where its path leaves the one that counted, the old tail is retracted, with
   all that follows it. Regenerated, edited, cut short and asked for again, it is the same.
2. A retracted message that is met again on a path counts again: the client went back to it.
3. A reply that was cut short never takes the place of a complete one.
4. An exchange that began before one that is recorded already shows nothing newer: it takes no message's place.
5. Two conversations that only open alike stay both. Without a key: when they part after one message of the user
   and the other one went on, or after what no reply of here stands before. With a key, which clients give to
   more than one conversation: when their first messages are not alike.
6. No more than ``TAIL_MAX`` messages are retracted at once: so long a conversation is not taken back by an edit.
7. A retraction is a row beside the message, and a deletion for the index; the message stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ltmld.core.chain import normalized
from ltmld.core.message import Role
from ltmld.ledger import outbox, withdrawing
from ltmld.ledger.spelling import dumped, stamp, unpacked

TAIL_MAX = 256
# An answer that takes longer is not waited for; a clock that was set back must not make every answer a late one.
LATE_MAX = timedelta(hours=1)
# Of the words of two first messages together: an edit keeps most, another conversation hardly any.
ALIKE_SHARE = 0.5

_RETRACTED = """
    SELECT message_id FROM retractions WHERE message_id IN (SELECT value FROM json_each(?))
"""

_REVIVE = "DELETE FROM retractions WHERE message_id = ?"

_RETRACT = "INSERT OR IGNORE INTO retractions (message_id, exchange_id, at) VALUES (?, ?, ?)"

_LATE = "SELECT 1 FROM exchanges WHERE thread_id = ? AND started_at > ? AND started_at <= ? LIMIT 1"

# A reply is complete when some exchange that ended well brought it, or when it came in a client's own history.
_HERE = """
    SELECT here.id, here.thread_id, here.role, here.text, here.parent_id, parent.ordinal AS parent_ordinal,
        EXISTS (SELECT 1 FROM exchanges WHERE reply_message_id = here.parent_id) AS after_reply
    FROM messages AS here LEFT JOIN messages AS parent ON parent.id = here.parent_id
    WHERE here.id = ?
"""

_RIVALS = """
    SELECT rival.id, rival.text,
        EXISTS (SELECT 1 FROM messages AS child WHERE child.parent_id = rival.id) AS went_on,
        NOT EXISTS (SELECT 1 FROM exchanges WHERE reply_message_id = rival.id)
        OR EXISTS (SELECT 1 FROM exchanges WHERE reply_message_id = rival.id AND outcome = 'completed')
        AS complete
    FROM messages AS rival
    WHERE rival.parent_id = :parent_id
      AND rival.id <> :id
      AND rival.role = :role
      AND NOT EXISTS (SELECT 1 FROM retractions WHERE message_id = rival.id)
"""

# The plus keeps SQLite from walking the first messages of all threads: they all lack a parent.
_FIRST_RIVALS = """
    SELECT rival.id, rival.text, 1 AS went_on, 1 AS complete
    FROM messages AS rival
    WHERE rival.thread_id = :thread_id
      AND +rival.parent_id IS NULL
      AND rival.id <> :id
      AND rival.role = :role
      AND NOT EXISTS (SELECT 1 FROM retractions WHERE message_id = rival.id)
"""

_TAIL = """
    WITH RECURSIVE tail (id) AS (
        SELECT :id
        UNION ALL
        SELECT messages.id FROM tail JOIN messages ON messages.parent_id = tail.id
    )
    SELECT tail.id, retractions.message_id IS NULL AS counts
    FROM tail LEFT JOIN retractions ON retractions.message_id = tail.id
    LIMIT :limit
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What an exchange shows of its thread."""

    exchange_id: str
    scope: str
    thread_id: str
    keyed: bool
    known_ids: Sequence[str]
    new_ids: Sequence[str]
    partial_reply_id: str | None
    started_at: datetime


def settle(connection: sqlite3.Connection, shown: Shown, *, at: datetime) -> None:
    """Make the path of an exchange the one that counts."""
    if _late(connection, shown):
        for message_id in shown.new_ids:
            _give_way(connection, shown, message_id, at=at)
        return
    revived = [row["message_id"] for row in connection.execute(_RETRACTED, (dumped(shown.known_ids),))]
    connection.executemany(_REVIVE, [(message_id,) for message_id in revived])
    outbox.add(connection, shown.scope, "message", revived, "upsert")
    for message_id in [*revived, *shown.new_ids]:
        _retract(connection, shown, _lost(connection, shown, message_id), at=at)
    withdrawing.give_back(connection, revived, at=at)


def _late(connection: sqlite3.Connection, shown: Shown) -> bool:
    began = (shown.thread_id, stamp(shown.started_at), stamp(shown.started_at + LATE_MAX))
    return connection.execute(_LATE, began).fetchone() is not None


def _give_way(connection: sqlite3.Connection, shown: Shown, message_id: str, *, at: datetime) -> None:
    """Retract a new message of a late exchange where something newer stands in its place."""
    here = connection.execute(_HERE, (message_id,)).fetchone()
    parents = dumped([here["parent_id"]])
    if _lost(connection, shown, message_id) or connection.execute(_RETRACTED, (parents,)).fetchone():
        _retract(connection, shown, [message_id], at=at)


def _lost(connection: sqlite3.Connection, shown: Shown, message_id: str) -> list[str]:
    """Return the messages in whose place this one has come; itself, where it is the one to go."""
    here = connection.execute(_HERE, (message_id,)).fetchone()
    if here["parent_id"] is None:
        return _lost_at_the_start(connection, shown, here)
    place = {"id": here["id"], "parent_id": here["parent_id"], "role": here["role"]}
    rivals = connection.execute(_RIVALS, place).fetchall()
    if message_id == shown.partial_reply_id and any(row["complete"] for row in rivals):
        return [message_id]
    if here["role"] != Role.ASSISTANT.value:
        return [row["id"] for row in rivals] if here["after_reply"] or shown.keyed else []
    opening = not shown.keyed and here["parent_ordinal"] == 0
    return [row["id"] for row in rivals if not (opening and row["went_on"])]


def _lost_at_the_start(connection: sqlite3.Connection, shown: Shown, here: sqlite3.Row) -> list[str]:
    if not shown.keyed:
        return []
    place = {"id": here["id"], "thread_id": here["thread_id"], "role": here["role"]}
    rivals = connection.execute(_FIRST_RIVALS, place).fetchall()
    return [row["id"] for row in rivals if _alike(unpacked(row["text"]), unpacked(here["text"]))]


def _alike(text: str, other: str) -> bool:
    words, others = set(normalized(text).casefold().split()), set(normalized(other).casefold().split())
    return len(words & others) >= ALIKE_SHARE * max(1, len(words | others))


def _retract(connection: sqlite3.Connection, shown: Shown, lost: Sequence[str], *, at: datetime) -> None:
    for message_id in lost:
        values = {"id": message_id, "limit": TAIL_MAX + 1}
        tail = connection.execute(_TAIL, values).fetchall()
        if len(tail) > TAIL_MAX:
            continue
        gone = [row["id"] for row in tail if row["counts"]]
        connection.executemany(_RETRACT, [(one, shown.exchange_id, stamp(at)) for one in gone])
        outbox.add(connection, shown.scope, "message", gone, "delete")
        withdrawing.withdraw(connection, gone, at=at)
