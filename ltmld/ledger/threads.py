"""Threads: conversations as their clients see them, found again by key or by chain.

Rules:
1. A key names one thread of one scope; a thread never changes its scope, and takes the first key it gets.
2. A thread is a tree of messages; where a request continues it is the deepest message of the request's
   path that is known, and everything before that message is known as well.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ltmld.core.exchange import PathMessage, Placement
from ltmld.core.message import Role
from ltmld.ledger import windows
from ltmld.ledger.pages import Cursor, bounded, spelled
from ltmld.ledger.spelling import clean, dumped, moment, stamp, unpacked

# A continued conversation is nearly always known up to its last two messages; looking from the end, in
# growing steps, finds it in one look-up of constant size.
_STEP_FIRST, _STEP_GROWTH = 16, 8

TITLE_CHARACTERS_MAX = 80

# What somebody said first and what was answered.
_OPENING = 2

_BY_KEY = "SELECT id FROM threads WHERE scope = ? AND key = ?"

_BY_ID = "SELECT scope, key FROM threads WHERE id = ?"

_ADD = "INSERT INTO threads (id, scope, key, started_at, last_at) VALUES (?, ?, ?, ?, ?)"

_TOUCH = """
    UPDATE threads
    SET last_at = max(last_at, :last_at), started_at = min(started_at, :started_at),
        key = CASE key WHEN '' THEN :key ELSE key END
    WHERE id = :id
"""

# Of more conversations that begin alike, the ones that began last are looked at: a greeting is said every day.
_ALIKE_MAX = 64
# The one in which nothing follows yet is meant, unless another one was talked in this much later.
LEAF_LEAD = timedelta(hours=12)

# A client sends one new message, or two where it changed the last answer: more that are not known mean that it
# has put something else in place of the old ones.
_UNKNOWN_MIN = 3

# An answer and what it answered, and what is asked now: of less there is nothing to lay anywhere.
_WINDOW_MIN = 3

# CROSS JOIN is SQLite's word for "in this order": a few look-ups by hash, where its planner would rather read
# the whole scope.
_STEP = """
    SELECT steps.key AS step
    FROM json_each(:chains) AS steps
    WHERE EXISTS (
        SELECT 1 FROM messages
        WHERE messages.scope = :scope AND messages.chain = steps.value
          AND :thread_id IN ('', messages.thread_id)
    )
    ORDER BY steps.key DESC
    LIMIT 1
"""

_THREADS_AT = """
    SELECT messages.thread_id, messages.id, messages.ordinal, threads.key, threads.last_at,
        NOT EXISTS (SELECT 1 FROM messages AS child WHERE child.parent_id = messages.id) AS leaf
    FROM (
        SELECT * FROM messages
        WHERE scope = :scope AND chain = :chain AND :thread_id IN ('', thread_id)
        ORDER BY rowid DESC LIMIT :alike
    ) AS messages
    CROSS JOIN threads ON threads.id = messages.thread_id
    ORDER BY threads.last_at DESC, threads.rowid DESC
"""

_WENT_ON = """
    SELECT 1 FROM messages
    WHERE thread_id = ? AND role = 'user' AND ordinal > (SELECT ordinal FROM messages WHERE id = ?)
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

