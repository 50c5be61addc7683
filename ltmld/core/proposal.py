"""Proposals: what a stage of sleep wants changed. Stages propose, the cycle applies.

Rules:
1. A stage never writes: it returns proposals, and the cycle writes them with its checkpoint in one transaction.
2. No proposal deletes: the strongest of them fades or supersedes, and the ledger keeps the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ltmld.core.memory import Memory, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Learn:
    """Add a new memory."""

    memory: Memory
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reinforce:
    """An existing memory was met again: strengthen it, add its sources and cues."""

    memory_id: str
    sources: tuple[Source, ...]
    strength: float
    frequency: int
    cues: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supersede:
    """A newer memory replaces an older one, whose validity ends."""

    memory_id: str
    by: str
    valid_to: datetime
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """Two memories contradict each other and no rule can settle it."""

    memory_id: str
    other_id: str
    variance: float
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fade:
    """A memory has become too weak to be recalled."""

    memory_id: str
    strength: float
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weaken:
    """A memory is weaker than it was, and still above the floor."""

    memory_id: str
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's decision about one message, with its reason."""

    message_id: str
    admitted: bool
    score: float
    reason: str


Proposal = Learn | Reinforce | Supersede | Dispute | Fade | Weaken | Verdict
