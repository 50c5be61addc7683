"""The gate: decide which messages deserve memory, each with a reason.

A logistic score over ten cheap features. It runs before any model is asked: an audit of another memory
found 97.8 % of 10,134 entries to be junk (mem0 issue 4573), most of it greetings, boilerplate and repetition.

Rules:
1. Every message gets exactly one verdict, and the reason names the feature that weighed most.
2. Noise (code, boilerplate, repetition) is also kept out of prompts; thin talk stays there as context.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from ltmld.core.exchange import StoredMessage
from ltmld.core.proposal import Verdict
from ltmld.sleep.episode import is_person
from ltmld.sleep.features import Features, measure
from ltmld.sleep.words import plain

# Set by hand, then checked on two LoCoMo conversations whose facts are known (nearly every message that a
# fact rests on is admitted) and on lists of junk. A later stage that reviews verdicts will learn them.
BIAS = -1.6
WEIGHTS: Mapping[str, float] = {
    "novelty": 1.2,
    "self_reference": 1.6,
    "specificity": 1.4,
    "length": 1.4,
    "question": -1.8,
    "repetition": -4.0,
    "phatic": -4.0,
    "boilerplate": -3.5,
    "code": -5.0,
    "machine": -1.0,
}

REASONS: Mapping[str, str] = {
    "novelty": "new",
    "self_reference": "about the speaker",
    "specificity": "specific",
    "length": "says something",
    "question": "only a question",
    "repetition": "repetition",
    "phatic": "greeting or filler",
    "boilerplate": "boilerplate",
    "code": "code",
    "machine": "general answer of the assistant",
}
THIN = "too little in it"
KNOWN = "already known"
NOISE = frozenset({REASONS["repetition"], REASONS["boilerplate"], REASONS["code"]})
"""Reasons that also keep a message out of prompts."""


def gate(messages: Sequence[StoredMessage], *, nearest: Sequence[float], threshold: float) -> list[Verdict]:
    """Return one verdict for each of *messages*; ``nearest[i]`` is the cosine of the memory nearest to message i."""
    seen: set[tuple[str, str]] = set()
    verdicts: list[Verdict] = []
    for message, cosine in zip(messages, nearest, strict=True):
        # Only long repetitions are noise: two people may say "me too" on two days and mean it.
        mark = (message.role, plain(message.text))
        repeated = mark in seen and len(mark[1].split()) >= 6
        seen.add(mark)
        features = measure(message.text, nearest=cosine, repeated=repeated, person=is_person(message))
        verdicts.append(_verdict(message.id, features, threshold))
    return verdicts


def score(features: Features) -> float:
    """Return the gate's score in (0, 1): the logistic of the weighted features."""
    total = BIAS + sum(WEIGHTS[name] * value for name, value in asdict(features).items())
    return 1.0 / (1.0 + math.exp(-total))


def _verdict(message_id: str, features: Features, threshold: float) -> Verdict:
    value = score(features)
    admitted = value >= threshold
    reason = _reason(features, admitted=admitted)
    return Verdict(message_id=message_id, admitted=admitted, score=round(value, 4), reason=reason)


def _reason(features: Features, *, admitted: bool) -> str:
    parts = {name: WEIGHTS[name] * value for name, value in asdict(features).items()}
    if admitted:
        # Novelty and length lift nearly everything: the reason is what sets this message apart.
        telling = {name: parts[name] for name in ("self_reference", "specificity") if parts[name] > 0.4}
        return REASONS[max(telling or parts, key=lambda name: parts[name])]
    worst = min(parts, key=lambda name: parts[name])
    if parts[worst] <= -0.9:
        return REASONS[worst]
    return KNOWN if features.novelty < 0.4 else THIN
