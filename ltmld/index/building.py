"""What the list of units knows beside the vectors in use: those missing, those being built anew, those left over.

Rules:
1. ``building`` lists the units whose vectors the next embedder has made; a restart goes on where it ended.
2. ``swap`` is one transaction: before it the old embedder's vectors are in use, after it the next one's.
3. ``leftovers`` are vectors of removed units that could not be removed from Chroma: they are when it is back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ltmld.index.fulltext import FullText, Listed

CHOSEN, OVER, NEXT = "chosen", "over", "next"
"""Notes: which embedder a person chose, which setting that was put above, and which one is being built."""

# In one query SQLite counts a million of these in some 30 ms.
_MISSING = """
SELECT scopes.name, units.owner, units.kind FROM units JOIN scopes ON scopes.number = units.scope
WHERE units.digest = '' ORDER BY units.number DESC LIMIT ?
"""
_UNBUILT = """
SELECT scopes.name, units.owner, units.kind FROM units JOIN scopes ON scopes.number = units.scope
WHERE NOT EXISTS (SELECT 1 FROM building WHERE building.number = units.number AND building.digest <> '')
  AND units.number > ?
ORDER BY units.number LIMIT ?
"""
_FIND_BUILT = """
SELECT units.id, units.kind, building.vectors, building.digest
FROM json_each(?) AS wanted CROSS JOIN units ON units.scope = (SELECT number FROM scopes WHERE name = ?)
    AND units.id = wanted.value
JOIN building ON building.number = units.number
"""
_PUT_BUILT = """
INSERT INTO building (number, vectors, digest)
SELECT number, ?, ? FROM units WHERE scope = (SELECT number FROM scopes WHERE name = ?) AND id = ?
ON CONFLICT (number) DO UPDATE SET vectors = excluded.vectors, digest = excluded.digest
"""
_SWAP = """
UPDATE units SET vectors = building.vectors, digest = building.digest
FROM building WHERE building.number = units.number
"""
_UNLISTED = "DELETE FROM building WHERE number NOT IN (SELECT number FROM units)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """A message or memory that has units without vectors."""

    scope: str
    owner: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which embedder a person chose by command: *chosen* counts as long as the setting is still *over*."""

    chosen: str = ""
    over: str = ""
    next: str = ""

    def in_use(self, setting: str) -> str:
        """Return the embedder to use under *setting*."""
        return self.chosen if self.chosen and self.over == setting else setting

    def to_build(self, setting: str) -> str:
        """Return the embedder whose vectors were being built, empty when none were."""
        return self.next if self.over == setting else ""


def choice(folder: Path) -> Choice:
    """Read a person's choice from the index in *folder*; none where there is no index, or a damaged one."""
    path = folder / "fulltext.sqlite3"
    if not path.is_file():
        return Choice()
    try:
        with closing(sqlite3.connect(path, timeout=5.0)) as connection:
            rows = connection.execute(
                "SELECT name, value FROM about WHERE name IN (?, ?, ?)", (CHOSEN, OVER, NEXT)
            )
            return Choice(**dict(rows.fetchall()))
    except sqlite3.Error:
        return Choice()


class Building:
    """The further lists, in the same file as full text."""

    def __init__(self, fulltext: FullText) -> None:
        self._fulltext = fulltext

    def missing(self, limit: int) -> list[Lacking]:
        """Return what has no vectors, the latest first: that is what people ask about."""
        rows = self._fulltext.read(_MISSING, (limit,))
        return [Lacking(scope=row[0], owner=row[1], kind=row[2]) for row in rows]

    def missing_count(self) -> int:
        """Return how many units have no vectors."""
        return int(self._fulltext.read("SELECT count(*) FROM units WHERE digest = ''", ())[0][0])

    def unbuilt(self, limit: int) -> list[Lacking]:
        """Return what has no vectors of the next embedder."""
        # What is built lies in one run at the front: looking behind its end first saves walking over it.
        end = self._fulltext.read("SELECT max(number) FROM building", ())[0][0] or 0
        rows = self._fulltext.read(_UNBUILT, (end, limit)) or self._fulltext.read(_UNBUILT, (0, limit))
        return [Lacking(scope=row[0], owner=row[1], kind=row[2]) for row in rows]

    def built(self, scope: str, unit_ids: Sequence[str]) -> dict[str, Listed]:
        """Return the units among these that have vectors of the next embedder."""
        rows = self._fulltext.read(_FIND_BUILT, (self._fulltext.listing(unit_ids), scope))
        return {row[0]: Listed(kind=row[1], vectors=row[2], digest=row[3]) for row in rows}

    def put(self, scope: str, entries: Mapping[str, Listed]) -> None:
        """Note that the next embedder made these."""
        with self._fulltext.transaction() as writer:
            writer.executemany(
                _PUT_BUILT,
                [(entry.vectors, entry.digest, scope, unit_id) for unit_id, entry in entries.items()],
            )

    def count(self) -> int:
        """Return how many units the next embedder made vectors of."""
        return int(self._fulltext.read("SELECT count(*) FROM building WHERE digest <> ''", ())[0][0])

    def begin(self, *, key: str, over: str, name: str) -> None:
        """Begin building for another embedder, or go on where the same was left."""
        with self._fulltext.transaction() as writer:
            if self._fulltext.note("building") != name:
                writer.execute("DELETE FROM building")
            for note, value in ((NEXT, key), (OVER, over), ("building", name)):
                self._fulltext.write_note(writer, note, value)

    def drop(self) -> None:
        """Give up what was being built."""
        with self._fulltext.transaction() as writer:
            writer.execute("DELETE FROM building")
            for note in (NEXT, "building"):
                self._fulltext.write_note(writer, note, "")

    def swap(self, *, name: str) -> None:
        """Let the next embedder's vectors be the ones in use (rule 2)."""
        key = self._fulltext.note(NEXT)
        with self._fulltext.transaction() as writer:
            writer.execute("UPDATE units SET digest = '', vectors = 0")
            writer.execute(_SWAP)
            writer.execute("DELETE FROM building")
            for note, value in ((NEXT, ""), ("building", ""), (CHOSEN, key), ("embedder", name)):
                self._fulltext.write_note(writer, note, value)

    def tidy(self) -> None:
        """Forget what was built of units that are gone."""
        with self._fulltext.transaction() as writer:
            writer.execute(_UNLISTED)

    def leave(self, scope: str, vector_ids: Iterable[str]) -> None:
        """Note vectors that are still in Chroma and belong to nothing."""
        with self._fulltext.transaction() as writer:
            writer.executemany(
                "INSERT OR IGNORE INTO leftovers (scope, id) VALUES (?, ?)",
                [(scope, name) for name in vector_ids],
            )

    def leftovers(self, limit: int) -> list[tuple[str, str]]:
        """Return some of them: scope and id of a vector."""
        rows = self._fulltext.read("SELECT scope, id FROM leftovers LIMIT ?", (limit,))
        return [(row[0], row[1]) for row in rows]

    def removed(self, rows: Sequence[tuple[str, str]]) -> None:
        """These are gone from Chroma, too."""
        with self._fulltext.transaction() as writer:
            writer.executemany("DELETE FROM leftovers WHERE scope = ? AND id = ?", rows)
