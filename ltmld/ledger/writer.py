"""The one thread that writes: a bounded queue of jobs, committed in groups.

A job is a function of the connection. The writer takes what is queued, runs each job in a savepoint of
one transaction, commits once (one fsync for all of them), and then tells the ones who wait.

Rules:
1. A future is resolved only after the commit: what it promised survives a crash and a power cut.
2. A job that fails, fails alone. Where SQLite gave up the whole transaction (a full disk), the jobs are
   run again one by one, each in its own transaction, so that the ones that still fit are written.
3. A full queue refuses at once; a job that was taken in is run, even when nobody waits for it any more.
4. The writer thread outlives every error: when the disk is back, the next job is written.
5. A job submitted as *alone* (a vacuum) runs outside any transaction, between the groups.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from queue import Empty, Queue
from threading import Lock, Thread
from types import TracebackType
from typing import Generic, TypeVar

from ltmld.errors import LedgerBusyError, LedgerError
from ltmld.ledger.faults import translated, worded
from ltmld.ledger.schema import writing

# One fsync for this many jobs is already lost in their own cost; more would only delay the first of them.
GROUP_MAX = 64

# What Python's sqlite3 raises for a number beyond 64 bits, and for half a character.
_UNSTORABLE = (OverflowError, UnicodeEncodeError)

Result = TypeVar("Result")


class Job(Generic[Result]):
    """One write, and the future of whoever asked for it."""

    def __init__(self, work: Callable[[sqlite3.Connection], Result], *, path: Path, alone: bool) -> None:
        self.alone = alone
        self.future: Future[Result] = Future()
        # Running from the start: a waiter that gives up must not take the exchange with it.
        self.future.set_running_or_notify_cancel()
        self._work = work
        self._path = path
        self._result: Result | None = None
        self.error: BaseException | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        """Do the work, and keep its result or its error for ``deliver``."""
        self.error = None
        with _Kept(self):
            self._result = self._work(connection)

    def deliver(self) -> None:
        """Tell the one who waits."""
        if isinstance(self.error, sqlite3.Error):
            told = worded(self.error, self._path)
            told.__cause__ = self.error
            self.future.set_exception(told)
        elif isinstance(self.error, _UNSTORABLE):
            told = LedgerError(f"{self._path} cannot hold a value and nothing was written: {self.error}.")
            told.__cause__ = self.error
            self.future.set_exception(told)
        elif self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self._result)  # type: ignore[arg-type]  # run() has set it


class _Kept:
    """Keeps whatever a job raises for the thread that asked for it, as ``concurrent.futures`` does."""

    def __init__(self, job: Job[Result]) -> None:
        self._job = job

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._job.error = error
        return error is not None


class Writer:
    """The writing connection and its thread."""

    def __init__(self, path: Path, *, queue_max: int) -> None:
        with translated(path):
            self._connection = writing(path)
        self._path = path
        # One place more than is ever offered, so that the word to stop always fits.
        self._queue: Queue[Job[object] | None] = Queue(maxsize=queue_max + 1)
        self._queue_max = queue_max
        self._lock = Lock()
        self._closed = False
        self._thread = Thread(target=self._serve, name="ltmld-ledger", daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """How many jobs wait."""
        return self._queue.qsize()

    def submit(self, work: Callable[[sqlite3.Connection], Result], *, alone: bool = False) -> Future[Result]:
        """Queue *work* and return the future of its result.

        Raises:
            LedgerBusyError: the queue is full.
            LedgerError: the ledger was closed.
        """
        job = Job(work, path=self._path, alone=alone)
        with self._lock:
            if self._closed:
                raise LedgerError(f"{self._path} was closed: ltmld is stopping, and nothing more is written.")
            if self._queue.qsize() >= self._queue_max:
                raise LedgerBusyError(
                    f"{self._path}: {self._queue_max} writes are waiting already and this one was not taken. "
                    "The disk is slow or full; look at `ltmld status`."
                )
            self._queue.put_nowait(job)  # type: ignore[arg-type]  # Job is read, never written, by its type
        return job.future

    def run(self, work: Callable[[sqlite3.Connection], Result], *, alone: bool = False) -> Result:
        """Do *work* and return its result once it is durable.

        Raises:
            LedgerError: it could not be written; also whatever *work* raises.
        """
        return self.submit(work, alone=alone).result()

    def close(self) -> None:
        """Write what is queued, then close the file. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put_nowait(None)
        self._thread.join()
        self._connection.close()

    def _serve(self) -> None:
        going = True
        while going:
            group, going = self._group()
            if group:
                self._write(group)
                for job in group:
                    job.deliver()

    def _group(self) -> tuple[list[Job[object]], bool]:
        group: list[Job[object]] = []
        job = self._queue.get()
        while job is not None:
            group.append(job)
            if len(group) == GROUP_MAX:
                return group, True
            try:
                job = self._queue.get_nowait()
            except Empty:
                return group, True
        return group, False

    def _write(self, group: list[Job[object]]) -> None:
        for alone, jobs in groupby(group, key=lambda job: job.alone):
            if alone:
                for job in jobs:
                    job.run(self._connection)
            else:
                self._write_together(list(jobs))

    def _write_together(self, group: list[Job[object]]) -> None:
        if self._committed(group) or len(group) == 1:
            return
        for job in group:
            self._committed([job])

    def _committed(self, group: list[Job[object]]) -> bool:
        """Run *group* in one transaction; on ``False`` nothing of it was written, and each job has its error."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in group:
                connection.execute("SAVEPOINT job")
                job.run(connection)
                if job.error is not None:
                    # Fails when SQLite has already given up the transaction: then the group is lost.
                    connection.execute("ROLLBACK TO job")
                connection.execute("RELEASE job")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._rolled_back()
            for job in group:
                job.error = job.error or error
            return False
        return True

    def _rolled_back(self) -> None:
        """Leave no transaction open; a connection that cannot even roll back is replaced."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._connection.execute("SELECT 1")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                self._connection.close()
            # Where it cannot be opened either, the next group fails on the closed one and tries again.
            with suppress(sqlite3.Error):
                self._connection = writing(self._path)
