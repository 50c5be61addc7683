"""Pairs: an answer and what it answered, found again wherever in a conversation they stand.

A chain begins at a conversation's first message; a client that drops its oldest messages, or puts a summary in
their place, changes every chain. What it still sends are answers right after what they answered.

Rules:
1. A pair is an assistant's words and the words of the message before it; empty words make none.
2. Each recorded answer leaves its pair, in the transaction of its exchange.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import sha256

from ltmld.core.chain import normalized
from ltmld.core.exchange import PathMessage
from ltmld.core.message import Message, Role
from ltmld.ledger.spelling import clean, dumped

# Of several places with the same pair the latest ones are looked at: people say "yes" more often than that.
CANDIDATES_MAX = 8

_ADD = "INSERT OR IGNORE INTO pairs (scope, mark, message_id) VALUES (?, ?, ?)"

# The ids of messages are in the order of time.
_FIND = """
    SELECT messages.id, messages.thread_id, messages.chain, messages.ordinal
    FROM pairs CROSS JOIN messages ON messages.id = pairs.message_id
    WHERE pairs.scope = :scope AND pairs.mark = :mark AND :thread_id IN ('', messages.thread_id)
    ORDER BY pairs.message_id DESC
    LIMIT :limit
"""

_KNOWN = """
    SELECT DISTINCT steps.key AS step
    FROM json_each(:marks) AS steps
    CROSS JOIN pairs ON pairs.scope = :scope AND pairs.mark = steps.value
    ORDER BY steps.key DESC
"""


def mark(before: Message, answer: Message) -> str:
    """Return the hash of an answer and what it answered, empty where it is no pair."""
    words, answered = normalized(clean(answer.text)), normalized(clean(before.text))
    if answer.role is not Role.ASSISTANT or not words or not answered:
        return ""
    return sha256(f"{before.role.value}\x1f{answered}\x1f{words}".encode()).hexdigest()[:32]


def add(connection: sqlite3.Connection, scope: str, found: Iterable[tuple[str, str]]) -> None:
    """Add marks, each with the id of its answer."""
    connection.executemany(_ADD, [(scope, one, message_id) for one, message_id in found if one])


def known(
    connection: sqlite3.Connection, scope: str, path: Sequence[PathMessage], *, since: int
) -> list[int]:
    """Return the places in *path* of answers whose pairs are known, the last first; none before *since*."""
    marks = [mark(path[place - 1].message, path[place].message) for place in range(max(1, since), len(path))]
    if not any(marks):
        return []
    rows = connection.execute(_KNOWN, {"scope": scope, "marks": dumped(marks)})
    return [max(1, since) + int(row["step"]) for row in rows]


def answers(
    connection: sqlite3.Connection, *, scope: str, thread_id: str, before: Message, answer: Message
) -> list[sqlite3.Row]:
    """Return the latest messages that are this answer to these words, in *thread_id* or, without one, anywhere."""
    values = {
        "scope": scope,
        "mark": mark(before, answer),
        "thread_id": thread_id,
        "limit": CANDIDATES_MAX,
    }
    return connection.execute(_FIND, values).fetchall()
