"""Order what the two halves of the index found: arithmetic only.

One score per candidate, a convex-like sum in the manner of Bruch et al. (arXiv 2210.11934): each half divided by its
best, then what the place in the conversation, the question's person and its time say (``weights.py``). A memory's
strength is a factor within bounds, never more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ltmld.core.strength import multiplier
from ltmld.wake.question import Question
from ltmld.wake.weights import WEIGHTS, Weights

# What the semantic half did not offer is a little below the last it offered.
UNSEEN = 0.05
# So many messages say how well a conversation matches.
THREAD_BEST = 5
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
    ``sources`` are the ids of the messages a memory was drawn from; ``dated`` is how well its time
    meets the question's.
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
    passage: bool = False
    tells_time: bool = False
    dated: float = 0.0
    strength: float | None = None
    sources: tuple[str, ...] = ()

    @property
    def is_memory(self) -> bool:
        """Whether it is a memory and not what somebody said."""
        return self.strength is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One candidate in its place; ``parts`` sum up to ``score``, but for a memory's strength.

    ``match`` is what its own words alone are worth.
    """

    candidate: Candidate
    score: float
    match: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)


def ranked(
    candidates: Sequence[Candidate], question: Question, *, weights: Weights = WEIGHTS
) -> list[Ranked]:
    """Return the candidates best first; equals in the order they came."""
    base = _base(candidates, question, weights)
    of_message = _of_messages(candidates, base)
    around = _around(candidates, of_message, weights)
    threads = _threads(candidates, base)
    made = [
        _scored(
            candidate,
            question,
            base=base[i],
            weights=weights,
            parts={
                "around": around[i],
                "thread": weights.thread * threads.get(candidate.thread_id, 0.0),
                "sources": weights.sources * _best(of_message, candidate.sources),
            },
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
    candidate: Candidate,
    question: Question,
    *,
    base: tuple[float, float],
    weights: Weights,
    parts: dict[str, float],
) -> Ranked:
    parts |= {
        "lexical": base[0],
        "semantic": base[1],
        "memory": weights.memory if candidate.is_memory else 0.0,
        "person": weights.person if question.person and candidate.person == question.person else 0.0,
        "dated": weights.dated * candidate.dated,
        "timed": weights.timed if question.time.asks_when and candidate.tells_time else 0.0,
        "passage": -weights.passage if candidate.passage else 0.0,
    }
    score = sum(parts.values())
    if candidate.strength is not None:
        score *= multiplier(candidate.strength)
    return Ranked(
        candidate=candidate,
        score=score,
        match=sum(base),
        parts={name: part for name, part in parts.items() if part},
    )


def _base(candidates: Sequence[Candidate], question: Question, weights: Weights) -> list[tuple[float, float]]:
    """Return each candidate's worth by full text and by cosine."""
    lexical_best = max((item.lexical or 0.0 for item in candidates), default=0.0)
    cosines = [item.cosine for item in candidates if item.cosine is not None]
    cosine_best, unseen = max(cosines, default=0.0), min(cosines, default=0.0) - UNSEEN

    def worth(item: Candidate) -> tuple[float, float]:
        factor = 1.0 - weights.model if item.by_model and not question.asks_back else 1.0
        cosine = unseen if item.cosine is None else item.cosine
        words = _share(item.lexical or 0.0, lexical_best) - weights.lexical_floor
        return (
            factor * weights.lexical * max(0.0, words),
            factor * weights.semantic * _share(cosine, cosine_best),
        )

    return [worth(item) for item in candidates]


def _of_messages(candidates: Sequence[Candidate], base: Sequence[tuple[float, float]]) -> Mapping[str, float]:
    """Return what each message's own words are worth: its best passage's."""
    worth: dict[str, float] = {}
    for item, shares in zip(candidates, base, strict=True):
        if item.message_id:
            worth[item.message_id] = max(worth.get(item.message_id, 0.0), sum(shares))
    return worth


def _around(
    candidates: Sequence[Candidate], of_message: Mapping[str, float], weights: Weights
) -> list[float]:
    """Return what each candidate gains from the messages before and after it, where people talk."""
    previous = {item.message_id: item.previous_id for item in candidates if item.message_id}
    following = {before: message for message, before in previous.items()}

    def gain(item: Candidate) -> float:
        if not item.person or not item.message_id:
            return 0.0
        return (
            weights.previous * of_message.get(item.previous_id, 0.0)
            + weights.before_previous * of_message.get(previous.get(item.previous_id, ""), 0.0)
            + weights.following * of_message.get(following.get(item.message_id, ""), 0.0)
        )

    return [gain(item) for item in candidates]


def _threads(candidates: Iterable[Candidate], base: Iterable[tuple[float, float]]) -> Mapping[str, float]:
    """Return how much of each thread matches, 1 for the best: the sum of its best messages' full text."""
    matches: dict[str, list[float]] = defaultdict(list)
    for item, (words, _) in zip(candidates, base, strict=True):
        if item.thread_id and words:
            matches[item.thread_id].append(words)
    sums = {thread: sum(sorted(found, reverse=True)[:THREAD_BEST]) for thread, found in matches.items()}
    best = max(sums.values(), default=0.0)
    # One thread alone tells nothing.
    return {thread: _share(value, best) for thread, value in sums.items()} if len(sums) > 1 else {}


def _share(value: float, best: float) -> float:
    return min(1.0, max(0.0, value / best)) if best > 0 else 0.0


def _best(worth: Mapping[str, float], messages: Iterable[str]) -> float:
    return max((worth.get(name, 0.0) for name in messages), default=0.0)
