"""A memory: one believed sentence, with its sources, kind and strength.

Rules:
1. A memory is versioned: every change is an event with before, after and cause; nothing is overwritten.
2. Its sources are never empty: a memory that no message stands behind cannot be built.
3. States change only along ``TRANSITIONS``; nothing leaves ``forgotten``.
4. Two times: ``valid_from``/``valid_to`` are in the world, ``recorded_at``/``retired_at`` in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MemoryKind(StrEnum):
    """What sort of sentence it is."""

    FACT = "fact"
    PREFERENCE = "preference"
    EVENT = "event"
    PLAN = "plan"
    RELATIONSHIP = "relationship"
    LESSON = "lesson"
    IDENTITY = "identity"


class MemoryState(StrEnum):
    """Where a memory stands in its life."""

    ACTIVE = "active"
    FADED = "faded"
    SUPERSEDED = "superseded"
    DISPUTED = "disputed"
    FORGOTTEN = "forgotten"


TRANSITIONS: dict[MemoryState, frozenset[MemoryState]] = {
    MemoryState.ACTIVE: frozenset(
        {MemoryState.FADED, MemoryState.SUPERSEDED, MemoryState.DISPUTED, MemoryState.FORGOTTEN}
    ),
    MemoryState.FADED: frozenset({MemoryState.ACTIVE, MemoryState.FORGOTTEN}),
    MemoryState.DISPUTED: frozenset({MemoryState.ACTIVE, MemoryState.SUPERSEDED, MemoryState.FORGOTTEN}),
    MemoryState.SUPERSEDED: frozenset({MemoryState.ACTIVE, MemoryState.FORGOTTEN}),
    MemoryState.FORGOTTEN: frozenset(),
}

# What recall may show: a disputed memory surfaces marked, a superseded or faded one never.
RECALLABLE = frozenset({MemoryState.ACTIVE, MemoryState.DISPUTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The message a memory was drawn from, and the words of it that carry the memory."""

    message_id: str
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One believed sentence."""

    id: str
    scope: str
    kind: MemoryKind
    text: str
    sources: tuple[Source, ...]
    recorded_at: datetime
    subject: str = ""
    attribute: str = ""
    importance: float = 0.5
    confidence: float = 0.7
    frequency: int = 1
    strength: float = 1.0
    stability_days: float = 30.0
    state: MemoryState = MemoryState.ACTIVE
    pinned: bool = False
    cues: tuple[str, ...] = ()
    when: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    retired_at: datetime | None = None
    used_at: datetime | None = None
    superseded_by: str = ""
    version: int = 1

    def __post_init__(self) -> None:
        """Refuse a memory that breaks the rules above."""
        if not self.text.strip():
            raise ValueError(f"memory {self.id} has no text")
        if not self.sources:
            raise ValueError(f"memory {self.id} has no sources")
        for field in ("importance", "confidence"):
            if not 0.0 <= getattr(self, field) <= 1.0:
                raise ValueError(f"memory {self.id}: {field} must be between 0 and 1")


def may_become(state: MemoryState, target: MemoryState) -> bool:
    """Tell whether a memory in *state* may become *target* (staying the same is always allowed)."""
    return target is state or target in TRANSITIONS[state]
