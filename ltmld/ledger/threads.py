"""Threads: conversations as their clients see them, found again by key or by chain.

Rules:
1. A key names one thread of one scope; a thread never changes its scope, and takes the first key it gets.
2. A thread is a tree of messages; where a request continues it is the deepest message of the request's
   path that is known, and everything before that message is known as well.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ltmld.core.exchange import PathMessage, Placement
from ltmld.ledger import windows
from ltmld.ledger.pages import Cursor, bounded, spelled
from ltmld.ledger.spelling import clean, dumped, stamp, unpacked

# A continued conversation is nearly always known up to its last two messages; looking from the end, in
# growing steps, finds it in one look-up of constant size.
_STEP_FIRST, _STEP_GROWTH = 16, 8

TITLE_CHARACTERS_MAX = 80

_BY_KEY = "SELECT id FROM threads WHERE scope = ? AND key = ?"

_BY_ID = "SELECT scope FROM threads WHERE id = ?"

_ADD = "INSERT INTO threads (id, scope, key, started_at, last_at) VALUES (?, ?, ?, ?, ?)"

_TOUCH = """
    UPDATE threads
    SET last_at = max(last_at, :last_at), started_at = min(started_at, :started_at),
        key = CASE key WHEN '' THEN :key ELSE key END
    WHERE id = :id
"""

# Of several conversations that share this beginning, the one talked in last. CROSS JOIN is SQLite's word
# for "in this order": a few look-ups by hash, where its planner would rather read the whole scope.
_DEEPEST = """
    SELECT messages.thread_id, steps.key AS step
    FROM json_each(:chains) AS steps
    CROSS JOIN messages ON messages.scope = :scope AND messages.chain = steps.value
    CROSS JOIN threads ON threads.id = messages.thread_id
    WHERE :thread_id IN ('', messages.thread_id)
    ORDER BY steps.key DESC, threads.last_at DESC, threads.rowid DESC
    LIMIT 1
"""

_KNOWN = """
    SELECT messages.id, messages.chain
    FROM json_each(:chains) AS steps
    CROSS JOIN messages ON messages.thread_id = :thread_id AND messages.chain = steps.value
    ORDER BY steps.key
"""

_BY_CONTEXT = """
    SELECT exchanges.thread_id, exchanges.reply_message_id AS message_id
    FROM exchanges
    WHERE exchanges.scope = ? AND exchanges.context_sha256 = ? AND exchanges.reply_message_id IS NOT NULL
    ORDER BY exchanges.started_at DESC
    LIMIT 1
"""

_UP = """
    WITH RECURSIVE up (id, parent_id, ordinal, chain) AS (
        SELECT id, parent_id, ordinal, chain FROM messages WHERE id = ?
        UNION ALL
        SELECT messages.id, messages.parent_id, messages.ordinal, messages.chain
        FROM up JOIN messages ON messages.id = up.parent_id
    )
    SELECT id, chain FROM up ORDER BY ordinal
"""

_PAGE = """
    SELECT threads.id, threads.scope, threads.key, threads.started_at, threads.last_at,
        (SELECT count(*) FROM messages WHERE messages.thread_id = threads.id) AS messages,
        (
            SELECT messages.text FROM messages
            WHERE messages.thread_id = threads.id AND messages.role = 'user'
            ORDER BY messages.at, messages.ordinal LIMIT 1
        ) AS title,
        (
            SELECT exchanges.id FROM exchanges
            WHERE exchanges.thread_id = threads.id
            ORDER BY exchanges.started_at DESC, exchanges.id DESC LIMIT 1
        ) AS last_exchange_id
    FROM (
        SELECT * FROM threads
        WHERE (:scope = '' OR scope = :scope)
          AND (:at = '' OR (last_at, id) < (:at, :id))
        ORDER BY last_at DESC, id DESC
        LIMIT :limit
    ) AS threads
    ORDER BY threads.last_at DESC, threads.id DESC