_LAST = """
    SELECT thread_id, coalesce(reply_message_id, prompt_message_id) AS message_id FROM exchanges
    WHERE thread_id = ? AND scope = ? AND coalesce(reply_message_id, prompt_message_id) IS NOT NULL
    ORDER BY started_at DESC, rowid DESC
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

# What an edit or another answer has taken the place of is not what a person sees in the client either.
_PAGE = """
    SELECT threads.id, threads.scope, threads.key, threads.started_at, threads.last_at,
        (
            SELECT count(*) FROM messages
            WHERE messages.thread_id = threads.id
              AND NOT EXISTS (SELECT 1 FROM retractions WHERE retractions.message_id = messages.id)
        ) AS messages,
        (
            SELECT messages.text FROM messages
            WHERE messages.thread_id = threads.id AND messages.role = 'user'
              AND NOT EXISTS (SELECT 1 FROM retractions WHERE retractions.message_id = messages.id)
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


def key_of(connection: sqlite3.Connection, thread_id: str) -> str | None:
    """Return the key of a thread, empty where it has none; ``None`` where there is no such thread."""
    row = connection.execute(_BY_ID, (thread_id,)).fetchone()
    return None if row is None else str(row["key"])


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
    *path* tells the words, too, a window of a thread is found by them: see ``windows``.
    """
    keyed = by_key(connection, scope, thread_key) if thread_key else ""
    if keyed is None:
        return _without_key(connection, scope=scope, chains=chains)
    found = _deepest(connection, scope=scope, thread_id=keyed, chains=chains)
    if found and not keyed:
        found = _asked_elsewhere(connection, scope, found, chains, path) or found
    depth = found.depth if found else 0
    window = None
    if (found or keyed) and not (found and found.leaf) and len(path) >= _WINDOW_MIN:
        window = windows.at_the_end(connection, found.thread_id if found else keyed, path, depth=depth)
    if window is None and keyed and not found:
        window = windows.aligned(connection, keyed, path)
    if window is None and len(path) - depth >= _UNKNOWN_MIN:
        window = windows.by_pairs(
            connection,
            scope=scope,
            thread_id=found.thread_id if found else keyed,
            path=path,
            since=depth,
            ordinal=found.ordinal if found else -1,
        )
    if window is not None:
        return _placed(window)
    if found is None:
        return Placement(thread_id=keyed, depth=0, message_ids=()) if keyed else None
    ids = tuple(known_chains(connection, found.thread_id, chains[:depth]).values())
    alone = sum(one.message.role is Role.USER for one in path) == 1
    return Placement(
        thread_id=found.thread_id,
        depth=depth,
        message_ids=ids,
        key="" if thread_key else found.key,
        went_on=alone and _went_on(connection, found.thread_id, ids[-1]),
    )


def locate_context(connection: sqlite3.Connection, *, scope: str, context_sha256: str) -> Placement | None:
    """Return the place after the reply that came with this generate ``context``, with the chains that lead there."""
    row = connection.execute(_BY_CONTEXT, (scope, context_sha256)).fetchone() if context_sha256 else None
    return _after(connection, row)


def locate_end(connection: sqlite3.Connection, scope: str, thread_id: str) -> Placement | None:
    """Return the place after what was said last in a thread, with the chains that lead there."""
    return _after(connection, connection.execute(_LAST, (thread_id, scope)).fetchone())


def _after(connection: sqlite3.Connection, row: sqlite3.Row | None) -> Placement | None:
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


def _went_on(connection: sqlite3.Connection, thread_id: str, message_id: str) -> bool:
    return connection.execute(_WENT_ON, (thread_id, message_id)).fetchone() is not None


def _placed(window: windows.Window) -> Placement:
    return Placement(
        thread_id=window.thread_id,
        depth=len(window.message_ids),
        message_ids=window.message_ids,
        chains=window.chains,
        skipped=window.skipped,
    )


def _without_key(connection: sqlite3.Connection, *, scope: str, chains: Sequence[str]) -> Placement | None:
    """Return the place in a thread that has no key yet: its client has begun to send one."""
    found = _deepest(connection, scope=scope, thread_id="", chains=chains)
    # One message known alone says little: the application greets everybody with it, or everybody begins so.
    if found is None or found.key or found.depth < _OPENING:
        return None
    ids = tuple(known_chains(connection, found.thread_id, chains[: found.depth]).values())
    return Placement(thread_id=found.thread_id, depth=found.depth, message_ids=ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The deepest known message of a path."""

    thread_id: str
    key: str
    depth: int
    ordinal: int
    last_at: str
    leaf: bool


def _deepest(
    connection: sqlite3.Connection, *, scope: str, thread_id: str, chains: Sequence[str]
) -> _Found | None:
    end, step = len(chains), _STEP_FIRST
    while end > 0:
        start = max(0, end - step)
        values = {"scope": scope, "thread_id": thread_id, "chains": dumped(chains[start:end])}
        row = connection.execute(_STEP, values).fetchone()
        if row is not None:
            depth = start + int(row["step"]) + 1
            at = {"scope": scope, "thread_id": thread_id, "chain": chains[depth - 1], "alike": _ALIKE_MAX}
            return _at(_meant(connection.execute(_THREADS_AT, at).fetchall()), depth)
        end, step = start, step * _STEP_GROWTH
    return None


def _at(row: sqlite3.Row, depth: int) -> _Found:
    return _Found(
        thread_id=row["thread_id"],
        key=row["key"],
        depth=depth,
        ordinal=int(row["ordinal"]),
        last_at=row["last_at"],
        leaf=bool(row["leaf"]),
    )


def _asked_elsewhere(
    connection: sqlite3.Connection,
    scope: str,
    found: _Found,
    chains: Sequence[str],
    path: Sequence[PathMessage],
) -> _Found | None:
    """Return the later conversation that asks what was asked word for word in an earlier one, which is *found*.

    All of the path is known there. Where a conversation talked in later ends with the path's last answer, it goes on.
    """
    answers = [place for place, one in enumerate(path) if one.message.role is Role.ASSISTANT]
    if found.depth < len(chains) or not answers or answers[-1] == len(chains) - 1:
        return None
    depth = answers[-1] + 1
    at = {"scope": scope, "thread_id": "", "chain": chains[depth - 1], "alike": _ALIKE_MAX}
    rows = connection.execute(_THREADS_AT, at).fetchall()
    later = (row for row in rows if row["leaf"] and not row["key"] and row["last_at"] > found.last_at)
    return next((_at(row, depth) for row in later), None)


def _meant(rows: Sequence[sqlite3.Row]) -> sqlite3.Row:
    """Return which of equally deep places is meant: the one talked in last, or lately and left where the path is.

    A client that sends no key means a conversation without one, if there is any.
    """
    rows = [row for row in rows if not row["key"]] or rows
    latest = moment(rows[0]["last_at"])
    leaves = (row for row in rows if row["leaf"] and latest - moment(row["last_at"]) <= LEAF_LEAD)
    return next(leaves, rows[0])
