"""Choose what fits into the budget, and write it down in the order in which it happened.

Rules:
1. The sum of the hits' tokens never exceeds the budget, nor their number *k*.
2. Nothing twice: the same words once; a message behind a memory that is already in (and a memory all of whose
   messages are in) only after everything else, while budget remains.
3. Hits are best first; the text is chronological, one line a hit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ltmld.core.hit import Hit, Recollection
from ltmld.core.tokens import estimate

_SPEECH = frozenset({"message", "passage"})
# After so many lines that do not fit the budget counts as spent: what fits still is short and far down.
_MISSES_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One hit and its place in time: threads are not mixed where times are equal."""

    hit: Hit
    at: datetime
    order: tuple[str, int]


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
    words: set[str] = set()
    behind_memories: set[str] = set()
    told: set[str] = set()
    spent = 0.0
    misses = 0
    for line in lines:
        if len(chosen) >= k or misses > _MISSES_MAX:
            break
        same = _words(line.hit.text)
        if same in words:
            continue
        sources = set(line.hit.message_ids)
        memory = line.hit.kind not in _SPEECH
        if sources <= (told if memory else behind_memories):
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
        (behind_memories if memory else told).update(sources)
    return chosen, later


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


def _words(text: str) -> str:
    """Return the words after the date and speaker, in lower case."""
    return text.partition("] ")[2].lower()
