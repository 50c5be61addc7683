"""Openings: two requests that begin one conversation at the same moment.

Both are placed while the ledger knows neither (one prompt sent to two models at once), each in a thread of its
own. When the second is recorded the first is known, and the two are one conversation.

Rules:
1. Only a turn without a key, placed in a thread that does not exist, is looked for again.
2. The user's first message has to be known, not just a greeting before it that the application says to everybody.
3. What was known for longer than ``SAME_OPENING`` is another conversation that begins with the same words.
"""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from ltmld.core.exchange import Turn
from ltmld.core.message import Role
from ltmld.ledger import messages, threads

SAME_OPENING = timedelta(minutes=10)


def thread_of(connection: sqlite3.Connection, turn: Turn) -> str:
    """Return the id of the thread that *turn* is to be recorded in."""
    if turn.thread_key or not turn.path or threads.exists(connection, turn.thread_id):
        return turn.thread_id
    chains = [said.chain for said in turn.path]
    found = threads.locate(connection, scope=turn.scope, thread_key="", chains=chains)
    roles = [said.message.role for said in turn.path]
    if found is None or Role.USER not in roles[: found.depth]:
        return turn.thread_id
    [known] = messages.by_ids(connection, found.message_ids[-1:])
    now = turn.path[-1].at or turn.started_at
    # Either may have been asked first: the one that was answered first is recorded first.
    return found.thread_id if abs(now - known.at) <= SAME_OPENING else turn.thread_id
