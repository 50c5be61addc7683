"""The lexical half: an SQLite file of its own with one FTS5 table per scope, and the list of all units.

Rules:
1. Scopes never share a table: neither words nor their frequencies leak from one to another.
2. The list of units says which vectors each has (``vectors``, ``digest``): the vector half is kept in step by it,
   and a unit whose digest is recorded has its vectors written.
3. A file that is no database is put aside and begun anew; ``fresh`` tells that the ledger must fill it.
4. What was removed is overwritten with zeros; ``purge`` takes its words out of FTS5's segments and the log, too.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltmld.core.hit import Scored, Unit
from ltmld.errors import IndexBrokenError
from ltmld.index.readers import Readers
from ltmld.index.selecting import Frequencies
from ltmld.index.units import owner
from ltmld.index.words import terms

_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS scopes (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS units (
    number INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL REFERENCES scopes (number),
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    vectors INTEGER NOT NULL,
    digest TEXT NOT NULL,
    UNIQUE (scope, id)
) STRICT;
CREATE INDEX IF NOT EXISTS units_by_owner ON units (scope, owner);
CREATE INDEX IF NOT EXISTS units_without_vectors ON units (number) WHERE digest = '';
CREATE TABLE IF NOT EXISTS building (
    number INTEGER PRIMARY KEY REFERENCES units (number),
    vectors INTEGER NOT NULL,
    digest TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS leftovers (
    scope TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (scope, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (
    scope INTEGER NOT NULL REFERENCES scopes (number),
    name TEXT NOT NULL,
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;
"""

_SET_NOTE = """
INSERT INTO about (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
# Noted in the transaction that removes something, so that a crash before ``purge`` loses nothing.
_UNPURGED = "unpurged"

_UPSERT_UNIT = """
INSERT INTO units (scope, id, owner, kind, vectors, digest) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (scope, id) DO UPDATE SET
    kind = excluded.kind, vectors = excluded.vectors, digest = excluded.digest
