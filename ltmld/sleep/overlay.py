"""What the memories would be after proposals: how a dry run lets later stages see earlier ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ltmld.core.memory import RECALLABLE, Memory, MemoryState
from ltmld.core.proposal import Dispute, Fade, Learn, Proposal, Reinforce, Supersede, Verdict, Weaken


def overlaid(memories: Iterable[Memory], proposals: Iterable[Proposal]) -> list[Memory]:
    """Return the recallable memories as they would be once *proposals* were applied."""
    table = {memory.id: memory for memory in memories}
    for proposal in proposals:
        _apply(table, proposal)
    return [memory for memory in table.values() if memory.state in RECALLABLE]


def _apply(table: dict[str, Memory], proposal: Proposal) -> None:
    match proposal:
        case Learn(memory=memory):
            table[memory.id] = memory
        case Verdict():
            return
        case Dispute(memory_id=one, other_id=other):
            _change(table, one, state=MemoryState.DISPUTED)
            _change(table, other, state=MemoryState.DISPUTED)
        case Reinforce():
            _reinforce(table, proposal)
        case Supersede(memory_id=memory_id):
            _change(table, memory_id, state=MemoryState.SUPERSEDED)
        case Fade(memory_id=memory_id):
            _change(table, memory_id, state=MemoryState.FADED)
        case Weaken(memory_id=memory_id, strength=strength):
            _change(table, memory_id, strength=strength)


def _reinforce(table: dict[str, Memory], proposal: Reinforce) -> None:
    known = table.get(proposal.memory_id)
    if known is not None:
        table[known.id] = replace(
            known,
            sources=tuple(dict.fromkeys(known.sources + proposal.sources)),
            cues=tuple(dict.fromkeys(known.cues + proposal.cues)),
            strength=proposal.strength,
            frequency=proposal.frequency,
        )


def _change(table: dict[str, Memory], memory_id: str, **fields: Any) -> None:
    known = table.get(memory_id)
    if known is not None:
        table[memory_id] = replace(known, **fields)