"""


def by_key(connection: sqlite3.Connection, scope: str, key: str) -> str | None:
    """Return the id of the thread that a client of *scope* calls *key*."""
    row = connection.execute(_BY_KEY, (scope, clean(key))).fetchone()
    return None if row is None else str(row["id"])


def opened(
    connection: sqlite3.Connection,
    *,
    thread_id: str,
    scope: str,
    key: str,
    started_at: datetime,
    last_at: datetime,
) -> str:
    """Return the id of the thread, made if need be and marked as talked in; a known *key* decides over *thread_id*.

    Raises:
        ValueError: *thread_id* is a thread of another scope.
    """
    found = by_key(connection, scope, key) if key else None
    if found is None:
        row = connection.execute(_BY_ID, (thread_id,)).fetchone()
        if row is not None and row["scope"] != scope:
            raise ValueError(f"thread {thread_id} is of scope {row['scope']}, not {scope}")
        if row is None:
            connection.execute(_ADD, (thread_id, scope, clean(key), stamp(started_at), stamp(last_at)))
    identity = found or thread_id
    touched = {"id": identity, "key": clean(key), "last_at": stamp(last_at), "started_at": stamp(started_at)}
    connection.execute(_TOUCH, touched)
    return identity


def exists(connection: sqlite3.Connection, thread_id: str) -> bool:
    """Tell whether there is such a thread."""
    return connection.execute(_BY_ID, (thread_id,)).fetchone() is not None


def locate(
    connection: sqlite3.Connection,
    *,
    scope: str,
    thread_key: str,
    chains: Sequence[str],
    path: Sequence[PathMessage] = (),
) -> Placement | None:
    """Return where a path with these chains continues what is known, ``None`` where nothing is.

    With a *thread_key* only its thread counts; it is found at depth 0 even when none of its messages is. Where
    *path* tells the words, too, a window of that thread is found by them: see ``windows``.
    """
    thread_id = ""
    if thread_key:
        known = by_key(connection, scope, thread_key)
        if known is None:
            return None
        thread_id = known
    found = _deepest(connection, scope=scope, thread_id=thread_id, chains=chains)
    if found is None:
        return _in_window(connection, thread_id, path) if thread_id else None
    thread_id, depth = found
    ids = tuple(known_chains(connection, thread_id, chains[:depth]).values())
    return Placement(thread_id=thread_id, depth=depth, message_ids=ids)


def locate_context(connection: sqlite3.Connection, *, scope: str, context_sha256: str) -> Placement | None:
    """Return the place after the reply that came with this generate ``context``, with the chains that lead there."""
    row = connection.execute(_BY_CONTEXT, (scope, context_sha256)).fetchone() if context_sha256 else None
    if row is None:
        return None
    up = connection.execute(_UP, (row["message_id"],)).fetchall()
    return Placement(
        thread_id=row["thread_id"],
        depth=len(up),
        message_ids=tuple(found["id"] for found in up),
        chains=tuple(found["chain"] for found in up),
    )


def known_chains(connection: sqlite3.Connection, thread_id: str, chains: Sequence[str]) -> dict[str, str]:
    """Return the known ones of *chains*, in their order, with the ids of their messages."""
    rows = connection.execute(_KNOWN, {"thread_id": thread_id, "chains": dumped(chains)})
    return {row["chain"]: row["id"] for row in rows}


def page(
    connection: sqlite3.Connection, *, scope: str, limit: int, cursor: str
) -> tuple[list[dict[str, Any]], str]:
    """Return threads, the latest first, and the cursor of the next page ('' when this is the last)."""
    start = Cursor.parse(cursor)
    values = {"scope": scope, "at": start.at, "id": start.id, "limit": bounded(limit)}
    rows = [dict(row) for row in connection.execute(_PAGE, values)]
    for row in rows:
        row["title"] = " ".join(unpacked(row["title"] or "").split())[:TITLE_CHARACTERS_MAX]
    return rows, spelled(rows, at="last_at", limit=limit)


def _in_window(connection: sqlite3.Connection, thread_id: str, path: Sequence[PathMessage]) -> Placement:
    window = windows.aligned(connection, thread_id, path)
    if window is None:
        return Placement(thread_id=thread_id, depth=0, message_ids=())
    ids = window.message_ids
    return Placement(thread_id=thread_id, depth=len(ids), message_ids=ids, chains=window.chains)


def _deepest(
    connection: sqlite3.Connection, *, scope: str, thread_id: str, chains: Sequence[str]
) -> tuple[str, int] | None:
    end, step = len(chains), _STEP_FIRST
    while end > 0:
        start = max(0, end - step)
        values = {"scope": scope, "thread_id": thread_id, "chains": dumped(chains[start:end])}
        row = connection.execute(_DEEPEST, values).fetchone()
        if row is not None:
            return row["thread_id"], start + int(row["step"]) + 1
        end, step = start, step * _STEP_GROWTH
    return None
