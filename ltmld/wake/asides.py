"""What was said while memory was paused, in a conversation that goes on afterwards: it is never recorded as history.

Rules:
1. An aside is a user's message and everything up to the next one: the answer to it was off the record too.
2. The newest message is no aside, whatever was said before: these words are said now, with memory on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ltmld.core.exchange import PathMessage
from ltmld.core.message import Role


def newest_said(path: Sequence[PathMessage]) -> PathMessage | None:
    """Return the last message of the user."""
    return next((item for item in reversed(path) if item.message.role is Role.USER), None)


def without_asides(path: tuple[PathMessage, ...], asides: Collection[str]) -> tuple[PathMessage, ...]:
    """Return *path* without the messages whose chains are *asides*, and without the answers to them."""
    if not asides:
        return path
    kept, aside = [], False
    for item in path:
        if item.message.role is Role.USER:
            aside = item.chain in asides
        if not aside:
            kept.append(item)
    return tuple(kept)
