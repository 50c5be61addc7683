"""The connections that read full text: a small pool, however many threads come and go.

Rules:
1. A connection serves one thread at a time; at most ``READERS_MAX`` exist, and a reader waits for one.
2. After ``close`` none is opened any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from ltmld.errors import IndexBrokenError

# More threads than this read only when the control plane is hammered; they take turns.
READERS_MAX = 8


class Readers:
    """The pool of reading connections to one file."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._turns = BoundedSemaphore(READERS_MAX)
        self._lock = Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that cannot write.

        Raises:
            IndexBrokenError: the index was closed.
        """
        with self._turns:
            connection = self._taken()
            try:
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
                raise IndexBrokenError("the index was closed: ltmld is stopping. Start it again to search.")
            if self._idle:
                return self._idle.pop()
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _given_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()
