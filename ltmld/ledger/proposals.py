"""Proposals applied: what a stage of sleep wants changed, decided and written here.

Rules:
1. A proposal is untrusted: one that names something unknown, of another scope, or an illegal change is
   refused and counted, and the rest of the night goes on.
2. What a person had forgotten is not learned again; what a person pinned does not fade.
3. What was taken back in its conversation while the night looked at it is not learned.
4. Every change names the cycle and the stage as its cause.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ltmld.core.memory import RECALLABLE, Memory, MemoryState
from ltmld.core.proposal import Dispute, Fade, Learn, Proposal, Reinforce, Supersede, Verdict, Weaken
from ltmld.errors import RefusedError
from ltmld.ledger import changes, memories
from ltmld.ledger.changes import Cause
from ltmld.ledger.forgetting import tombstoned
from ltmld.ledger.spelling import clean, dumped, stamp

REFUSED = "refused"

_ADD_VERDICT = """
    INSERT INTO verdicts (message_id, cycle_id, admitted, score, reason, at)
    SELECT id, :cycle_id, :admitted, :score, :reason, :at FROM messages WHERE id = :message_id
    ON CONFLICT (message_id) DO UPDATE SET
        cycle_id = excluded.cycle_id, admitted = excluded.admitted, score = excluded.score,
        reason = excluded.reason, at = excluded.at
"""

# What is no message is told by the writing of the sources.
_NONE_COUNTS = """
    SELECT 1 WHERE NOT EXISTS (
        SELECT 1 FROM json_each(?) AS named
        WHERE named.value NOT IN (SELECT message_id FROM retractions)
    )
"""

_ADD_DISPUTE = """
    INSERT INTO disputes (scope, memory_id, other_id, variance, why, cycle_id, opened_at)
    SELECT :scope, :memory_id, :other_id, :variance, :why, :cycle_id, :at
    WHERE NOT EXISTS (
        SELECT 1 FROM disputes
        WHERE settled_at IS NULL
          AND (memory_id, other_id) IN (VALUES (:memory_id, :other_id), (:other_id, :memory_id))
    )
