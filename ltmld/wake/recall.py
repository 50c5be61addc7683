"""Find what matters for a text: full text and vectors together, ordered, packed to a budget.

Rules:
1. Recall never leaves its scope, and never shows a memory that is superseded, faded or forgotten.
2. The ledger is read in batches, a fixed number of times whatever is found.
3. What the index offers and the ledger no longer has is left out.
4. The deadline is the caller's: nothing here waits for anything but the index and the ledger.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from ltmld.config import WakeSettings
from ltmld.core.clock import Clock
from ltmld.core.days import local_day
from ltmld.core.exchange import StoredMessage
from ltmld.core.hit import Hit, Recollection, Scored
from ltmld.core.memory import RECALLABLE, Memory, MemoryState
from ltmld.core.message import Role
from ltmld.core.ports import Index
from ltmld.index.units import MESSAGE, PASSAGE, ROLES, SPEECH, message_passages, owner, passage_number
from ltmld.ledger.ledger import Ledger
from ltmld.wake.dates import speaks_of_time
from ltmld.wake.news import has_news
from ltmld.wake.packing import Line, packed
from ltmld.wake.question import Question, read_question
from ltmld.wake.ranking import Candidate, Ranked, confidence, ranked

# The neighbors of so many best messages are fetched, where people talk; more change nothing (0.810, LoCoMo).
_FETCHED_AROUND = 20
# Each half offers so many units for each hit wanted: the cost of a recall grows with what is read from the ledger.
# For ten hits, 30 instead of 100 leave 0.779 instead of 0.786 of the evidence among them (LoCoMo), in 5.2 and 7.8 ms.
_OFFERED_PER_HIT, _OFFERED_MIN = 3, 30
# Full-text searches that may run beside embeddings; the data plane recalls for four requests at a time.
_ASIDE = 4
_ISO_DATE = re.compile(r"\d{4}(?:-\d\d){0,2}")
_DISPUTED = "(disputed) "


@dataclass(slots=True, kw_only=True)
class _Found:
    """What a recall knows: scores by unit, and the entities behind the units."""

    units: dict[str, Scored]
    lexical: Mapping[str, float]
    cosine: Mapping[str, float]
    messages: dict[str, StoredMessage]
    memories: Mapping[str, Memory]


class HybridRecall:
    """Recall over one ledger and its index; any thread may call."""

    def __init__(
        self, *, ledger: Ledger, index: Index, settings: WakeSettings, candidates: int, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._index = index
        self._settings = settings
        self._candidates = candidates
        self._clock = clock
        self._aside = ThreadPoolExecutor(max_workers=_ASIDE, thread_name_prefix="lexical")

    def close(self) -> None:
        """Let the threads go."""
        self._aside.shutdown(wait=False)

    def recall(
        self,
        query: str,
        *,
        scope: str,
        at: datetime | None = None,
        budget_tokens: int = 800,
        k: int = 10,
        floor: float = 0.0,
        exclude: frozenset[str] = frozenset(),
        news_only: bool = False,
    ) -> Recollection:
        """Return hits best first, packed to the budget.

        Left out: what scores below *floor*, and ids in *exclude* (memories, or messages behind hits);
        with *news_only* also messages that say nothing beyond the query.

        Raises:
            IndexBrokenError: full text cannot be read.
            LedgerError: the ledger cannot be read.
        """
        started = time.perf_counter()
        question = read_question(query, names=self._index.names(scope), now=at or self._clock())
        found = self._find(question, scope=scope, limit=self._offer(k), exclude=exclude)
        candidates = _candidates(found, question)
        if news_only:  # here, so that they never make their neighbors look important either
            candidates = [one for one in candidates if _tells(one, found, question)]
        order = ranked(candidates, question)
        # A score says how much a hit matters, from 0 to 1: its share of the best, times how sure the best is.
        best = max((item.score for item in order), default=1.0) or 1.0
        share = confidence(candidates, question) / best
        # Lazily: lines are written only until the budget is spent.
        lines = (
            _line(item, found, score=item.score * share) for item in order if item.score * share >= floor
        )
        recollection = packed(lines, budget_tokens=budget_tokens, k=k)
        return replace(recollection, took_ms=1000.0 * (time.perf_counter() - started))

    def _offer(self, k: int) -> int:
        return min(self._candidates, max(_OFFERED_MIN, _OFFERED_PER_HIT * k))

    def _find(self, question: Question, *, scope: str, limit: int, exclude: frozenset[str]) -> _Found:
        # Both halves leave the interpreter's lock while they search: side by side they take as long as the slower.
        aside = self._aside.submit(self._index.lexical, question.text, scope=scope, limit=limit)
        nearest = self._index.semantic(question.bare, scope=scope, limit=limit)
        offered = [aside.result(), nearest]
        lexical, cosine = (
            {unit.unit_id: unit.score for unit in half if owner(unit.unit_id) not in exclude}
            for half in offered
        )
        units = {
            unit.unit_id: unit for half in offered for unit in half if owner(unit.unit_id) not in exclude
        }
        memories = {
            memory.id: memory
            for memory in self._memories([name for name, unit in units.items() if unit.kind not in SPEECH])
            # What only says again what the reader has before him is no recollection.
            if not all(source.message_id in exclude for source in memory.sources)
        }
        behind = [source.message_id for memory in memories.values() for source in memory.sources]
        speech = [owner(unit_id) for unit_id, unit in units.items() if unit.kind in SPEECH]
        messages = {message.id: message for message in self._ledger.messages(_once([*speech, *behind]))}
        found = _Found(units=units, lexical=lexical, cosine=cosine, messages=messages, memories=memories)
        self._add_neighbors(found, exclude=exclude)
        return found

    def _memories(self, ids: Sequence[str]) -> list[Memory]:
        found = self._ledger.memories_by_id(ids) if ids else []
        return [memory for memory in found if memory.state in RECALLABLE]

    def _add_neighbors(self, found: _Found, *, exclude: frozenset[str]) -> None:
        """Add what stands beside the best messages of people's talk: an answer need not share a question's words."""
        half = _FETCHED_AROUND // 2
        best = _once([*list(found.lexical)[:half], *list(found.cosine)[:half]])
        talk = [name for name in best if name in found.messages and found.messages[name].speaker not in ROLES]
        if not talk:
            return
        for pair in self._ledger.neighbors(talk).values():
            for message in pair:
                if (
                    message is None
                    or message.id in found.units
                    or message.id in exclude
                    or not _spoken(message)
                ):
                    continue
                if len(message_passages(message.text)) == 1:
                    found.messages[message.id] = message
                    found.units[message.id] = Scored(unit_id=message.id, kind=MESSAGE, score=0.0)


def _candidates(found: _Found, question: Question) -> list[Candidate]:
    # Looking for words of time in every candidate costs a third of a recall: only where it is asked for.
    looks = question.time.asks_when
    made: list[Candidate] = []
    for unit_id, unit in found.units.items():
        scores = {"lexical": found.lexical.get(unit_id), "cosine": found.cosine.get(unit_id)}
        if unit.kind not in SPEECH:
            memory = found.memories.get(unit_id)
            if memory is not None:
                made.append(_of_memory(memory, found, looks=looks, **scores))
            continue
        message = found.messages.get(owner(unit_id))
        if message is not None:
            made.append(_of_message(unit_id, message, looks=looks, **scores))
    return made


def _of_message(
    unit_id: str, message: StoredMessage, *, looks: bool, lexical: float | None, cosine: float | None
) -> Candidate:
    words = _words(unit_id, message)
    return Candidate(
        unit_id=unit_id,
        at=message.at,
        lexical=lexical,
        cosine=cosine,
        message_id=message.id,
        previous_id=message.parent_id or "",
        thread_id=message.thread_id,
        person="" if message.speaker in ROLES else message.speaker,
        by_model=message.speaker == Role.ASSISTANT,
        asks=words.rstrip().endswith("?"),
        tells_time=looks and speaks_of_time(words),
    )


def _of_memory(
    memory: Memory, found: _Found, *, looks: bool, lexical: float | None, cosine: float | None
) -> Candidate:
    return Candidate(
        unit_id=memory.id,
        at=_began(memory, found),
        lexical=lexical,
        cosine=cosine,
        person=memory.subject,
        tells_time=looks and (bool(memory.when) or speaks_of_time(memory.text)),
        strength=memory.strength,
    )


def _tells(candidate: Candidate, found: _Found, question: Question) -> bool:
    message = found.messages.get(owner(candidate.unit_id))
    return message is None or has_news(_words(candidate.unit_id, message), question.text)


def _line(item: Ranked, found: _Found, *, score: float) -> Line:
    unit_id = item.candidate.unit_id
    memory = found.memories.get(unit_id)
    if memory is not None:
        return _memory_line(item, memory, found, score=score)
    message = found.messages[owner(unit_id)]
    hit = Hit(
        id=unit_id,
        kind=MESSAGE if passage_number(unit_id) is None else PASSAGE,
        text=f"[{local_day(message.at)}] {message.speaker}: {' '.join(_words(unit_id, message).split())}",
        score=round(score, 4),
        at=message.at,
        refs=(message.ref or message.id,),
        message_ids=(message.id,),
        parts=item.parts,
    )
    return Line(hit=hit, at=message.at, order=(message.thread_id, message.ordinal))


def _memory_line(item: Ranked, memory: Memory, found: _Found, *, score: float) -> Line:
    at = _began(memory, found)
    date = memory.when if _ISO_DATE.fullmatch(memory.when) else f"{local_day(at)}"
    doubt = _DISPUTED if memory.state is MemoryState.DISPUTED else ""
    behind = _once([source.message_id for source in memory.sources])
    hit = Hit(
        id=memory.id,
        kind=memory.kind.value,
        text=f"[{date}] {doubt}{' '.join(memory.text.split())}",
        score=round(score, 4),
        at=at,
        refs=tuple(found.messages[name].ref or name for name in behind if name in found.messages)
        or tuple(behind),
        message_ids=tuple(behind),
        parts=item.parts,
    )
    return Line(hit=hit, at=at, order=("", 0))


def _began(memory: Memory, found: _Found) -> datetime:
    """Return when what a memory tells of was so, or else was said, or else was learned."""
    if memory.valid_from is not None:
        return memory.valid_from
    said = [
        found.messages[source.message_id].at
        for source in memory.sources
        if source.message_id in found.messages
    ]
    return min(said, default=memory.recorded_at)


def _words(unit_id: str, message: StoredMessage) -> str:
    number = passage_number(unit_id)
    return message.text if number is None else message_passages(message.text)[number]


def _spoken(message: StoredMessage) -> bool:
    return message.role in (Role.USER, Role.ASSISTANT) and bool(message.text.strip())


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
