"""Remembering: what a person tells ltmld directly, as a message first and a memory of it second.

Rules:
1. The words are recorded like any others, as a user's message in an exchange of the dialect
   ``ltmld.remember``, so that the memory's sources are never empty.
2. That message carries a verdict from the start: sleep does not learn from it a second time.
3. Its chain begins with the dialect's name: no client's conversation is ever taken for a continuation of it.
4. A person's word overrides an earlier tombstone.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime

from ltmld.core.chain import chain
from ltmld.core.clock import NewId
from ltmld.core.exchange import Outcome, PathMessage, Reply, Turn
from ltmld.core.memory import Memory, Source
from ltmld.core.message import Message, Role
from ltmld.ledger import changes, exchanges, messages
from ltmld.ledger.changes import Cause
from ltmld.ledger.forgetting import unbury
from ltmld.ledger.spelling import stamp

DIALECT = exchanges.BY_HAND

_ADD_VERDICT = """
    INSERT INTO verdicts (message_id, cycle_id, admitted, score, reason, at)
    VALUES (?, NULL, 1, 1.0, 'remembered by hand', ?)
    ON CONFLICT (message_id) DO NOTHING
"""


def remember(
    connection: sqlite3.Connection, memory: Memory, *, said: str, cause: Cause, new_id: NewId
) -> Memory:
    """Record what was *said* and *memory* drawn from it; sources it brought along are kept where they exist.

    Raises:
        RefusedError: the memory's id is taken.
    """
    message_id = _said(connection, memory.scope, said or memory.text, new_id=new_id, at=cause.at)
    connection.execute(_ADD_VERDICT, (message_id, stamp(cause.at)))
    known = {
        message.id for message in messages.by_ids(connection, [one.message_id for one in memory.sources])
    }
    others = tuple(source for source in memory.sources if source.message_id in known - {message_id})
    unbury(connection, memory.scope, memory.text)
    source = Source(message_id=message_id, quote=said or memory.text)
    return changes.born(connection, replace(memory, sources=(source, *others)), cause)


def _said(connection: sqlite3.Connection, scope: str, words: str, *, new_id: NewId, at: datetime) -> str:
    said = PathMessage(
        message=Message(role=Role.USER, text=words), chain=chain(DIALECT, Role.USER.value, words), at=at
    )
    turn = Turn(
        exchange_id=new_id("exc"),
        scope=scope,
        thread_id=new_id("thr"),
        thread_key=DIALECT,
        dialect=DIALECT,
        path=(said,),
        reply=Reply(),
        reply_chain="",
        outcome=Outcome.COMPLETED,
        status=0,
        model="",
        client="",
        started_at=at,
        finished_at=at,
    )
    recorded = exchanges.record(connection, turn, new_id=new_id, now=at)
    if recorded.new_message_ids:
        return recorded.new_message_ids[0]
    return exchanges.prompt_id(connection, recorded.exchange_id)
