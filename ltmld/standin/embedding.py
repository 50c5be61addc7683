"""Vectors that follow from the words alone: the same text always gives the same vector, shared words bring two near."""

from __future__ import annotations

import math
from hashlib import sha256

from ltmld.standin.words import stems

DIMENSION = 64


def embed(text: str) -> list[float]:
    """Return a vector of length 1 (the zero vector's place is taken by the first axis)."""
    vector = [0.0] * DIMENSION
    for stem in sorted(stems(text)):
        digest = sha256(stem.encode()).digest()
        vector[digest[0] % DIMENSION] += 1.0 if digest[1] & 1 else -1.0
    if not any(vector):
        vector[0] = 1.0
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector]