"""


def apply(connection: sqlite3.Connection, proposals: Sequence[Proposal], cause: Cause) -> dict[str, int]:
    """Write *proposals* and return how many of each class were written, and how many were refused."""
    counts: Counter[str] = Counter()
    for proposal in proposals:
        connection.execute("SAVEPOINT proposal")
        try:
            _applied(connection, proposal, cause)
            counts[type(proposal).__name__.lower()] += 1
        except (RefusedError, ValueError, sqlite3.IntegrityError):
            # The last two: a value that no memory can have; it came from a model, so it is nobody's mistake.
            connection.execute("ROLLBACK TO proposal")
            counts[REFUSED] += 1
        connection.execute("RELEASE proposal")
    return dict(counts)


def _applied(connection: sqlite3.Connection, proposal: Proposal, cause: Cause) -> None:
    match proposal:
        case Learn():
            _learn(connection, proposal, cause)
        case Reinforce():
            _reinforce(connection, proposal, _said(cause, proposal.why))
        case Supersede():
            _supersede(connection, proposal, _said(cause, proposal.why))
        case Dispute():
            _dispute(connection, proposal, _said(cause, proposal.why))
        case Fade():
            _fade(connection, proposal, _said(cause, proposal.why))
        case Weaken():
            memory = _recallable(connection, proposal.memory_id)
            changes.changed(connection, memory, cause, strength=proposal.strength)
        case Verdict():
            _judge(connection, proposal, cause)


def _learn(connection: sqlite3.Connection, proposal: Learn, cause: Cause) -> None:
    memory = proposal.memory
    if tombstoned(connection, memory.scope, memory.text):
        raise RefusedError(f"{memory.scope}: this was forgotten by its person and is not learned again.")
    said = dumped([source.message_id for source in memory.sources])
    if connection.execute(_NONE_COUNTS, (said,)).fetchone() is not None:
        raise RefusedError(f"{memory.scope}: this was taken back in its conversation meanwhile.")
    changes.born(connection, memory, _said(cause, proposal.why))


def _reinforce(connection: sqlite3.Connection, proposal: Reinforce, cause: Cause) -> None:
    memory = _known(connection, proposal.memory_id)
    if memory.state is MemoryState.FORGOTTEN:
        raise RefusedError(f"Memory {memory.id} was forgotten.")
    changes.changed(
        connection,
        memory,
        cause,
        sources=tuple(dict.fromkeys((*memory.sources, *proposal.sources))),
        cues=tuple(dict.fromkeys((*memory.cues, *proposal.cues))),
        strength=proposal.strength,
        frequency=proposal.frequency,
        # What has faded and is met again is as alive as what never faded.
        state=MemoryState.ACTIVE if memory.state is MemoryState.FADED else memory.state,
    )


def _supersede(connection: sqlite3.Connection, proposal: Supersede, cause: Cause) -> None:
    memory, newer = _pair(connection, proposal.memory_id, proposal.by)
    if newer.state not in RECALLABLE:
        # Else two memories could replace each other, and neither would be left.
        raise RefusedError(f"Memory {newer.id} is {newer.state.value} and replaces nothing.")
    changes.changed(
        connection,
        memory,
        cause,
        state=MemoryState.SUPERSEDED,
        superseded_by=newer.id,
        valid_to=proposal.valid_to,
    )


def _dispute(connection: sqlite3.Connection, proposal: Dispute, cause: Cause) -> None:
    memory, other = _pair(connection, proposal.memory_id, proposal.other_id)
    for one in (memory, other):
        changes.changed(connection, one, cause, state=MemoryState.DISPUTED)
    row = {
        "scope": memory.scope,
        "memory_id": memory.id,
        "other_id": other.id,
        "variance": float(proposal.variance),
        "why": clean(proposal.why),
        "cycle_id": cause.cycle_id,
        "at": stamp(cause.at),
    }
    connection.execute(_ADD_DISPUTE, row)


def _fade(connection: sqlite3.Connection, proposal: Fade, cause: Cause) -> None:
    memory = _known(connection, proposal.memory_id)
    if memory.pinned:
        raise RefusedError(f"Memory {memory.id} is pinned and does not fade.")
    changes.changed(connection, memory, cause, state=MemoryState.FADED, strength=proposal.strength)


def _judge(connection: sqlite3.Connection, verdict: Verdict, cause: Cause) -> None:
    row = {
        "message_id": verdict.message_id,
        "cycle_id": cause.cycle_id,
        "admitted": int(verdict.admitted),
        "score": float(verdict.score),
        "reason": clean(verdict.reason),
        "at": stamp(cause.at),
    }
    if connection.execute(_ADD_VERDICT, row).rowcount != 1:
        raise RefusedError(f"There is no message {verdict.message_id} to judge.")


def _known(connection: sqlite3.Connection, memory_id: str) -> Memory:
    found = memories.by_ids(connection, [memory_id])
    if not found:
        raise RefusedError(f"There is no memory {memory_id!r}.")
    return found[0]


def _recallable(connection: sqlite3.Connection, memory_id: str) -> Memory:
    memory = _known(connection, memory_id)
    if memory.state not in RECALLABLE:
        raise RefusedError(f"Memory {memory.id} is {memory.state.value}.")
    return memory


def _pair(connection: sqlite3.Connection, memory_id: str, other_id: str) -> tuple[Memory, Memory]:
    memory, other = _known(connection, memory_id), _known(connection, other_id)
    if memory.id == other.id or memory.scope != other.scope:
        raise RefusedError(f"Memories {memory_id} and {other_id} cannot stand against each other.")
    return memory, other


def _said(cause: Cause, why: str) -> Cause:
    return replace(cause, words=f"{cause.words}: {why}") if why else cause
