"""Strength: how firmly a memory holds at a moment; arithmetic only.

Rules:
1. Strength never grows with age: only use and repetition raise it.
2. Importance and repetition slow the decay; they never stop it (a pin does, and that is the ledger's flag).
3. The multiplier that ranking sees is bounded, so that age can never hide a memory by itself.
"""

from __future__ import annotations

import math
from datetime import datetime

# Bounds measured elsewhere to be safe: an unbounded recency or importance weight halves recall (design, Recall).
MULTIPLIER_MIN, MULTIPLIER_MAX = 0.7, 1.3

_DAY_S = 86_400.0


def decayed(strength: float, *, since: datetime, now: datetime, stability_days: float) -> float:
    """Return *strength* after the time from *since* to *now*, by the exponential forgetting curve.

    ``stability_days`` is the time in which it falls to 1/e (Ebbinghaus; MemoryBank, arXiv 2305.10250).
    """
    age_days = max(0.0, (now - since).total_seconds() / _DAY_S)
    return strength * math.exp(-age_days / max(stability_days, 1e-6))


def reinforced(strength: float, *, gain: float = 0.5, ceiling: float = 5.0) -> float:
    """Return *strength* after one more use or repetition, with diminishing returns below *ceiling*."""
    return min(ceiling, strength + gain * (1.0 - strength / ceiling))


def stability_days(*, importance: float, frequency: int, base_days: float = 30.0) -> float:
    """Return how long a memory of this importance, seen this often, holds."""
    return base_days * (0.5 + importance) * (1.0 + math.log1p(max(frequency, 1) - 1))


def multiplier(strength: float) -> float:
    """Return the bounded factor by which strength may move a ranking score."""
    return min(MULTIPLIER_MAX, max(MULTIPLIER_MIN, 0.7 + 0.3 * strength))
