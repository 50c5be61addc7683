"""Imports: conversations that took place elsewhere, laid down as if they had been heard here.

Rules:
1. Idempotent: a line whose ref its thread knows, or whose words its thread has at the same time from the
   same role, is skipped. Nothing that is there already is changed.
2. The lines of a thread are one run of messages, in order of time, after what the thread had before.
3. The lines of one thread that are imported together are one exchange of the dialect ``import``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ltmld.core.chain import ROOT, chain, normalized
from ltmld.core.clock import NewId
from ltmld.core.exchange import Outcome, Reply, Turn
from ltmld.core.message import Role
from ltmld.errors import BadInputError
from ltmld.ledger import exchanges, threads
from ltmld.ledger.spelling import clean, dumped, packed, stamp, unpacked

DIALECT = "import"

SPOKEN = frozenset({Role.USER.value, Role.ASSISTANT.value})

_REFS = """
    SELECT messages.ref FROM json_each(?) AS named
    CROSS JOIN messages ON messages.thread_id = ? AND messages.ref = named.value AND messages.ref <> ''
"""

_TIMES = "SELECT role, at, text FROM messages WHERE thread_id = ? AND at BETWEEN ? AND ?"

_TAIL = """
    SELECT id, chain, ordinal FROM messages
    WHERE thread_id = ? AND id NOT IN (SELECT message_id FROM retractions)
    ORDER BY ordinal DESC, rowid DESC
    LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportLine:
    """One message of a conversation that took place elsewhere."""

    scope: str
    thread: str
    at: datetime
    role: str
    text: str
    name: str = ""
    ref: str = ""

    def __post_init__(self) -> None:
        """Refuse a line that cannot become a message."""
        if self.role not in SPOKEN:
            raise BadInputError(f"role {self.role!r} of an import line must be user or assistant")


def import_messages(
    connection: sqlite3.Connection, lines: Sequence[ImportLine], *, new_id: NewId, now: datetime
) -> tuple[int, int]:
    """Record *lines*, given in order of time, and return how many were imported and how many skipped."""
    conversations: dict[tuple[str, str], list[ImportLine]] = {}
    for line in lines:
        conversations.setdefault((line.scope, line.thread), []).append(line)
    imported = sum(
        _import_thread(connection, conversation, new_id=new_id, now=now)
        for conversation in conversations.values()
    )
    return imported, len(lines) - imported


def _import_thread(
    connection: sqlite3.Connection, lines: list[ImportLine], *, new_id: NewId, now: datetime
) -> int:
    # Without a name of its own a conversation still needs one, so that it is found again the next time.
    scope, key = lines[0].scope, clean(lines[0].thread) or DIALECT
    thread_id = threads.by_key(connection, scope, key)
    fresh = _fresh(connection, thread_id, lines)
    if not fresh:
        return 0
    turn = _turn(fresh, exchange_id=new_id("exc"), thread_id=thread_id or new_id("thr"))
    threads.opened(
        connection,
        thread_id=turn.thread_id,
        scope=scope,
        key=key,
        started_at=turn.started_at,
        last_at=turn.finished_at,
    )
    exchanges.add_exchange(connection, exchanges.exchange_row(turn, prompt_id=None, reply_id=None, now=now))
    exchanges.add_messages(connection, _rows(connection, turn, fresh, new_id))
    return len(fresh)


def _fresh(
    connection: sqlite3.Connection, thread_id: str | None, lines: Sequence[ImportLine]
) -> list[ImportLine]:
    refs: set[str] = set()
    said: set[tuple[str, str, str]] = set()
    if thread_id is not None:
        named = dumped([clean(line.ref) for line in lines if line.ref])
        refs = {row["ref"] for row in connection.execute(_REFS, (named, thread_id))}
        span = (thread_id, stamp(lines[0].at), stamp(lines[-1].at))
        for row in connection.execute(_TIMES, span):
            said.add((row["role"], row["at"], normalized(unpacked(row["text"]))))
    fresh: list[ImportLine] = []
    for line in lines:
        words = normalized(clean(line.text))
        same = (line.role, stamp(line.at), words)
        if words and same not in said and clean(line.ref) not in refs:
            fresh.append(line)
            said.add(same)
            refs.update({clean(line.ref)} - {""})
    return fresh


def _turn(lines: Sequence[ImportLine], *, exchange_id: str, thread_id: str) -> Turn:
    return Turn(
        exchange_id=exchange_id,
        scope=lines[0].scope,
        thread_id=thread_id,
        thread_key=lines[0].thread,
        dialect=DIALECT,
        path=(),
        reply=Reply(),
        reply_chain="",
        outcome=Outcome.COMPLETED,
        status=0,
        model="",
        client="",
        started_at=lines[0].at,
        finished_at=lines[-1].at,
    )


def _rows(
    connection: sqlite3.Connection, turn: Turn, lines: Sequence[ImportLine], new_id: NewId
) -> list[dict[str, object]]:
    tail = connection.execute(_TAIL, (turn.thread_id,)).fetchone()
    parent_id, previous, ordinal = (tail["id"], tail["chain"], tail["ordinal"]) if tail else (None, ROOT, -1)
    rows: list[dict[str, object]] = []
    for line in lines:
        previous, ordinal = chain(previous, line.role, line.text), ordinal + 1
        row = {
            "id": new_id("msg"),
            "scope": turn.scope,
            "thread_id": turn.thread_id,
            "exchange_id": turn.exchange_id,
            "parent_id": parent_id,
            "ordinal": ordinal,
            "chain": previous,
            "role": line.role,
            "speaker": clean(line.name) or line.role,
            "text": packed(line.text),
            "attachments": "[]",
            "tool_calls": "[]",
            "tool_call_id": "",
            "at": stamp(line.at),
            "ref": clean(line.ref),
            # Its time is known: nothing has to be guessed about it.
            "backfilled": 0,
        }
        rows.append(row)
        parent_id = row["id"]
    return rows
