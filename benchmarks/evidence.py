"""Score hits by the evidence within them: the share of a question's messages within so many tokens."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.talks import ADVERSARIAL, Conversation
from ltmld.core.tokens import estimate

BUDGETS = (150, 300, 600, 1200)
ASKED_TOKENS, ASKED_HITS = 1400, 60

Ask = Callable[[str], Sequence[tuple[str, Sequence[str]]]]
"""Answer a question with hits best first: the text that would be injected, and the refs behind it."""


def tabled(asked: Iterator[tuple[Conversation, Ask]]) -> dict[str, Any]:
    """Return the table of all conversations: a row per category, the totals, the times."""
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    took_ms: list[float] = []
    for conversation, ask in asked:
        ask("Is the machine warm?")
        for question in conversation.questions:
            started = time.perf_counter()
            hits = ask(question.text)
            took_ms.append(1000 * (time.perf_counter() - started))
            rows[question.category].append(scored(hits, question.evidence))
    groups = {category: rows[category] for category in sorted(rows)}
    groups["ALL"] = [row for some in rows.values() for row in some]
    groups["ALL but adversarial"] = [
        row for name, some in rows.items() if name != ADVERSARIAL for row in some
    ]
    table: dict[str, Any] = {
        label: {
            "n": len(some),
            **{key: round(statistics.mean(row[key] for row in some), 3) for key in some[0]},
        }
        for label, some in groups.items()
        if some
    }
    took_ms.sort()
    table["ms"] = {
        "p50": round(took_ms[len(took_ms) // 2], 1),
        "p99": round(took_ms[int(len(took_ms) * 0.99)], 1),
    }
    return table


def scored(hits: Sequence[tuple[str, Sequence[str]]], evidence: frozenset[str]) -> dict[str, float]:
    """Return one question's row: the share of its evidence within each budget and number of hits."""
    spent = 0.0
    at_tokens: dict[str, float] = {}
    at_hit: dict[str, int] = {}
    for place, (text, refs) in enumerate(hits, 1):
        spent += estimate(text)
        for ref in evidence.intersection(refs):
            at_tokens.setdefault(ref, spent)
            at_hit.setdefault(ref, place)
    row = {f"@{budget}t": _share(at_tokens, evidence, budget) for budget in BUDGETS}
    row |= {f"hits@{count}": _share(at_hit, evidence, count) for count in (10, 20)}
    row["all@600t"] = float(_share(at_tokens, evidence, 600) == 1.0)
    return row


def _share(found: Mapping[str, float], evidence: frozenset[str], most: float) -> float:
    return sum(found.get(ref, float("inf")) <= most for ref in evidence) / len(evidence)
