"""What each weight gives, and whether the weights hold on conversations that they were not chosen on.

The index is asked once for every question; after that only the ordering and the packing run again, so that a change of
a weight takes seconds.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from benchmarks.evidence import ASKED_HITS, ASKED_TOKENS, BUDGETS, scored
from benchmarks.talks import ADVERSARIAL, Conversation
from ltmld.wake.recall import HybridRecall, Offered, told
from ltmld.wake.weights import Weights

NAMES = tuple(field.name for field in fields(Weights))
# Coordinate ascent: each weight in turn by each step; a gain below the least is noise.
STEPS, GAIN_LEAST = (0.3, 0.3), 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question of one conversation with all that was offered for it."""

    conversation: str
    evidence: frozenset[str]
    offered: Offered


def cases(conversations: Sequence[Conversation], recall: HybridRecall) -> list[Case]:
    """Ask the index all questions but the adversarial ones."""
    return [
        Case(
            conversation=conversation.name,
            evidence=question.evidence,
            offered=recall.offered(question.text, scope=conversation.name, k=ASKED_HITS),
        )
        for conversation in conversations
        for question in conversation.questions
        if question.category != ADVERSARIAL
    ]


def found(asked: Sequence[Case], weights: Weights) -> list[float]:
    """Return the mean share of evidence within each budget."""
    rows = []
    for case in asked:
        hits = told(case.offered, weights=weights, budget_tokens=ASKED_TOKENS, k=ASKED_HITS).hits
        row = scored([(hit.text, hit.refs) for hit in hits], case.evidence)
        rows.append([row[f"@{budget}t"] for budget in BUDGETS])
    return [statistics.mean(column) for column in zip(*rows, strict=True)]


def ablation(asked: Sequence[Case]) -> dict[str, list[float]]:
    """Return what is found with all weights, and with each of them at zero."""
    table = {"all weights": found(asked, Weights())}
    for name in NAMES:
        table[f"without {name}"] = found(asked, replace(Weights(), **{name: 0.0}))
    return table


def held_out(asked: Sequence[Case]) -> dict[str, list[float]]:
    """Choose weights on one half of the conversations, score them on the other; both ways."""
    names = sorted({case.conversation for case in asked})
    table = {}
    for label, chosen_on in (("first", set(names[::2])), ("second", set(names[1::2]))):
        mine = [case for case in asked if case.conversation in chosen_on]
        others = [case for case in asked if case.conversation not in chosen_on]
        if mine and others:
            table[f"shipped, on what the {label} half leaves"] = found(others, Weights())
            table[f"chosen on the {label} half, on the rest"] = found(others, chosen(mine))
    return table


def chosen(asked: Sequence[Case]) -> Weights:
    """Return the weights that coordinate ascent finds, beginning with all at a plain one."""
    plain = dict.fromkeys(NAMES, 0.0) | {"lexical": 1.0, "semantic": 1.0}
    weights, best = Weights(**plain), statistics.mean(found(asked, Weights(**plain)))
    for step in STEPS:
        for name in NAMES:
            for change in (step, -step):
                other = replace(weights, **{name: round(max(0.0, getattr(weights, name) + change), 3)})
                score = statistics.mean(found(asked, other))
                if score > best + GAIN_LEAST:
                    weights, best = other, score
                    break
    return weights
