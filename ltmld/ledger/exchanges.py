"""Exchanges: recording a turn so that every message is in the ledger exactly once.

Clients resend the whole conversation with every request. The path of a turn is walked along the tree of
its thread: what is known (same place, same chain) is used again, the rest is added below it.

Rules:
1. A message is recorded once, however often it is resent, retried or replayed.
2. The same exchange twice is one exchange.
3. One transaction: thread, exchange, messages, retractions, injections and the rows for the index.
4. A reply without words and without tool calls is no message; what the user said is recorded all the same.
5. What stands before the last answer of a path and is new was said elsewhere, or before ltmld: it is marked as
   backfilled, once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ltmld.core.clock import NewId
from ltmld.core.exchange import Outcome, PathMessage, Recorded, Turn
from ltmld.core.message import Attachment, Message, Role, ToolCall
from ltmld.errors import NotFoundError
from ltmld.ledger import branches, injections, openings, outbox, pairs, threads, windows
from ltmld.ledger.spelling import clean, dumped, loaded_list, packed, stamp, unpacked

# SQLite's integers have 64 bits.
COUNT_END = 2**63

BY_HAND = "ltmld.remember"
"""The dialect of what a person tells ltmld directly; see ``remembering``."""

_EXISTING = "SELECT thread_id, reply_message_id FROM exchanges WHERE id = ?"

_PROMPT = "SELECT prompt_message_id FROM exchanges WHERE id = ?"

_NEW_MESSAGES = "SELECT id FROM messages WHERE exchange_id = ? ORDER BY ordinal, id"

_ORDINAL = "SELECT ordinal FROM messages WHERE id = ?"

_ADD_EXCHANGE = """
    INSERT INTO exchanges (
        id, scope, thread_id, dialect, model, client, outcome, status, error, done_reason, request_sha256,
        context_sha256, prompt_message_id, reply_message_id, thinking, prompt_tokens, reply_tokens,
        prompt_ms, reply_ms, started_at, finished_at, recorded_at
    ) VALUES (
        :id, :scope, :thread_id, :dialect, :model, :client, :outcome, :status, :error, :done_reason,
        :request_sha256, :context_sha256, :prompt_message_id, :reply_message_id, :thinking, :prompt_tokens,
        :reply_tokens, :prompt_ms, :reply_ms, :started_at, :finished_at, :recorded_at
    )
"""

_ADD_MESSAGE = """
    INSERT INTO messages (
        id, scope, thread_id, exchange_id, parent_id, ordinal, chain, role, speaker, text, attachments,
        tool_calls, tool_call_id, at, ref, backfilled
    ) VALUES (
        :id, :scope, :thread_id, :exchange_id, :parent_id, :ordinal, :chain, :role, :speaker, :text,
        :attachments, :tool_calls, :tool_call_id, :at, :ref, :backfilled
    )
"""

_EXCHANGE = "SELECT * FROM exchanges WHERE id = ?"

# What was new in the exchange, and the message it answered, which an earlier try may have recorded.
_ITS_MESSAGES = """
    SELECT messages.*, retractions.message_id IS NOT NULL AS retracted
    FROM messages LEFT JOIN retractions ON retractions.message_id = messages.id
    WHERE messages.exchange_id = :id
       OR messages.id IN (
           SELECT prompt_message_id FROM exchanges WHERE id = :id
           UNION SELECT reply_message_id FROM exchanges WHERE id = :id
       )
    ORDER BY messages.ordinal, messages.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _New:
    """A message that the ledger does not have yet, at its place."""

    id: str
    parent_id: str | None
    ordinal: int
    said: PathMessage
    mark: str
    backfilled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """What a turn's path comes to: the known messages, the new ones, and the two ends of the exchange."""

    known_ids: tuple[str, ...]
    new: tuple[_New, ...]
    prompt_id: str | None
    reply_id: str | None