RETURNING number
"""
_HELD = """
SELECT scopes.name, sum(units.vectors) FROM units JOIN scopes ON scopes.number = units.scope
WHERE units.digest <> '' GROUP BY units.scope
"""
# CROSS JOIN keeps the order: each wanted id is looked up. Left to itself SQLite reads the whole scope (14 ms).
_FIND_UNITS = """
SELECT units.id, units.kind, units.vectors, units.digest
FROM json_each(?) AS wanted CROSS JOIN units ON units.scope = ? AND units.id = wanted.value
"""
_FIND_OWNED = """
SELECT units.number, units.id, units.vectors
FROM json_each(?) AS wanted CROSS JOIN units ON units.scope = ? AND units.owner = wanted.value
"""
# The join comes after the limit: names are looked up for the best units only.
_SEARCH = """
SELECT units.id, units.kind, best.score
FROM (
    SELECT rowid AS number, rank AS score FROM fulltext_{table}
    WHERE fulltext_{table} MATCH ? AND rowid > ? ORDER BY rank LIMIT ?
) AS best CROSS JOIN units ON units.number = best.number
ORDER BY best.score, best.number
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What the list of units says of one: how many vectors it has, and of which texts."""

    kind: str
    vectors: int
    digest: str


class FullText:
    """The file ``fulltext.sqlite3``; any thread may call, writes wait for each other."""

    def __init__(self, path: Path) -> None:
        """Open the file, or begin it anew where it is missing or no database.

        Raises:
            IndexBrokenError: it can neither be opened nor begun anew.
        """
        self._path = path
        self._lock = threading.RLock()
        self._readers = Readers(self._connection)
        self._scopes: dict[str, int] = {}
        self._frequencies = Frequencies()
        self.fresh = not path.exists()
        self.aside: Path | None = None
        try:
            self._writer = self._opened()
        except sqlite3.DatabaseError:
            self.aside = _moved_aside(path)
            self.fresh = True
            try:
                self._writer = self._opened()
            except sqlite3.Error as error:
                raise IndexBrokenError(
                    f"{path} cannot be used: {error}. Make {path.parent} writable, or remove it."
                ) from error

    def close(self) -> None:
        """Close all connections."""
        self._readers.close()
        with self._lock:
            self._writer.close()

    def note(self, name: str) -> str:
        """Return a note about the index itself, or an empty text."""
        rows = self.read("SELECT value FROM about WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else ""

    def set_note(self, name: str, value: str) -> None:
        """Keep a note about the index itself."""
        with self.transaction() as writer:
            self.write_note(writer, name, value)

    @staticmethod
    def write_note(writer: sqlite3.Connection, name: str, value: str) -> None:
        """Keep a note within a transaction of the caller's."""
        writer.execute(_SET_NOTE, (name, value))

    @staticmethod
    def listing(values: Sequence[str]) -> str:
        """Return *values* as SQLite's ``json_each`` takes them."""
        return _json(values)

    def listed(self, scope: str, unit_ids: Sequence[str]) -> dict[str, Listed]:
        """Return what is known of units by id; unknown ids are absent."""
        number = self._scope(scope)
        if number is None:
            return {}
        rows = self.read(_FIND_UNITS, (_json(unit_ids), number))
        return {row[0]: Listed(kind=row[1], vectors=row[2], digest=row[3]) for row in rows}

    def put(self, scope: str, units: Sequence[Unit], listed: Mapping[str, Listed]) -> None:
        """Add or replace units of one scope, each with its entry in the list."""
        with self.transaction() as writer:
            number = self._scope(scope) or self._new_scope(writer, scope)
            for unit in units:
                entry = listed[unit.id]
                row = (number, unit.id, owner(unit.id), entry.kind, entry.vectors, entry.digest)
                rowid = writer.execute(_UPSERT_UNIT, row).fetchone()[0]
                writer.execute(f"DELETE FROM fulltext_{number} WHERE rowid = ?", (rowid,))  # noqa: S608 - a number
                writer.execute(
                    f"INSERT INTO fulltext_{number} (rowid, text) VALUES (?, ?)",  # noqa: S608 - a number
                    (rowid, unit.text),
                )
            people = {unit.name for unit in units if unit.name}
            writer.executemany(
                "INSERT OR IGNORE INTO names (scope, name) VALUES (?, ?)", [(number, name) for name in people]
            )

    def owned(self, scope: str, owners: Sequence[str]) -> dict[str, int]:
        """Return the units made of these messages and memories, each with its number of vectors."""
        number = self._scope(scope)
        if number is None:
            return {}
        return {row[1]: row[2] for row in self.read(_FIND_OWNED, (_json(owners), number))}

    def drop(self, scope: str, owners: Sequence[str]) -> None:
        """Remove all units made of these messages and memories."""
        number = self._scope(scope)
        if number is None:
            return
        with self.transaction() as writer:
            found = writer.execute(_FIND_OWNED, (_json(owners), number)).fetchall()
            for rowid, _, _ in found:
                writer.execute(f"DELETE FROM fulltext_{number} WHERE rowid = ?", (rowid,))  # noqa: S608 - a number
                writer.execute("DELETE FROM building WHERE number = ?", (rowid,))
                writer.execute("DELETE FROM units WHERE number = ?", (rowid,))
            if found:
                writer.execute(_SET_NOTE, (_UNPURGED, "yes"))

    def forget_vectors(self) -> None:
        """Note that no unit has vectors any more: all are to be made again."""
        with self.transaction() as writer:
            writer.execute("UPDATE units SET digest = '', vectors = 0")
            writer.execute("DELETE FROM building")

    def held(self) -> dict[str, int]:
        """Return how many vectors each scope has by the list."""
        rows = self.read(_HELD, ())
        return {row[0]: int(row[1]) for row in rows}

    def total(self) -> int:
        """Return the number of units in all scopes."""
        return int(self.read("SELECT count(*) FROM units", ())[0][0])

    def search(self, query: str, *, scope: str, limit: int) -> list[Scored]:
        """Return the best units by BM25, best first; *query* is any text, never FTS5 syntax."""
        number, words = self._scope(scope), terms(query)
        if number is None or not words or limit <= 0:
            return []
        with self._readers.one() as connection:
            chosen = self._frequencies.select(connection, number, words)
            rows = connection.execute(
                _SEARCH.format(table=number), (chosen.match, chosen.after, limit)
            ).fetchall()
        # FTS5's bm25() is negative, the better the lower.
        return [Scored(unit_id=row[0], kind=row[1], score=-row[2]) for row in rows]

    def names(self, scope: str) -> frozenset[str]:
        """Return the names of the people in a scope."""
        number = self._scope(scope)
        rows = self.read("SELECT name FROM names WHERE scope = ?", (number,))
        return frozenset(row[0] for row in rows)

    def count(self, scope: str, *, memories: bool = False) -> int:
        """Return the number of units in a scope, or of its memories alone."""
        only = "AND kind NOT IN ('message', 'passage')" if memories else ""
        rows = self.read(
            f"SELECT count(*) FROM units WHERE scope = ? {only}",  # noqa: S608 - one of two constants
            (self._scope(scope),),
        )
        return int(rows[0][0])

    def wipe(self) -> None:
        """Remove all units of all scopes."""
        with self.transaction() as writer:
            for (number,) in writer.execute("SELECT number FROM scopes").fetchall():
                writer.execute(f"DELETE FROM fulltext_{number}")  # noqa: S608 - a number
            for table in ("building", "units", "names"):
                writer.execute(f"DELETE FROM {table}")  # noqa: S608 - constants
            writer.execute(_SET_NOTE, (_UNPURGED, "yes"))
        self._frequencies.clear()

    def purge(self) -> None:
        """Take the words of removed units out of the file and its log; at once when nothing was removed.

        FTS5 keeps a removed word until its segments are merged (its own ``secure-delete`` needs SQLite 3.42).
        A log that is being read is left for the next call.
        """
        if not self.note(_UNPURGED):
            return
        with self.transaction() as writer:
            for (number,) in writer.execute("SELECT number FROM scopes").fetchall():
                table = f"fulltext_{number}"
                writer.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")  # noqa: S608 - a number
        with self._lock:
            busy = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if not busy:
            self.set_note(_UNPURGED, "")

    def _opened(self) -> sqlite3.Connection:
        writer = self._connection()
        try:
            writer.execute("PRAGMA journal_mode = WAL")
            # NORMAL, not FULL: after a power cut the ledger hands over again what was lost here.
            writer.execute("PRAGMA synchronous = NORMAL")
            writer.execute("PRAGMA secure_delete = ON")
            writer.executescript(_SCHEMA)
            writer.execute("SELECT count(*) FROM units").fetchone()
        except sqlite3.DatabaseError:
            writer.close()
            raise
        return writer

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, isolation_level=None, timeout=30.0, check_same_thread=False)

    def read(self, query: str, values: Sequence[object]) -> list[Any]:
        """Return the rows of a query on a connection that cannot write."""
        with self._readers.one() as connection:
            return connection.execute(query, values).fetchall()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the writing connection; what is done with it is done whole or not at all."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    def _scope(self, name: str) -> int | None:
        number = self._scopes.get(name)
        if number is None:
            rows = self.read("SELECT number FROM scopes WHERE name = ?", (name,))
            if not rows:
                return None
            number = self._scopes[name] = int(rows[0][0])
        return number

    def _new_scope(self, writer: sqlite3.Connection, name: str) -> int:
        number = int(
            writer.execute("INSERT INTO scopes (name) VALUES (?) RETURNING number", (name,)).fetchone()[0]
        )
        writer.execute(
            f"CREATE VIRTUAL TABLE fulltext_{number} USING fts5 (text, tokenize = 'porter unicode61')"
        )
        return number


def _moved_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    try:
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    except OSError as error:
        raise IndexBrokenError(f"{path} is damaged and cannot be moved aside: {error}.") from error
    return aside


def _json(values: Sequence[str]) -> str:
    return json.dumps(list(values))
