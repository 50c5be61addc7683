"""Dedupe by reinforcement: what is known already is strengthened, what is new is learned.

Rules:
1. A message reinforces a memory once: the same night run twice proposes nothing the second time.
2. Reinforcing never lowers strength, frequency or the number of sources.
3. The assistant repeating what it was reminded of is no evidence: an echo reinforces nothing (668 copies of
   one hallucination came of such a loop elsewhere; mem0 issue 4573).
4. Candidates of one night are compared with each other as with what is known.
5. What has faded is known too: met again it is reinforced, which brings it back; but what is alive goes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ltmld.core.clock import NewId
from ltmld.core.memory import Memory, MemoryState, Source
from ltmld.core.proposal import Learn, Reinforce
from ltmld.core.strength import reinforced
from ltmld.sleep.candidate import Candidate
from ltmld.sleep.sameness import Meaning, meaning, same

CUES_MAX = 12
SOURCES_MAX = 64
"""Most sources of one memory; a memory with so many is not reinforced further."""

Nearness = Mapping[tuple[int, str], float]
"""Cosine of candidate *i* and a memory, where it is known."""


@dataclass(slots=True, kw_only=True)
class _Entry:
    """A memory on the table, known or new tonight, and what tonight adds to it."""

    memory: Memory
    meaning: Meaning
    new: bool
    sources: list[Source]
    cues: list[str]

    def stands_on(self, candidate: Candidate) -> bool:
        """Tell whether the candidate's message is among the sources already."""
        return any(
            source.message_id == candidate.message_id for source in (*self.memory.sources, *self.sources)
        )

    def unlikeness(self, mean: Meaning) -> tuple[bool, bool, int, str]:
        """Return the key that sorts the entry closest to *mean* first, of those that are alive."""
        faded = self.memory.state is MemoryState.FADED
        return faded, mean.plain != self.meaning.plain, len(self.meaning.words), self.memory.id


def dedupe(
    candidates: Sequence[Candidate],
    *,
    known: Iterable[Memory],
    nearness: Nearness,
    scope: str,
    now: datetime,
    base_days: float,
    new_id: NewId,
) -> list[Learn | Reinforce]:
    """Return what the candidates change: new memories, and reinforcements of known ones."""
    table = _Table()
    for memory in known:
        table.add(_entry(memory, new=False))
    for position, candidate in enumerate(candidates):
        matches = table.matches(candidate, position, nearness)
        if matches:
            _meet(candidate, matches)
        else:
            memory = candidate.memory(new_id("mem"), scope=scope, now=now, base_days=base_days)
            table.add(_entry(memory, new=True))
    return [proposal for entry in table.entries if (proposal := _proposal(entry)) is not None]


class _Table:
    """Everything a candidate may be the double of, found by its rarest word."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self._by_word: dict[tuple[str, str], list[_Entry]] = {}
        self._by_plain: dict[str, list[_Entry]] = {}
        self._by_attribute: dict[tuple[str, str], list[_Entry]] = {}

    def add(self, entry: _Entry) -> None:
        self.entries.append(entry)
        mean = entry.meaning
        self._by_plain.setdefault(mean.plain, []).append(entry)
        self._by_attribute.setdefault((mean.subject, mean.attribute), []).append(entry)
        for word in mean.words:
            self._by_word.setdefault((mean.subject, word), []).append(entry)

    def matches(self, candidate: Candidate, position: int, nearness: Nearness) -> list[_Entry]:
        """Return the entries of the same meaning: alive before faded, word for word first, then the most alike."""
        mean = meaning(candidate)
        pool = {entry.memory.id: entry for entry in self._pool(mean)}
        found = []
        for entry in pool.values():
            # Drawn from this very message before: the doubt is settled, whatever the vectors say today.
            cosine = 1.0 if entry.stands_on(candidate) else nearness.get((position, entry.memory.id))
            if same(mean, entry.meaning, cosine=cosine):
                found.append(entry)
        return sorted(found, key=lambda entry: entry.unlikeness(mean))

    def _pool(self, mean: Meaning) -> list[_Entry]:
        pool = list(self._by_plain.get(mean.plain, ()))
        if mean.words:
            # Containment needs every word: the shortest posting list holds all that can contain it.
            postings = [self._by_word.get((mean.subject, word), []) for word in mean.words]
            shortest = min(range(len(postings)), key=[len(posting) for posting in postings].__getitem__)
            pool += postings[shortest]
        if mean.attribute:
            pool += self._by_attribute.get((mean.subject, mean.attribute), [])
        return pool


def _entry(memory: Memory, *, new: bool) -> _Entry:
    return _Entry(memory=memory, meaning=meaning(memory), new=new, sources=[], cues=[])


def _meet(candidate: Candidate, matches: Sequence[_Entry]) -> None:
    if any(entry.stands_on(candidate) for entry in matches) or not candidate.personal:
        return
    entry = matches[0]
    if len(entry.memory.sources) + len(entry.sources) < SOURCES_MAX:
        entry.sources.append(Source(message_id=candidate.message_id, quote=candidate.quote))
        entry.cues.extend(candidate.cues)


def _proposal(entry: _Entry) -> Learn | Reinforce | None:
    memory = entry.memory
    if not entry.sources:
        return Learn(memory=memory, why="said") if entry.new else None
    strength = memory.strength
    for _ in entry.sources:
        strength = max(strength, reinforced(strength))
    frequency = memory.frequency + len(entry.sources)
    sources = tuple(entry.sources)
    cues = tuple(dict.fromkeys((*memory.cues, *entry.cues)))[:CUES_MAX]
    if entry.new:
        grown = replace(
            memory, sources=memory.sources + sources, strength=strength, frequency=frequency, cues=cues
        )
        return Learn(memory=grown, why=f"said {frequency} times")
    return Reinforce(
        memory_id=memory.id,
        sources=sources,
        strength=strength,
        frequency=frequency,
        cues=tuple(cue for cue in cues if cue not in memory.cues),
        why=f"said again, {frequency} times now",
    )