def record(connection: sqlite3.Connection, turn: Turn, *, new_id: NewId, now: datetime) -> Recorded:
    """Write *turn* and return what was new in it.

    Raises:
        ValueError: the turn's thread is of another scope.
    """
    recorded = _recorded(connection, turn.exchange_id)
    if recorded is not None:
        return recorded
    thread_id = threads.opened(
        connection,
        thread_id=openings.thread_of(connection, turn, new_id=new_id),
        scope=turn.scope,
        key=turn.thread_key,
        started_at=(turn.path[0].at if turn.path else None) or turn.started_at,
        last_at=turn.reply_at or turn.finished_at,
    )
    turn = _in_its_thread(connection, replace(turn, thread_id=thread_id))
    walk = _walked(connection, turn, new_id)
    add_exchange(connection, exchange_row(turn, prompt_id=walk.prompt_id, reply_id=walk.reply_id, now=now))
    add_messages(connection, [_message_row(turn, new) for new in walk.new])
    pairs.add(connection, turn.scope, [(new.mark, new.id) for new in walk.new])
    branches.settle(connection, _shown_by(turn, walk), at=now)
    injections.add(connection, turn)
    return Recorded(
        exchange_id=turn.exchange_id,
        thread_id=thread_id,
        new_message_ids=tuple(new.id for new in walk.new),
        reply_message_id=walk.reply_id,
    )


def exchange_row(turn: Turn, *, prompt_id: str | None, reply_id: str | None, now: datetime) -> dict[str, Any]:
    """Return the row of *turn*'s exchange."""
    reply = turn.reply
    return {
        "id": turn.exchange_id,
        "scope": turn.scope,
        "thread_id": turn.thread_id,
        "dialect": turn.dialect,
        "model": clean(turn.model or reply.model),
        "client": clean(turn.client),
        "outcome": turn.outcome.value,
        "status": turn.status,
        "error": clean(reply.error),
        "done_reason": clean(reply.done_reason),
        "request_sha256": turn.request_sha256,
        "context_sha256": reply.context_sha256,
        "prompt_message_id": prompt_id,
        "reply_message_id": reply_id,
        "thinking": packed(reply.thinking),
        "prompt_tokens": _countable(reply.usage.prompt_tokens),
        "reply_tokens": _countable(reply.usage.reply_tokens),
        "prompt_ms": reply.usage.prompt_ms,
        "reply_ms": reply.usage.reply_ms,
        "started_at": stamp(turn.started_at),
        "finished_at": stamp(turn.finished_at),
        "recorded_at": stamp(now),
    }


def add_exchange(connection: sqlite3.Connection, row: dict[str, Any]) -> None:
    """Add one exchange."""
    connection.execute(_ADD_EXCHANGE, row)


