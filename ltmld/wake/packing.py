"""Choose what fits into the budget, and write it down in the order in which it happened.

Rules:
1. The sum of the hits' tokens never exceeds the budget, nor their number *k*.
2. Nothing twice: the same words once, whatever their case, signs and fillers; a message behind a memory that is in and
   carries the answer (and a memory all of whose messages are in) only after everything else, while budget remains.
3. Hits are best first; the text is chronological, one line a hit.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ltmld.core.hit import Hit, Recollection
from ltmld.core.tokens import estimate

_SPEECH = frozenset({"message", "passage"})
# A message whose own words meet the question better than its memory's by so much is told beside it: the memory does
# not carry the answer. A match is worth up to 2 (all words and the nearest meaning).
_CARRIES = 0.5
_SIGNS = str.maketrans("", "", ".,;:!?\"'()")
_FILLERS = frozenset({"a", "an", "the", "oh", "well", "so", "just", "really", "very", "and"})
# After so many lines that do not fit the budget counts as spent: what fits still is short and far down.
_MISSES_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One hit and its place in time: threads are not mixed where times are equal.

    ``match`` is how well its own words meet the question.
    """

    hit: Hit
    at: datetime
    order: tuple[str, int]
    match: float = 0.0

    @property
    def is_memory(self) -> bool:
        """Whether it is a memory and not what somebody said."""
        return self.hit.kind not in _SPEECH


def packed(lines: Iterable[Line], *, budget_tokens: float, k: int) -> Recollection:
    """Return what fits, from *lines* best first."""
    chosen, later = _first_choice(lines, budget_tokens=budget_tokens, k=k)
    chosen += _fitting(later, budget=budget_tokens - _tokens(chosen), k=k - len(chosen))
    told = sorted(chosen, key=lambda line: (line.at, line.order))
    return Recollection(
        text="\n".join(line.hit.text for line in told),
        tokens=round(_tokens(chosen)),
        hits=tuple(line.hit for line in chosen),
    )


def _first_choice(lines: Iterable[Line], *, budget_tokens: float, k: int) -> tuple[list[Line], list[Line]]:
    chosen: list[Line] = []
    later: list[Line] = []
    words: set[Hashable] = set()
    told = _Told()
    spent = 0.0
    misses = 0
    for line in lines:
        if len(chosen) >= k or misses > _MISSES_MAX:
            break
        same = _words(line.hit)
        if same in words:
            continue
        if told.holds(line):
            later.append(line)
            words.add(same)
            continue
        cost = estimate(line.hit.text)
        if spent + cost > budget_tokens:
            misses += 1
            continue
        chosen.append(line)
        words.add(same)
        spent += cost
        told.add(line)
    return chosen, later


class _Told:
    """Which messages have been told, by themselves or by a memory, and how well the memory met the question."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._behind: dict[str, float] = {}

    def add(self, line: Line) -> None:
        if line.is_memory:
            for name in line.hit.message_ids:
                self._behind[name] = max(self._behind.get(name, 0.0), line.match)
        else:
            self._said.update(line.hit.message_ids)

    def holds(self, line: Line) -> bool:
        """Tell whether what *line* says is told: a fact stands for its exchange only where it carries the answer."""
        if line.is_memory:
            return self._said.issuperset(line.hit.message_ids)
        return all(
            line.match <= self._behind.get(name, float("-inf")) + _CARRIES for name in line.hit.message_ids
        )


def _fitting(lines: Sequence[Line], *, budget: float, k: int) -> list[Line]:
    chosen: list[Line] = []
    for line in lines:
        cost = estimate(line.hit.text)
        if len(chosen) < k and cost <= budget:
            chosen.append(line)
            budget -= cost
    return chosen


def _tokens(lines: Sequence[Line]) -> float:
    return sum(estimate(line.hit.text) for line in lines)


def _words(hit: Hit) -> Hashable:
    """Return what two near-duplicates have in common: speaker and words in order, but for case, signs and fillers.

    Nothing more is left out: "not", "three" and "5 pm" are one word, too, and change everything.
    """
    text = hit.text.partition("] ")[2] if hit.text.startswith("[") else hit.text
    return tuple(word for word in text.lower().translate(_SIGNS).split() if word not in _FILLERS)
