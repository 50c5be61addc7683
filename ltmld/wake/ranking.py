"""Order what the two halves of the index found: arithmetic only.

One score per candidate, a convex-like sum in the manner of Bruch et al. (arXiv 2210.11934): full text divided by
its best, cosine divided by its best, then what the place in the conversation says.

The weights were chosen on LoCoMo (people talking, five conversations) and kept only where BEAM (a person and a
model, three conversations) did not suffer; numbers are evidence within 600 injected tokens, LoCoMo | BEAM. All
together: 0.817 | 0.538; full text alone 0.656 | 0.354, cosine alone 0.651 | 0.386.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ltmld.core.strength import multiplier
from ltmld.wake.question import Question

LEXICAL = 1.0
# 1.0 to 1.5 are alike on LoCoMo (0.810 to 0.814); BEAM asks for more (0.49 at 1.0, 0.52 at 1.5).
SEMANTIC = 1.3
# What the semantic half did not offer is a little below the last it offered.
UNSEEN = 0.05
# Talk between people goes on from one turn to the next. In talk with a model they cost BEAM 0.02: its answer
# would ride on the question.
PREVIOUS, NEXT = 0.3, 0.2
# A conversation in which much matches; 0.2 to 0.4 are alike, without it 0.799.
THREAD, THREAD_BEST = 0.3, 5
# The person a question names is mostly the one who said it; without it 0.777.
PERSON = 0.7
# A person's question rarely is the answer. Not so in talk with a model, where people tell by asking (BEAM 0.49).
ASKED = 0.2
# Month or year that the question names; without it 0.799.
DATED = 0.2
# "When ...?" is answered by what speaks of time.
TIMED = 0.05
# A model's own words are long and match everything; BEAM 0.39 without, 0.52 with. They count in full when the
# question asks for them ("what did you recommend?").
MODELS_WORDS = 0.5
# A memory has no neighbors and no thread to lift it.
MEMORY = 0.5
# How sure it is that anything here matters, from the nearest cosine: 0 at 0.15, 1 at 0.5. Measured in one LoCoMo
# scope (5, 50, 95 % of questions): its own 0.28, 0.52, 0.70; those about other people's lives 0.22, 0.35, 0.53;
# greetings and general tasks 0.12, 0.24, 0.48.
_CLOSE_NONE, _CLOSE_SURE = 0.15, 0.5
# A question that names somebody of the scope is about the scope, however little else it says.
_CLOSE_NAMED = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One unit to be ordered.

    ``lexical`` and ``cosine`` are ``None`` where that half did not offer it. ``message_id``, ``previous_id`` and
    ``thread_id`` are of the message behind it, empty for a memory; ``person`` is who speaks or is spoken of.
    """

    unit_id: str
    at: datetime
    lexical: float | None = None
    cosine: float | None = None
    message_id: str = ""
    previous_id: str = ""
    thread_id: str = ""
    person: str = ""
    by_model: bool = False
    asks: bool = False
    tells_time: bool = False
    strength: float | None = None

    @property
    def is_memory(self) -> bool:
        """Whether it is a memory and not what somebody said."""
        return self.strength is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One candidate in its place; ``parts`` sum up to ``score``, but for a memory's strength."""

    candidate: Candidate
    score: float
    parts: dict[str, float] = field(default_factory=dict)


def ranked(candidates: Sequence[Candidate], question: Question) -> list[Ranked]:
    """Return the candidates best first; equals in the order they came."""
    base = _base(candidates, question)
    around = _around(candidates, base)
    threads = _threads(candidates)
    made = [
        _scored(
            candidate, question, base=base[i], around=around[i], thread=threads.get(candidate.thread_id, 0.0)
        )
        for i, candidate in enumerate(candidates)
    ]
    return sorted(made, key=lambda item: -item.score)


def confidence(candidates: Iterable[Candidate], question: Question) -> float:
    """Return from 0 to 1 how sure it is that anything found matters; 1 where there are no cosines to tell."""
    cosines = [item.cosine for item in candidates if item.cosine is not None]
    if not cosines:
        return 1.0
    close = (max(cosines) - _CLOSE_NONE) / (_CLOSE_SURE - _CLOSE_NONE)
    return min(1.0, max(close, _CLOSE_NAMED if question.person else 0.0))


def _scored(
    candidate: Candidate, question: Question, *, base: tuple[float, float], around: float, thread: float
) -> Ranked:
    parts = {
        "lexical": base[0],
        "semantic": base[1],
        "around": around,
        "thread": 0.0 if candidate.is_memory else THREAD * thread,
        "memory": MEMORY if candidate.is_memory else 0.0,
        "person": PERSON if question.person and candidate.person == question.person else 0.0,
        "asked": -ASKED if candidate.asks and candidate.person else 0.0,
        "dated": DATED * question.time.meets(candidate.at),
        "timed": TIMED if question.time.asks_when and candidate.tells_time else 0.0,
    }
    score = sum(parts.values())
    if candidate.strength is not None:
        score *= multiplier(candidate.strength)
    return Ranked(
        candidate=candidate, score=score, parts={name: part for name, part in parts.items() if part}
    )


def _base(candidates: Sequence[Candidate], question: Question) -> list[tuple[float, float]]:
    """Return each candidate's share of full text and of cosine."""
    lexical_best = max((item.lexical or 0.0 for item in candidates), default=0.0)
    cosines = [item.cosine for item in candidates if item.cosine is not None]
    cosine_best, unseen = max(cosines, default=0.0), min(cosines, default=0.0) - UNSEEN

    def shares(item: Candidate) -> tuple[float, float]:
        weight = MODELS_WORDS if item.by_model and not question.asks_back else 1.0
        cosine = unseen if item.cosine is None else item.cosine
        return (
            weight * LEXICAL * _share(item.lexical or 0.0, lexical_best),
            weight * SEMANTIC * _share(cosine, cosine_best),
        )

    return [shares(item) for item in candidates]


def _around(candidates: Sequence[Candidate], base: Sequence[tuple[float, float]]) -> list[float]:
    """Return what each candidate gains from the messages before and after it, where people talk."""
    of_message: dict[str, float] = defaultdict(float)
    following: dict[str, str] = {}
    for item, shares in zip(candidates, base, strict=True):
        if item.message_id:
            of_message[item.message_id] = max(of_message[item.message_id], sum(shares))
            following[item.previous_id] = item.message_id

    def gain(item: Candidate) -> float:
        if not item.person or not item.message_id:
            return 0.0
        before = of_message.get(item.previous_id, 0.0)
        after = of_message.get(following.get(item.message_id, ""), 0.0)
        return PREVIOUS * before + NEXT * after

    return [gain(item) for item in candidates]


def _threads(candidates: Iterable[Candidate]) -> Mapping[str, float]:
    """Return how much of each thread matches, 1 for the best: the sum of its best messages' full-text scores."""
    matches: dict[str, list[float]] = defaultdict(list)
    for item in candidates:
        if item.thread_id and item.lexical:
            matches[item.thread_id].append(item.lexical)
    sums = {thread: sum(sorted(scores, reverse=True)[:THREAD_BEST]) for thread, scores in matches.items()}
    best = max(sums.values(), default=0.0)
    # One thread alone tells nothing.
    return {thread: _share(value, best) for thread, value in sums.items()} if len(sums) > 1 else {}


def _share(value: float, best: float) -> float:
    return min(1.0, max(0.0, value / best)) if best > 0 else 0.0
