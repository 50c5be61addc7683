"""Decay: what nobody uses or repeats grows weaker; below the floor it fades, and stays in the ledger.

Rules:
1. Strength never rises here; pinned memories and identity are left alone.
2. At most one step a day, counted from the last step (or from the last use, whichever is later), so that many
   short sleeps cost no more than one long one and write no more history.
3. What is rare and important (said once, importance 0.8 and more) decays at half the pace: a single word about
   an allergy must outlive much small talk (LTML 5.1 protects the rare).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from ltmld.core.memory import Memory, MemoryKind, MemoryState
from ltmld.core.proposal import Fade, Weaken
from ltmld.core.strength import decayed, stability_days

STEP = timedelta(days=1)
RARE_IMPORTANCE_MIN = 0.8
RARE_SLOWER = 2.0


def decay(
    memories: Iterable[Memory],
    *,
    now: datetime,
    last_step_at: datetime | None,
    floor: float,
    base_days: float,
) -> list[Fade | Weaken]:
    """Return a step of decay for every memory that is due; ``last_step_at`` is when the last was applied."""
    proposals: list[Fade | Weaken] = []
    for memory in memories:
        if _protected(memory):
            continue
        since = _since(memory, last_step_at)
        if now - since < STEP:
            continue
        strength = min(
            memory.strength,
            decayed(memory.strength, since=since, now=now, stability_days=_days(memory, base_days)),
        )
        if strength < floor:
            proposals.append(
                Fade(memory_id=memory.id, strength=strength, why=f"strength {strength:.3f}, unused")
            )
        elif strength < memory.strength:
            proposals.append(Weaken(memory_id=memory.id, strength=strength))
    return proposals


def _protected(memory: Memory) -> bool:
    return memory.pinned or memory.kind is MemoryKind.IDENTITY or memory.state is not MemoryState.ACTIVE


def _since(memory: Memory, last_step_at: datetime | None) -> datetime:
    moments = (memory.recorded_at, memory.used_at, last_step_at)
    return max(moment for moment in moments if moment is not None)


def _days(memory: Memory, base_days: float) -> float:
    days = stability_days(importance=memory.importance, frequency=memory.frequency, base_days=base_days)
    rare = memory.frequency <= 1 and memory.importance >= RARE_IMPORTANCE_MIN
    return days * RARE_SLOWER if rare else days
