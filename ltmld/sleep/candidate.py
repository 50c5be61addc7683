"""A candidate: what an extractor read out of an episode, founded on a message, and not yet a memory.

Candidates travel between stages inside a checkpoint, so they go to JSON and back without loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ltmld.core.memory import Memory, MemoryKind, Source
from ltmld.core.strength import stability_days

# Kinds that models write and ltmld does not have (the facts files of the benchmarks say "opinion").
_KINDS = {
    "opinion": MemoryKind.PREFERENCE,
    "belief": MemoryKind.PREFERENCE,
    "like": MemoryKind.PREFERENCE,
    "dislike": MemoryKind.PREFERENCE,
    "goal": MemoryKind.PLAN,
    "intention": MemoryKind.PLAN,
    "experience": MemoryKind.EVENT,
    "activity": MemoryKind.EVENT,
    "person": MemoryKind.RELATIONSHIP,
    "family": MemoryKind.RELATIONSHIP,
    "profile": MemoryKind.IDENTITY,
    "name": MemoryKind.IDENTITY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One sentence that might become a memory, with the message and the words it stands on.

    ``personal`` tells that a person said it; an assistant's claim carries less confidence.
    """

    text: str
    kind: MemoryKind
    message_id: str
    quote: str
    said_at: datetime
    subject: str = ""
    attribute: str = ""
    when: str = ""
    valid_from: datetime | None = None
    importance: float = 0.5
    confidence: float = 0.7
    cues: tuple[str, ...] = ()
    personal: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the candidate as a JSON object."""
        return {
            "text": self.text,
            "kind": self.kind.value,
            "message_id": self.message_id,
            "quote": self.quote,
            "said_at": self.said_at.isoformat(),
            "subject": self.subject,
            "attribute": self.attribute,
            "when": self.when,
            "valid_from": self.valid_from.isoformat() if self.valid_from else None,
            "importance": self.importance,
            "confidence": self.confidence,
            "cues": list(self.cues),
            "personal": self.personal,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Candidate:
        """Return the candidate that :meth:`to_json` wrote."""
        return cls(
            text=row["text"],
            kind=MemoryKind(row["kind"]),
            message_id=row["message_id"],
            quote=row["quote"],
            said_at=datetime.fromisoformat(row["said_at"]),
            subject=row["subject"],
            attribute=row["attribute"],
            when=row["when"],
            valid_from=datetime.fromisoformat(row["valid_from"]) if row["valid_from"] else None,
            importance=row["importance"],
            confidence=row["confidence"],
            cues=tuple(row["cues"]),
            personal=row["personal"],
        )

    def memory(self, memory_id: str, *, scope: str, now: datetime, base_days: float) -> Memory:
        """Return the memory that this candidate becomes when it is learned at *now*."""
        return Memory(
            id=memory_id,
            scope=scope,
            kind=self.kind,
            text=self.text,
            sources=(Source(message_id=self.message_id, quote=self.quote),),
            recorded_at=now,
            subject=self.subject,
            attribute=self.attribute,
            importance=self.importance,
            confidence=self.confidence,
            stability_days=stability_days(importance=self.importance, frequency=1, base_days=base_days),
            cues=self.cues,
            when=self.when,
            valid_from=self.valid_from or self.said_at,
        )


def kind_of(name: str) -> MemoryKind:
    """Return the kind that *name* means; an unknown one is a fact. A model makes no lessons here."""
    spelled = name.strip().casefold()
    if spelled in _KINDS:
        return _KINDS[spelled]
    try:
        kind = MemoryKind(spelled)
    except ValueError:
        return MemoryKind.FACT
    return MemoryKind.FACT if kind is MemoryKind.LESSON else kind
