"""The present, and names that sort by it."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

# Crockford's alphabet, as ULIDs use it: no I, L, O, U to misread.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARS, _RANDOM_CHARS = 10, 8


def utc_now() -> datetime:
    """Return the present in UTC."""
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """Return ``prefix-`` and 18 characters: milliseconds since 1970, then 40 random bits.

    Two ids of one millisecond collide once in 10**12; every table refuses a doubled id.
    """
    moment, chance = time.time_ns() // 1_000_000, secrets.randbits(5 * _RANDOM_CHARS)
    return f"{prefix}-{_spelled(moment, _TIME_CHARS)}{_spelled(chance, _RANDOM_CHARS)}"


def _spelled(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
