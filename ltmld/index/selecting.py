"""Choose what full text is asked: BM25 over all that holds one of ten words is slow where words are frequent.

Rules:
1. Ranking costs about a microsecond for each unit that matches (1,000,000 units, four frequent words: 460 ms). So no
   more than ``POSTINGS_MAX`` are ranked: the rarest words first, as many as fit; the others tell the least.
2. Where even the rarest word is too frequent, a unit must hold another of the words as well, and where that is not
   rare enough, only the latest units are looked at.
3. A small scope is not touched by this: all words are asked for, and the ranking is exact.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

POSTINGS_MAX = 4_000
"""Most units that are ranked for one query: 4 ms."""
# A frequent word is counted up to this; beyond it, it does not matter how frequent it is.
_COUNTED_MAX = 20 * POSTINGS_MAX
# Frequent words are few: their counts are kept, and grow stale slowly.
_KEPT_MAX = 4096

_COUNT = "SELECT count(*) FROM (SELECT 1 FROM fulltext_{table} WHERE fulltext_{table} MATCH ? LIMIT ?)"
_NEWEST = "SELECT max(rowid) FROM fulltext_{table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What full text is asked: an expression of FTS5, and the number from which on units count."""

    match: str
    after: int = 0


class Frequencies:
    """How many units hold a word, by table; any thread may ask."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._frequent: OrderedDict[tuple[int, str], int] = OrderedDict()

    def clear(self) -> None:
        """Everything was removed."""
        with self._lock:
            self._frequent.clear()

    def select(self, connection: sqlite3.Connection, table: int, words: Sequence[str]) -> Selection:
        """Return what to ask *table* for *words*, of which there is at least one."""
        newest = connection.execute(_NEWEST.format(table=table)).fetchone()[0] or 0
        if newest * len(words) <= POSTINGS_MAX:
            return Selection(match=any_of(words))
        counts = {word: self._count(connection, table, word) for word in words}
        order = [word for word in sorted(words, key=lambda word: counts[word]) if counts[word]]
        if not order:
            return Selection(match=any_of(words))
        fitting, total = [], 0
        for word in order:
            total += counts[word]
            if total > POSTINGS_MAX:
                break
            fitting.append(word)
        if fitting:
            return Selection(match=any_of(fitting))
        return _narrowed(order, counts, newest)

    def _count(self, connection: sqlite3.Connection, table: int, word: str) -> int:
        with self._lock:
            known = self._frequent.get((table, word))
            if known is not None:
                self._frequent.move_to_end((table, word))
                return known
        count = int(connection.execute(_COUNT.format(table=table), (f'"{word}"', _COUNTED_MAX)).fetchone()[0])
        if count > POSTINGS_MAX // 10:
            with self._lock:
                self._frequent[table, word] = count
                while len(self._frequent) > _KEPT_MAX:
                    self._frequent.popitem(last=False)
        return count


def any_of(words: Sequence[str]) -> str:
    """Return the FTS5 expression of units that hold one of *words*, which are alphanumeric."""
    return " OR ".join(f'"{word}"' for word in words)


def _narrowed(order: Sequence[str], counts: dict[str, int], newest: int) -> Selection:
    """Return the rarest word with any other, among so many of the latest units as will match often enough."""
    rarest, *others = order
    match, expected = any_of([rarest]), float(counts[rarest])
    if others:
        match = f"{match} AND ({any_of(others)})"
        share = min(1.0, sum(counts[word] for word in others) / newest)
        expected *= share
    after = 0 if expected <= POSTINGS_MAX else int(newest * (1.0 - POSTINGS_MAX / expected))
    return Selection(match=match, after=after)
