"""What was given to threads lately, kept in memory: the ledger may not have it yet, or may never get it.

A commit that is late, a client that only reads (``X-LTMLD-Memory: read``), two models asked at once: in each case
the next request must find what the last one was given, or the prompt's prefix changes.

Rules:
1. Bounded: the oldest entries go first. Losing one costs a prompt cache, never an answer.
2. A conversation's first message alone says little: it stands for the same conversation only for a while.
3. Any thread may call.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ltmld.core.injection import Injection

ENTRIES_MAX = 2048
# A lone first message seen again within this time is a retry, a regenerate or a second model; later it is a new
# conversation that begins with the same words.
SAME_OPENING = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the request that ended in one message was given, and in which thread."""

    thread_id: str
    at: datetime
    injection: Injection | None


class Shelf:
    """Entries by scope, the client's own name for the conversation, and chain."""

    def __init__(self, *, entries_max: int = ENTRIES_MAX) -> None:
        self._entries: OrderedDict[tuple[str, str, str], Kept] = OrderedDict()
        self._entries_max = entries_max
        self._lock = threading.Lock()

    def keep(self, scope: str, chain: str, kept: Kept, *, key: str = "") -> None:
        """Remember what the message with this chain was given; the first gift of an opening stays."""
        with self._lock:
            before = self._entries.pop((scope, key, chain), None)
            same = before is not None and before.thread_id == kept.thread_id
            self._entries[scope, key, chain] = before if before and same and before.injection else kept
            while len(self._entries) > self._entries_max:
                self._entries.popitem(last=False)

    def find(self, scope: str, chains: Sequence[str], *, now: datetime, key: str = "") -> list[Kept]:
        """Return what the messages of a path were given, the oldest first."""
        with self._lock:
            found = [self._entries.get((scope, key, chain)) for chain in chains]
        kept = [one for one in found if one is not None]
        if len(chains) == 1:
            return [one for one in kept if now - one.at <= SAME_OPENING]
        return kept
