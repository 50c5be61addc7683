"""What each sign is worth when hits are ordered; one set for people's talk and for talk with a model.

``benchmarks/recall.py --ablation`` prints what each gives, on people's talk, talk with a model, and after a night; the
sources are in docs/adr (One score for every hit).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The weights of ``ranking.ranked``; at zero a sign counts for nothing."""

    # Full text, as a share of the best hit's; a share below the floor is one common word, and says nothing.
    lexical: float = 1.0
    lexical_floor: float = 0.3
    # Cosine, as a share of the best hit's.
    semantic: float = 1.3
    # Talk between people goes on from turn to turn: what the turns before, two before and after match.
    previous: float = 0.3
    before_previous: float = 0.15
    following: float = 0.3
    # A conversation in which much matches: the sum of its five best messages' full text.
    thread: float = 0.3
    # The person a question names is mostly the one who said it, or of whom it is told.
    person: float = 0.85
    # The month, year or span of time that a question names.
    dated: float = 0.8
    # "When ...?" is answered by what speaks of time.
    timed: float = 0.2
    # A memory is shorter than what it was drawn from, and has no neighbors and no thread to lift it.
    memory: float = 0.7
    # The best match among the messages that a memory was drawn from: it is a key that leads to them, and they to it.
    sources: float = 0.3
    # A part of a long message costs many tokens and matches by its length.
    passage: float = 0.3
    # The share taken off a model's own words, long and about everything, unless the question asks for them.
    model: float = 0.5


WEIGHTS = Weights()
