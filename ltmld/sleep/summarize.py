"""Summarize: what belongs together becomes one key lesson, shorter than its sources, which stay.

Rules:
1. A lesson carries the union of its notes' sources; without a model there is none, rather than a fake.
2. A lesson drawn from the same messages is not made twice: the one there is grows its sources.
3. A lesson that is not shorter than its notes, or has a name or number they lack, is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ltmld.core.memory import Memory, MemoryKind, Source
from ltmld.core.proposal import Learn, Reinforce, Supersede
from ltmld.core.strength import reinforced, stability_days
from ltmld.core.tokens import estimate
from ltmld.sleep.dedupe import SOURCES_MAX
from ltmld.sleep.words import names, numbers, plain

NOTES_MAX = 30
"""Most notes that one prompt may hold; 30 sentences fit the smallest context with room to spare."""
SAME_OVERLAP = 0.8
"""Share of common messages from which two lessons are the same lesson."""
SUCCESSOR_OVERLAP = 0.5
"""Share from which a new lesson takes the place of the old one."""
CONFIDENCE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Memories that belong together and the lesson they had before, if any."""

    memories: tuple[Memory, ...]
    sources: tuple[Source, ...]
    earlier: Memory | None = None

    def notes(self) -> str:
        """Return the notes as lines for a model to read."""
        return "\n".join(f"- {memory.text}" for memory in self.memories)


def themes(
    clusters: Iterable[Sequence[str]], *, memories: Iterable[Memory], fresh: frozenset[str]
) -> tuple[list[Theme], list[Reinforce]]:
    """Return the clusters that need a lesson, and what strengthens the lessons there are.

    A cluster that has its lesson and nothing of tonight (*fresh*) in it had its night.
    """
    by_id = {memory.id: memory for memory in memories}
    lessons = [memory for memory in by_id.values() if memory.kind is MemoryKind.LESSON]
    wanted: list[Theme] = []
    stronger: list[Reinforce] = []
    for ids in clusters:
        notes = tuple(by_id[memory_id] for memory_id in ids if memory_id in by_id)[:NOTES_MAX]
        if len(notes) < 3:
            continue
        sources = _united(notes)
        earlier, overlap = _nearest(sources, lessons)
        if earlier is None:
            wanted.append(Theme(memories=notes, sources=sources))
        elif not fresh.intersection(ids):
            continue
        elif overlap < SAME_OVERLAP:
            wanted.append(Theme(memories=notes, sources=sources, earlier=earlier))
        elif grown := _grown(earlier, sources):
            stronger.append(grown)
    return wanted, stronger


def lesson(
    theme: Theme, text: str, *, memory_id: str, scope: str, now: datetime, base_days: float
) -> list[Learn | Supersede]:
    """Return the lesson with *text* and the earlier one it replaces; empty when *text* breaks rule 3."""
    if not acceptable(theme, text):
        return []
    importance = min(1.0, max(memory.importance for memory in theme.memories))
    subject = Counter(memory.subject for memory in theme.memories).most_common(1)[0][0]
    begun = [memory.valid_from for memory in theme.memories if memory.valid_from]
    drawn = Memory(
        id=memory_id,
        scope=scope,
        kind=MemoryKind.LESSON,
        text=text,
        sources=theme.sources,
        recorded_at=now,
        subject=subject,
        importance=importance,
        confidence=CONFIDENCE,
        stability_days=stability_days(importance=importance, frequency=1, base_days=base_days),
        valid_from=max(begun, default=now),
    )
    found: list[Learn | Supersede] = [Learn(memory=drawn, why=f"drawn from {len(theme.memories)} memories")]
    if theme.earlier is not None and not theme.earlier.pinned:
        why = "drawn again from more"
        found.append(Supersede(memory_id=theme.earlier.id, by=memory_id, valid_to=now, why=why))
    return found


def acceptable(theme: Theme, text: str) -> bool:
    """Tell whether *text* is a lesson: shorter than its notes, and nothing in it that they lack."""
    notes = theme.notes()
    said = plain(notes + " " + " ".join(memory.subject for memory in theme.memories))
    return (
        bool(text.strip())
        and estimate(text) < estimate(notes)
        and all(name in said or name in ("user", "assistant") for name in names(text))
        and numbers(text) <= numbers(notes)
    )


def _united(notes: Sequence[Memory]) -> tuple[Source, ...]:
    united = dict.fromkeys(source for memory in notes for source in memory.sources)
    return tuple(united)[:SOURCES_MAX]


def _nearest(sources: Sequence[Source], lessons: Iterable[Memory]) -> tuple[Memory | None, float]:
    """Return the lesson that shares most messages with *sources*, when it shares enough, and the share."""
    wanted = _messages(sources)
    shares: Mapping[str, tuple[float, Memory]] = {
        other.id: (len(wanted & theirs) / len(wanted | theirs), other)
        for other in lessons
        if (theirs := _messages(other.sources))
    }
    if not shares:
        return None, 0.0
    share, nearest = max(shares.values(), key=lambda pair: (pair[0], pair[1].id))
    return (nearest, share) if share >= SUCCESSOR_OVERLAP else (None, share)


def _grown(earlier: Memory, sources: Sequence[Source]) -> Reinforce | None:
    known = _messages(earlier.sources)
    added = tuple(source for source in sources if source.message_id not in known)
    room = max(0, SOURCES_MAX - len(earlier.sources))
    if not added[:room]:
        return None
    return Reinforce(
        memory_id=earlier.id,
        sources=added[:room],
        strength=max(earlier.strength, reinforced(earlier.strength)),
        frequency=earlier.frequency + 1,
        why="more of the same",
    )


def _messages(sources: Iterable[Source]) -> frozenset[str]:
    return frozenset(source.message_id for source in sources)
