"""Windows: clients that resend only the end of a conversation, and still mean all of it.

A chain begins with the first message that was sent, so a client that drops its oldest messages changes the
chain of every other. Where the thread is known for certain (by its key) and none of the chains is, the path
is laid against the messages of the thread instead, by role and words.

Rules:
1. The path's beginning must be the end of a branch: two messages of it at least, or the only one there is.
2. It may also lie further back when all of it but the last message is there: regenerated, or edited.
3. The aligned messages have the chains they are stored with, and what follows them goes on from these.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ltmld.core.chain import message_chain, normalized
from ltmld.core.exchange import PathMessage, Turn
from ltmld.core.message import Message, Role
from ltmld.ledger.spelling import clean, unpacked

# Of the thread's latest messages, the ends of its latest branches: several models may answer at once.
_LATEST, _BRANCHES = 32, 4
# A regenerated or edited message lies behind the end of its branch, but not far.
_BEHIND = 16

_ENDS = """
    SELECT id FROM (
        SELECT id, at, ordinal, rowid AS number FROM messages WHERE thread_id = :thread_id
        ORDER BY at DESC, ordinal DESC, rowid DESC LIMIT :latest
    ) AS latest
    WHERE NOT EXISTS (SELECT 1 FROM messages WHERE messages.parent_id = latest.id)
    ORDER BY at DESC, ordinal DESC, number DESC
    LIMIT :branches
"""

_BRANCH = """
    WITH RECURSIVE up (id, parent_id, chain, role, text, step) AS (
        SELECT id, parent_id, chain, role, text, 1 FROM messages WHERE id = :id
        UNION ALL
        SELECT messages.id, messages.parent_id, messages.chain, messages.role, messages.text, up.step + 1
        FROM up JOIN messages ON messages.id = up.parent_id
        WHERE up.step < :length
    )
    SELECT id, chain, role, text FROM up ORDER BY step DESC
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where a path lies in its thread: the stored messages it begins with, and the chains of all of it."""

    message_ids: tuple[str, ...]
    chains: tuple[str, ...]


def aligned(connection: sqlite3.Connection, thread_id: str, path: Sequence[PathMessage]) -> Window | None:
    """Return where *path* lies in the thread, ``None`` where it does not."""
    said = [(one.message.role.value, normalized(clean(one.message.text))) for one in path]
    best: list[sqlite3.Row] = []
    ends = {"thread_id": thread_id, "latest": _LATEST, "branches": _BRANCHES}
    for end in connection.execute(_ENDS, ends).fetchall():
        reach = {"id": end["id"], "length": len(path) + _BEHIND}
        branch = connection.execute(_BRANCH, reach).fetchall()
        known = [(row["role"], normalized(unpacked(row["text"]))) for row in branch]
        start, length = _overlap(known, said)
        if length > len(best):
            best = branch[start : start + length]
    if not best:
        return None
    chains = [str(row["chain"]) for row in best]
    for one in path[len(best) :]:
        chains.append(message_chain(chains[-1], one.message))
    return Window(message_ids=tuple(row["id"] for row in best), chains=tuple(chains))


def continued(turn: Turn, window: Window) -> Turn:
    """Return *turn* with the chains that its messages, its reply and its injections have in the thread."""
    moved = {one.chain: chain for one, chain in zip(turn.path, window.chains, strict=True)}
    answer = Message(role=Role.ASSISTANT, text=turn.reply.text, tool_calls=turn.reply.tool_calls)
    return replace(
        turn,
        path=tuple(replace(one, chain=moved[one.chain]) for one in turn.path),
        reply_chain=message_chain(window.chains[-1], answer),
        injections=tuple(replace(one, chain=moved.get(one.chain, one.chain)) for one in turn.injections),
    )


def _overlap(known: Sequence[tuple[str, str]], said: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """Return where the longest beginning of *said* that counts lies in *known*, the latest one, and its length."""
    best = (0, 0)
    for start in range(len(known)):
        length = 0
        while start + length < len(known) and length < len(said) and known[start + length] == said[length]:
            length += 1
        at_the_end = start + length == len(known) and length >= min(2, len(said))
        if (at_the_end or length >= max(2, len(said) - 1)) and length >= best[1]:
            best = (start, length)
    return best
