"""What SQLite's errors mean to a person: what happened, to which file, what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ltmld.errors import LedgerError

# The low byte is the primary code; the rest says where in SQLite it arose.
_PRIMARY = 0xFF

_WORDS: dict[int, str] = {
    sqlite3.SQLITE_FULL: "{path}: the disk is full and nothing was written. Free some space; ltmld goes on by itself.",
    sqlite3.SQLITE_READONLY: "{path} is read-only and nothing was written. Check its owner, its mode and the mount.",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened. Check that its folder exists and that you may write there.",
    sqlite3.SQLITE_PERM: "{path} may not be written by this user. Check its owner and its mode.",
    sqlite3.SQLITE_BUSY: "{path} is locked by another program. Close what has it open and try again.",
    sqlite3.SQLITE_LOCKED: "{path} is locked by another program. Close what has it open and try again.",
    sqlite3.SQLITE_CORRUPT: "{path} is damaged. Stop ltmld and restore a copy, or save what is left with "
    '`sqlite3 ledger.sqlite3 ".recover"`.',
    sqlite3.SQLITE_NOTADB: "{path} is no SQLite database. Move it aside, or restore a copy; ltmld makes a new one.",
    sqlite3.SQLITE_IOERR: "{path}: the disk failed while it was read or written. Check the disk, then try again.",
}


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, 0 where the error did not come from SQLite itself."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


def worded(error: sqlite3.Error, path: Path) -> LedgerError:
    """Return the ``LedgerError`` that tells a person about *error*."""
    words = _WORDS.get(primary_code(error))
    if words is None:
        return LedgerError(f"{path}: {error}. If it stays, look at the disk and start ltmld again.")
    return LedgerError(words.format(path=path))


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise ``LedgerError`` instead of any error of SQLite."""
    try:
        yield
    except sqlite3.Error as error:
        raise worded(error, path) from error
