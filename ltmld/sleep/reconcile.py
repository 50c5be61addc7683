"""Reconcile: a slot of a person that was filled again later, with another value, is superseded.

Rules:
1. Only slots (``slots``) are settled here, and only when the newer was both said later and holds later.
2. What a person pinned stays. Nothing is deleted: the older ends its validity where the newer begins.
3. A value that only adds detail ("Lisbon" and "Lisbon, Portugal") contradicts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from ltmld.core.memory import Memory, MemoryState
from ltmld.core.proposal import Supersede
from ltmld.sleep.slots import Filled, filled


def reconcile(memories: Iterable[Memory], *, said_at: Mapping[str, datetime]) -> list[Supersede]:
    """Return what is superseded; ``said_at[memory id]`` is when its latest source was said."""
    groups: dict[tuple[str, str], list[tuple[Memory, Filled]]] = {}
    for memory in memories:
        slot = filled(memory) if memory.state is MemoryState.ACTIVE else None
        if slot is not None:
            groups.setdefault((slot.subject, slot.slot), []).append((memory, slot))
    proposals: list[Supersede] = []
    for group in groups.values():
        proposals.extend(_settled(group, said_at))
    return proposals


def _settled(group: Sequence[tuple[Memory, Filled]], said_at: Mapping[str, datetime]) -> list[Supersede]:
    ordered = sorted(group, key=lambda pair: (_said(pair[0], said_at), pair[0].id))
    found: list[Supersede] = []
    for (older, before), (newer, after) in pairwise(ordered):
        if older.pinned or before.value <= after.value or after.value <= before.value:
            continue
        ends_at = _ends_at(older, newer, said_at)
        if ends_at is not None:
            why = f"{after.slot.replace('_', ' ')}: said otherwise later"
            found.append(Supersede(memory_id=older.id, by=newer.id, valid_to=ends_at, why=why))
    return found


def _ends_at(older: Memory, newer: Memory, said_at: Mapping[str, datetime]) -> datetime | None:
    """Return when *older* stopped being so, or ``None`` when it is not clearly the earlier one."""
    if _said(newer, said_at) <= _said(older, said_at):
        return None
    begins = newer.valid_from or _said(newer, said_at)
    began = older.valid_from or _said(older, said_at)
    return begins if begins >= began else None


def _said(memory: Memory, said_at: Mapping[str, datetime]) -> datetime:
    return said_at.get(memory.id, memory.recorded_at)
