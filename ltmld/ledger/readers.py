"""The connections that read: a small pool, each a consistent view of what is committed.

Rules:
1. A connection serves one thread at a time; at most ``READERS_MAX`` exist, and a reader waits for one.
2. Everything read within one ``snapshot`` is of the same moment.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import BoundedSemaphore, Lock

from ltmld.errors import LedgerError
from ltmld.ledger.faults import translated
from ltmld.ledger.schema import reading

# More threads than this read only when the control plane is hammered; they take turns.
READERS_MAX = 8


class Readers:
    """The pool of reading connections to one ledger file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turns = BoundedSemaphore(READERS_MAX)
        self._lock = Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection inside a read transaction.

        Raises:
            LedgerError: the file cannot be read, or the ledger was closed.
        """
        with self._turns, translated(self._path):
            connection = self._taken()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                self._given_back(connection)

    def close(self) -> None:
        """Close what is idle; what is in use closes when it is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _taken(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise LedgerError(f"{self._path} was closed: ltmld is stopping. Start it again to read.")
            if self._idle:
                return self._idle.pop()
        return reading(self._path)

    def _given_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()
