"""Openings: two requests that begin one conversation at the same moment.

Both are placed while the ledger knows neither (one prompt sent to two models at once), each in a thread of its
own. When the second is recorded the first is known, and the two are one conversation.

Rules:
1. Only a turn without a key, placed in a thread that does not exist, is looked for again; one with a key never
   comes to stand in a thread of another key.
2. The user's first message has to be known, not just a greeting before it that the application says to everybody.
3. A conversation that its person has gone on with, or that has a key, is not opened once more.
4. What was known for longer than ``SAME_OPENING`` is another conversation that begins with the same words.
"""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from ltmld.core.clock import NewId
from ltmld.core.exchange import Turn
from ltmld.core.message import Role
from ltmld.ledger import messages, threads

SAME_OPENING = timedelta(minutes=10)


def thread_of(connection: sqlite3.Connection, turn: Turn, *, new_id: NewId) -> str:
    """Return the id of the thread that *turn* is to be recorded in."""
    if turn.thread_key:
        other = threads.key_of(connection, turn.thread_id) not in (None, "", turn.thread_key)
        return new_id("thr") if other else turn.thread_id
    if not turn.path or threads.key_of(connection, turn.thread_id) is not None:
        return turn.thread_id
    chains = [said.chain for said in turn.path]
    found = threads.locate(connection, scope=turn.scope, thread_key="", chains=chains, path=turn.path)
    roles = [said.message.role for said in turn.path]
    if found is None or found.chains or Role.USER not in roles[: found.depth]:
        return turn.thread_id
    [known] = messages.by_ids(connection, found.message_ids[-1:])
    if found.went_on or (found.key and roles.count(Role.USER) == 1):
        return turn.thread_id
    now = turn.path[-1].at or turn.started_at
    # Either may have been asked first: the one that was answered first is recorded first.
    return found.thread_id if abs(now - known.at) <= SAME_OPENING else turn.thread_id