def add_messages(connection: sqlite3.Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add messages, parents first, and tell the index about those that were said."""
    connection.executemany(_ADD_MESSAGE, rows)
    for row in rows:
        if row["role"] in (Role.USER.value, Role.ASSISTANT.value) and row["text"]:
            outbox.add(connection, row["scope"], "message", [row["id"]], "upsert")


def exchange(connection: sqlite3.Connection, exchange_id: str) -> dict[str, Any]:
    """Return an exchange with its messages and what was injected into it.

    Raises:
        NotFoundError: there is no such exchange.
    """
    row = connection.execute(_EXCHANGE, (exchange_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"There is no exchange {exchange_id}. `ltmld inspect` shows the ones there are.")
    found = dict(row)
    found["thinking"] = unpacked(found["thinking"])
    found["messages"] = [_shown(said) for said in connection.execute(_ITS_MESSAGES, {"id": exchange_id})]
    found["injections"] = injections.of_exchange(connection, exchange_id)
    return found


def prompt_id(connection: sqlite3.Connection, exchange_id: str) -> str:
    """Return the id of the message that the exchange answered."""
    return str(connection.execute(_PROMPT, (exchange_id,)).fetchone()["prompt_message_id"])


def _countable(count: int | None) -> int | None:
    # A count that SQLite cannot hold is no count, and no reason to lose the exchange.
    return count if count is not None and -COUNT_END <= count < COUNT_END else None


def _recorded(connection: sqlite3.Connection, exchange_id: str) -> Recorded | None:
    row = connection.execute(_EXISTING, (exchange_id,)).fetchone()
    if row is None:
        return None
    return Recorded(
        exchange_id=exchange_id,
        thread_id=row["thread_id"],
        new_message_ids=tuple(new["id"] for new in connection.execute(_NEW_MESSAGES, (exchange_id,))),
        reply_message_id=row["reply_message_id"],
    )


def _in_its_thread(connection: sqlite3.Connection, turn: Turn) -> Turn:
    """Return *turn* with the chains of its thread where its client dropped the oldest messages; see ``windows``."""
    chains = [said.chain for said in turn.path]
    if not turn.thread_key or threads.known_chains(connection, turn.thread_id, chains):
        return turn
    window = windows.aligned(connection, turn.thread_id, turn.path)
    return turn if window is None else windows.continued(turn, window)


def _shown_by(turn: Turn, walk: _Walk) -> branches.Shown:
    return branches.Shown(
        exchange_id=turn.exchange_id,
        scope=turn.scope,
        thread_id=turn.thread_id,
        # What is remembered by hand stands side by side under one key; nothing of it takes another's place.
        keyed=bool(turn.thread_key) and turn.dialect != BY_HAND,
        known_ids=walk.known_ids,
        new_ids=[new.id for new in walk.new],
        partial_reply_id=None if turn.outcome is Outcome.COMPLETED else walk.reply_id,
        started_at=turn.started_at,
    )


def _walked(connection: sqlite3.Connection, turn: Turn, new_id: NewId) -> _Walk:
    path = (*turn.path, *_reply(turn))
    chains = [said.chain for said in path]
    known = threads.known_chains(connection, turn.thread_id, chains)
    # Everything before the deepest known message is known too: its chain holds theirs.
    depth = max((place + 1 for place, one in enumerate(chains) if one in known), default=0)
    parent_id = known[chains[depth - 1]] if depth else None
    ordinal = _ordinal(connection, parent_id)
    heard = _heard_from(turn.path)
    new: list[_New] = []
    for place, said in enumerate(path[depth:], depth):
        ordinal += 1
        made = _New(
            id=new_id("msg"),
            parent_id=parent_id,
            ordinal=ordinal,
            said=said,
            mark=pairs.mark(path[place - 1].message, said.message) if place else "",
            backfilled=place < heard,
        )
        new.append(made)
        parent_id = made.id
    ids = {**known, **{one.said.chain: one.id for one in new}}
    return _Walk(
        known_ids=tuple(known.values()),
        new=tuple(new),
        prompt_id=ids[turn.path[-1].chain] if turn.path else None,
        reply_id=ids[turn.reply_chain] if len(path) > len(turn.path) else None,
    )


def _heard_from(path: Sequence[PathMessage]) -> int:
    """Return from where on a path is what was said just now: after the last answer in it."""
    answers = [place for place, said in enumerate(path) if said.message.role is Role.ASSISTANT]
    return answers[-1] + 1 if answers else 0


def _reply(turn: Turn) -> tuple[PathMessage, ...]:
    reply = turn.reply
    if not reply.text.strip() and not reply.tool_calls:
        return ()
    said = Message(role=Role.ASSISTANT, text=reply.text, name=turn.reply_name, tool_calls=reply.tool_calls)
    at = turn.reply_at or turn.finished_at
    return (PathMessage(message=said, chain=turn.reply_chain, at=at, ref=turn.reply_ref),)


def _ordinal(connection: sqlite3.Connection, parent_id: str | None) -> int:
    if parent_id is None:
        return -1
    return int(connection.execute(_ORDINAL, (parent_id,)).fetchone()["ordinal"])


def _message_row(turn: Turn, new: _New) -> dict[str, Any]:
    said, message = new.said, new.said.message
    return {
        "id": new.id,
        "scope": turn.scope,
        "thread_id": turn.thread_id,
        "exchange_id": turn.exchange_id,
        "parent_id": new.parent_id,
        "ordinal": new.ordinal,
        "chain": said.chain,
        "role": message.role.value,
        "speaker": clean(message.name or message.role.value),
        "text": packed(message.text),
        "attachments": clean(dumped([_attachment(one) for one in message.attachments])),
        "tool_calls": clean(dumped([_tool_call(one) for one in message.tool_calls])),
        "tool_call_id": clean(message.tool_call_id),
        "at": stamp(said.at or turn.started_at),
        "ref": clean(said.ref),
        "backfilled": int(new.backfilled),
    }


def _attachment(attachment: Attachment) -> dict[str, Any]:
    return {"media": attachment.media, "sha256": attachment.sha256, "size_bytes": attachment.size_bytes}


def _tool_call(call: ToolCall) -> dict[str, str]:
    return {"id": call.id, "name": call.name, "arguments": call.arguments}


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    shown = dict(row)
    shown["text"] = unpacked(shown["text"])
    shown["attachments"] = loaded_list(shown["attachments"])
    shown["tool_calls"] = loaded_list(shown["tool_calls"])
    shown["retracted"] = bool(shown["retracted"])
    shown["backfilled"] = bool(shown["backfilled"])
    return shown
