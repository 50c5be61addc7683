"""The ledger's file: opening it, and bringing its schema up to date.

Rules:
1. Migrations are the files ``migrations/NNNN_name.sql``, forward only, in order, one transaction each;
   ``PRAGMA user_version`` is the number of the last one, written in the same transaction.
2. A file written by a newer ltmld is refused, and not touched.
3. Only its owner may read the file.
"""

from __future__ import annotations

import os
import sqlite3
from importlib import resources
from pathlib import Path

from ltmld.errors import LedgerError, LedgerSchemaError
from ltmld.ledger.faults import translated

FILE_NAME = "ledger.sqlite3"

# A checkpoint or a backup may hold the lock for a moment; five seconds is far above what either takes.
BUSY_TIMEOUT_MS = 5_000

# Sixteen times what SQLite lets the log grow to between two checkpoints of small writes.
LOG_BYTES_MAX = 64 * 1024 * 1024

_FILE_MODE, _FOLDER_MODE = 0o600, 0o700


def migrations() -> list[tuple[int, str]]:
    """Return the numbers and texts of the migrations, in order."""
    folder = resources.files("ltmld.ledger") / "migrations"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
    )
    return [(int(file.name.partition("_")[0]), file.read_text(encoding="utf-8")) for file in files]


def prepared(folder: Path) -> Path:
    """Make the folder and an up-to-date ledger file in it; return the file's path.

    Raises:
        LedgerError: the folder or the file cannot be made, read or written.
        LedgerSchemaError: the file was written by a newer ltmld.
    """
    path = folder / FILE_NAME
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, _FILE_MODE))
    except OSError as error:
        raise LedgerError(
            f"{path} cannot be written ({error.strerror}). "
            "Make its folder writable, or point LTMLD_DATA_DIR elsewhere."
        ) from error
    with translated(path):
        _bring_up_to_date(path)
    return path


def writing(path: Path) -> sqlite3.Connection:
    """Return the connection that writes."""
    return _connected(
        path,
        "PRAGMA journal_mode = WAL",
        # FULL, not NORMAL: an exchange that the user has seen must survive a power cut.
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        # What is forgotten is overwritten with zeros, not merely unlinked.
        "PRAGMA secure_delete = ON",
        # A large import makes the write-ahead log as large; afterwards the disk gets that back.
        f"PRAGMA journal_size_limit = {LOG_BYTES_MAX:d}",
    )


def reading(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write."""
    return _connected(path, "PRAGMA query_only = ON")


def _connected(path: Path, *settings: str) -> sqlite3.Connection:
    # isolation_level None: transactions begin and end where this package says so, and nowhere else.
    # Connections wander between threads, each used by one at a time (the pool and the writer see to it).
    # rw, not rwc: a ledger that vanished is an error, not a new and empty ledger.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_TIMEOUT_MS / 1000,
    )
    connection.row_factory = sqlite3.Row
    try:
        for setting in settings:
            connection.execute(setting)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _bring_up_to_date(path: Path) -> None:
    known = migrations()
    version = _version(path, newest=known[-1][0])
    if version == 0:
        # Decides the file's layout, and only before anything else is written to it.
        _connected(path, "PRAGMA auto_vacuum = INCREMENTAL", "PRAGMA journal_mode = WAL").close()
    connection = writing(path)
    try:
        for number, text in known:
            if number > version:
                _apply(connection, number, text)
    finally:
        connection.close()


def _version(path: Path, *, newest: int) -> int:
    connection = reading(path)
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()
    if version > newest:
        raise LedgerSchemaError(
            f"{path} was written by a newer ltmld (schema {version}; this build knows {newest}). "
            "Upgrade ltmld, or point LTMLD_DATA_DIR elsewhere."
        )
    return version


def _apply(connection: sqlite3.Connection, number: int, text: str) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version = {number:d};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
