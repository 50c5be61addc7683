"""Branches: which replies still count when a message was answered more than once.

Rules:
1. A reply that nothing follows is retracted when another reply to the same message comes to stand on the
   path of a request: it was regenerated, edited by the client, or cut short and asked for again.
2. A reply that the conversation went on from is a branch; it stays.
3. A reply that was cut short never takes the place of a complete one.
4. A retracted message that is met again on a path counts again: the client went back to it.
5. A retraction is a row beside the message, and a deletion for the index; the message stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from ltmld.ledger import outbox
from ltmld.ledger.spelling import dumped, stamp

_RETRACTED = """
    SELECT message_id FROM retractions WHERE message_id IN (SELECT value FROM json_each(?))
"""

_REVIVE = "DELETE FROM retractions WHERE message_id = ?"

_RETRACT = "INSERT OR IGNORE INTO retractions (message_id, exchange_id, at) VALUES (?, ?, ?)"

# The other answers to the same message that still count and that nothing follows. A reply is complete
# when some exchange that ended well brought it, or when it came in a client's own history.
_RIVALS = """
    SELECT rival.id,
        NOT EXISTS (SELECT 1 FROM exchanges WHERE reply_message_id = rival.id)
        OR EXISTS (SELECT 1 FROM exchanges WHERE reply_message_id = rival.id AND outcome = 'completed')
        AS complete
    FROM messages AS here
    JOIN messages AS rival
      ON rival.parent_id IS here.parent_id AND rival.thread_id = here.thread_id AND rival.id <> here.id
    WHERE here.id = ?
      AND here.role = 'assistant'
      AND rival.role = 'assistant'
      AND NOT EXISTS (SELECT 1 FROM retractions WHERE message_id = rival.id)
      AND NOT EXISTS (SELECT 1 FROM messages AS child WHERE child.parent_id = rival.id)
"""


def settle(
    connection: sqlite3.Connection,
    *,
    exchange_id: str,
    scope: str,
    known_ids: Sequence[str],
    new_ids: Sequence[str],
    partial_reply_id: str | None,
    at: datetime,
) -> None:
    """Make the path of an exchange the one that counts."""
    revived = [row["message_id"] for row in connection.execute(_RETRACTED, (dumped(known_ids),))]
    for message_id in revived:
        connection.execute(_REVIVE, (message_id,))
    outbox.add(connection, scope, "message", revived, "upsert")
    for message_id in [*revived, *new_ids]:
        rivals = connection.execute(_RIVALS, (message_id,)).fetchall()
        lost = [row["id"] for row in rivals]
        if message_id == partial_reply_id and any(row["complete"] for row in rivals):
            lost = [message_id]
        connection.executemany(_RETRACT, [(one, exchange_id, stamp(at)) for one in lost])
        outbox.add(connection, scope, "message", lost, "delete")
