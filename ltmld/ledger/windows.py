"""Windows: clients that resend only the end of a conversation, and still mean all of it.

A chain begins with the first message that was sent, so a client that drops its oldest messages changes the
chain of every other. Where the thread is known for certain (by its key) and none of the chains is, the path
is laid against the messages of the thread instead, by role and words. Elsewhere the pairs of answers and what
they answered say where it may lie.

Rules:
1. The path's beginning must be the end of a branch: two messages of it at least, or the only one there is.
2. It may also lie further back when all of it but the last message is there: regenerated, or edited. Where it
   lies at the end as well, which is possible where people repeat themselves, the end is meant.
3. The aligned messages have the chains they are stored with, and what follows them goes on from these.
4. Found by pairs, a path must show something that a person said and its answer, and the thread must have more
   before them. What stands in front of them in the path is what the client put in place of the rest, its
   summary: it is skipped, and asks for one more aligned message.
5. What is known from the conversation's beginning and not gone on with there may be a window all the same:
   "on", "Done.", "off", "Done.", "on" is what stands at the beginning and what was said last. It is one when it
   explains more of the path than the beginning does, or ``REPEATED_MIN`` messages: fewer are a coincidence, and
   the client asks again or edits. A request that equals an unanswered one is that one, asked again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ltmld.core.chain import message_chain, normalized
from ltmld.core.exchange import Outcome, PathMessage, Turn
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
# Two questions with their answers.
REPEATED_MIN = 4
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

_LAST = """
    SELECT prompt_message_id, reply_message_id, outcome FROM exchanges
    WHERE thread_id = ?
    ORDER BY started_at DESC, rowid DESC
    LIMIT 1
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


def at_the_end(
    connection: sqlite3.Connection, thread_id: str, path: Sequence[PathMessage], *, depth: int
) -> Window | None:
    """Return *path* as what goes on from the thread's last exchange, or is its request again, ``None`` if neither.

    The path is known up to *depth* from the conversation's beginning, which would be the other explanation.
    """
    last = connection.execute(_LAST, (thread_id,)).fetchone()
    if last is None:
        return None
    answered = last["reply_message_id"] is not None and last["outcome"] == Outcome.COMPLETED
    said = [_words(one.message.role.value, one.message.text) for one in path]
    for end in (last["reply_message_id"], None if answered else last["prompt_message_id"]):
        branch = _branch(connection, end, len(path)) if end else []
        length = _ending([_words(row["role"], unpacked(row["text"])) for row in branch], said)
        later = path[length:]
        goes_on = end == last["reply_message_id"] and all(
            one.message.role is not Role.ASSISTANT for one in later
        )
        enough = length >= REPEATED_MIN or length > max(1, depth)
        if enough and (goes_on or not later):
            return _begun(thread_id, branch[len(branch) - length :], path)
    return None


def aligned(connection: sqlite3.Connection, thread_id: str, path: Sequence[PathMessage]) -> Window | None:
    """Return where *path* lies in the thread, ``None`` where it does not."""
    said = [_words(one.message.role.value, one.message.text) for one in path]
    best: list[sqlite3.Row] = []
    ends = {"thread_id": thread_id, "latest": _LATEST, "branches": _BRANCHES}
    for end in connection.execute(_ENDS, ends).fetchall():
        branch = _branch(connection, end["id"], len(path) + _BEHIND)
        known = [_words(row["role"], unpacked(row["text"])) for row in branch]
        start, length = _overlap(known, said)
        if length > len(best):
            best = branch[start : start + length]
    return _begun(thread_id, best, path) if best else None


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
    branch = _branch(connection, row["id"], min(place + 2, _REACH))
    said = [_words(one.message.role.value, one.message.text) for one in path[: place + 1]]
    length = 0
    for known, one in zip(reversed(branch), reversed(said), strict=False):
        if _words(known["role"], unpacked(known["text"])) != one:
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


def _branch(connection: sqlite3.Connection, end_id: str, length: int) -> list[sqlite3.Row]:
    """Return the *length* messages that lead to this one, the oldest first."""
    return connection.execute(_BRANCH, {"id": end_id, "length": length}).fetchall()


def _begun(thread_id: str, known: Sequence[sqlite3.Row], path: Sequence[PathMessage]) -> Window:
    """Return the window of a path that begins with *known* messages."""
    return Window(
        thread_id=thread_id,
        message_ids=tuple(row["id"] for row in known),
        chains=_joined(known, path[len(known) :]),
    )


def _words(role: str, text: str) -> tuple[str, str]:
    """Return what of a message is compared: of a tool's result, which clients shorten later, nothing but its place."""
    return role, "" if role == Role.TOOL.value else normalized(clean(text))


def _ending(known: Sequence[tuple[str, str]], said: Sequence[tuple[str, str]]) -> int:
    """Return how long the longest beginning of *said* is that ends *known*, in a time that grows with both."""
    if not known:
        return 0
    # The borders of the two as one, which is how Knuth, Morris and Pratt look for words: each border is found from
    # shorter ones, so that a thousand equal messages cost a thousand steps.
    borders = _borders([*said, None, *known])
    return borders[-1]


def _borders(items: Sequence[tuple[str, str] | None]) -> list[int]:
    """Return, for each beginning of *items*, the longest one that is also its end."""
    borders = [0] * len(items)
    for place in range(1, len(items)):
        length = borders[place - 1]
        while length and items[place] != items[length]:
            length = borders[length - 1]
        borders[place] = length + (items[place] == items[length])
    return borders


def _overlap(known: Sequence[tuple[str, str]], said: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """Return where the beginning of *said* that counts lies in *known*, the longest and latest, and its length."""
    ending = _ending(known, said)
    if ending >= max(2, len(said) - 1) or (ending == len(said) and ending):
        return len(known) - ending, ending
    best = (len(known) - ending, ending) if ending >= min(2, len(said)) else (0, 0)
    borders = _borders([*said, None, *known])[len(said) + 1 :]
    for end, length in enumerate(borders, 1):
        if length >= max(2, len(said) - 1) and length >= best[1]:
            best = (end - length, length)
    return best
