"""Windows: clients that resend only the end of a conversation, and still mean all of it.

A chain begins with the first message that was sent, so a client that drops its oldest messages changes the
chain of every other. Where the thread is known for certain (by its key) and none of the chains is, the path
is laid against the messages of the thread instead, by role and words. Elsewhere the pairs of answers and what
they answered say where it may lie.

Rules:
1. The path's beginning must be the end of a branch: two messages of it at least, or the only one there is.
2. It may also lie further back when all of it but the last message is there: regenerated, or edited.
3. The aligned messages have the chains they are stored with, and what follows them goes on from these.
4. Found by pairs, a path must show something that a person said and its answer, and the thread must have more
   before them. What stands in front of them in the path is what the client put in place of the rest, its
   summary: it is skipped, and asks for one more aligned message.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ltmld.core.chain import message_chain, normalized
from ltmld.core.exchange import PathMessage, Turn
from ltmld.core.message import Message, Role
from ltmld.ledger import pairs
from ltmld.ledger.spelling import clean, unpacked

# Of the thread's latest messages, the ends of its latest branches: several models may answer at once.
_LATEST, _BRANCHES = 32, 4
# A regenerated or edited message lies behind the end of its branch, but not far.
_BEHIND = 16
# Clients that sum up send one message of theirs, some with a word of the model after it.
_SUMMARY_MAX = 2
# More messages than this are not compared: so many equal ones are one conversation.
_REACH = 256
# How many of a path's pairs are tried, from its end; a client that changes the last answers changes few.
_TRIES = 4

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
    """Where a path lies in its thread: the stored messages it begins with, and the chains of all of it.

    *skipped* messages at its front are none of the thread's; neither list holds them.
    """

    thread_id: str
    message_ids: tuple[str, ...]
    chains: tuple[str, ...]
    skipped: int = 0


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
    return Window(
        thread_id=thread_id,
        message_ids=tuple(row["id"] for row in best),
        chains=_joined(best, path[len(best) :]),
    )


def by_pairs(
    connection: sqlite3.Connection,
    *,
    scope: str,
    thread_id: str,
    path: Sequence[PathMessage],
    since: int = 0,
    ordinal: int = -1,
) -> Window | None:
    """Return where the pairs of *path* say that it lies, in *thread_id* or, without one, in any thread.

    Of a path that is known up to *since*, the message there at *ordinal* of its thread, only what comes later
    there is meant: the client has left out what is between.
    """
    for place in pairs.known(connection, scope, path, since=since)[:_TRIES]:
        before, answer = path[place - 1].message, path[place].message
        found = pairs.answers(connection, scope=scope, thread_id=thread_id, before=before, answer=answer)
        windows = [_around(connection, row, path, place, since=since, ordinal=ordinal) for row in found]
        fitting = [window for window in windows if window is not None]
        if fitting:
            # The longest; of equally long ones the latest.
            return max(fitting, key=lambda window: len(window.message_ids))
    return None


def continued(turn: Turn, window: Window) -> Turn:
    """Return *turn* with the chains that its messages, its reply and its injections have in the thread."""
    turn = replace(turn, path=turn.path[window.skipped :])
    moved = {one.chain: chain for one, chain in zip(turn.path, window.chains, strict=True)}
    answer = Message(role=Role.ASSISTANT, text=turn.reply.text, tool_calls=turn.reply.tool_calls)
    return replace(
        turn,
        path=tuple(replace(one, chain=moved[one.chain]) for one in turn.path),
        reply_chain=message_chain(window.chains[-1], answer),
        injections=tuple(replace(one, chain=moved.get(one.chain, one.chain)) for one in turn.injections),
    )


def _around(
    connection: sqlite3.Connection,
    row: sqlite3.Row,
    path: Sequence[PathMessage],
    place: int,
    *,
    since: int,
    ordinal: int,
) -> Window | None:
    """Return the window of *path* whose message at *place* is the stored one in *row*, ``None`` where it is none."""
    reach = {"id": row["id"], "length": min(place + 2, _REACH)}
    branch = connection.execute(_BRANCH, reach).fetchall()
    said = [(one.message.role.value, normalized(clean(one.message.text))) for one in path[: place + 1]]
    length = 0
    for known, one in zip(reversed(branch), reversed(said), strict=False):
        if (known["role"], normalized(unpacked(known["text"]))) != one:
            break
        length += 1
    aligned = branch[len(branch) - length :]
    first = place + 1 - length
    within = length < _REACH
    goes_back = row["ordinal"] >= length
    if within and not (goes_back and first - since <= _SUMMARY_MAX and length >= (2 if first == 0 else 3)):
        return None
    if not any(known["role"] == Role.USER.value for known in aligned) or row["ordinal"] - length < ordinal:
        return None
    return Window(
        thread_id=row["thread_id"],
        message_ids=tuple(known["id"] for known in aligned),
        chains=_joined(aligned, path[place + 1 :]),
        skipped=first,
    )


def _joined(known: Sequence[sqlite3.Row], later: Sequence[PathMessage]) -> tuple[str, ...]:
    """Return the chains of *known* messages and of those that the path has *later*."""
    chains = [str(row["chain"]) for row in known]
    for one in later:
        chains.append(message_chain(chains[-1], one.message))
    return tuple(chains)


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
