"""Find what matters for a text: full text and vectors together, ordered, packed to a budget.

Rules:
1. Recall never leaves its scope, and never shows a memory that is superseded, faded or forgotten.
2. The ledger is read in batches, a fixed number of times whatever is found.
3. What the index offers and the ledger no longer has is left out.
4. The deadline is the caller's: nothing here waits for anything but the index and the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from ltmld.config import WakeSettings
from ltmld.core.clock import Clock
from ltmld.core.exchange import StoredMessage
from ltmld.core.hit import Recollection, Scored
from ltmld.core.memory import RECALLABLE, Memory
from ltmld.core.message import Role
from ltmld.core.ports import Index
from ltmld.index.units import MESSAGE, ROLES, SPEECH, message_passages, owner
from ltmld.index.words import terms
from ltmld.ledger.ledger import Ledger
from ltmld.wake.found import Found, candidates
from ltmld.wake.lines import line_of
from ltmld.wake.packing import packed
from ltmld.wake.question import Question, read_question
from ltmld.wake.ranking import Candidate, confidence, ranked
from ltmld.wake.weights import WEIGHTS, Weights

# The neighbors of so many best messages are fetched, where people talk; more change nothing (0.810, LoCoMo).
_FETCHED_AROUND = 20
# Each half offers so many units for each hit wanted: the cost of a recall grows with what is read from the ledger.
# For ten hits, 30 instead of 100 leave 0.779 instead of 0.786 of the evidence among them (LoCoMo), in 5.2 and 7.8 ms.
_OFFERED_PER_HIT, _OFFERED_MIN = 3, 30
# Full-text searches that may run beside embeddings; the data plane recalls for four requests at a time.
_ASIDE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What was found for one question, before it is ordered; *names* are words in lower case."""

    question: Question
    names: frozenset[str]
    found: Found
    candidates: Sequence[Candidate]


def told(
    offered: Offered, *, weights: Weights, budget_tokens: float, k: int, floor: float = 0.0
) -> Recollection:
    """Order what was offered and pack it to the budget."""
    order = ranked(offered.candidates, offered.question, weights=weights)
    # A score says how much a hit matters, from 0 to 1: its share of the best, times how sure the best is.
    best = max((item.score for item in order), default=1.0) or 1.0
    share = confidence(offered.candidates, offered.question) / best
    asked = frozenset(terms(offered.question.text))
    # Lazily: lines are written only until the budget is spent.
    lines = (
        line_of(item, offered.found, score=max(0.0, item.score * share), asked=asked, names=offered.names)
        for item in order
        if item.score * share >= floor
    )
    return packed(lines, budget_tokens=budget_tokens, k=k)


class HybridRecall:
    """Recall over one ledger and its index; any thread may call."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        index: Index,
        settings: WakeSettings,
        candidates: int,
        clock: Clock,
        weights: Weights = WEIGHTS,
    ) -> None:
        self._ledger = ledger
        self._index = index
        self._settings = settings
        self._candidates = candidates
        self._clock = clock
        self._weights = weights
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
        offered = self.offered(query, scope=scope, at=at, k=k, exclude=exclude, news_only=news_only)
        found = told(offered, weights=self._weights, budget_tokens=budget_tokens, k=k, floor=floor)
        return replace(found, took_ms=1000.0 * (time.perf_counter() - started))

    def offered(
        self,
        query: str,
        *,
        scope: str,
        at: datetime | None = None,
        k: int = 10,
        exclude: frozenset[str] = frozenset(),
        news_only: bool = False,
    ) -> Offered:
        """Return all that is to be ordered, with what stands behind it; raises what ``recall`` raises."""
        names = self._index.names(scope)
        question = read_question(query, names=names, now=at or self._clock())
        found = self._find(question, scope=scope, limit=self._offer(k), exclude=exclude)
        return Offered(
            question=question,
            names=frozenset(word for name in names for word in name.lower().split()),
            found=found,
            candidates=candidates(found, question, news_only=news_only),
        )

    def _offer(self, k: int) -> int:
        return min(self._candidates, max(_OFFERED_MIN, _OFFERED_PER_HIT * k))

    def _find(self, question: Question, *, scope: str, limit: int, exclude: frozenset[str]) -> Found:
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
        found = Found(units=units, lexical=lexical, cosine=cosine, messages=messages, memories=memories)
        self._add_neighbors(found, exclude=exclude)
        return found

    def _memories(self, ids: Sequence[str]) -> list[Memory]:
        found = self._ledger.memories_by_id(ids) if ids else []
        return [memory for memory in found if memory.state in RECALLABLE]

    def _add_neighbors(self, found: Found, *, exclude: frozenset[str]) -> None:
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


def _spoken(message: StoredMessage) -> bool:
    return message.role in (Role.USER, Role.ASSISTANT) and bool(message.text.strip())


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
