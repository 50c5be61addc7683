"""Pauses: the scopes whose memory a person has switched off, and what was said in them meanwhile.

Rules:
1. Whether a scope is paused is asked at every request: it is held in memory, and the file is read once.
2. What was said during a pause is kept as hashes only, so that the conversation that a client resends after the
   pause is not recorded as history. At ``ASIDES_MAX`` the oldest hashes go.
3. Any thread may call.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime

from ltmld.core.clock import Clock
from ltmld.ledger.readers import Readers
from ltmld.ledger.spelling import dumped, moment, stamp
from ltmld.ledger.writer import Writer

# A year of thirty paused messages a day, with three hashes each; a row takes about a hundred and fifty bytes.
ASIDES_MAX = 30_000

_ALL = "SELECT scope, since FROM pauses"

_PAUSE = "INSERT INTO pauses (scope, since) VALUES (?, ?) ON CONFLICT DO NOTHING"

_RESUME = "DELETE FROM pauses WHERE scope = ?"

_SCOPES_WITH_ASIDES = "SELECT DISTINCT scope FROM asides"

_ASIDE = """
    INSERT INTO asides (scope, chain, thread_id) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET thread_id = excluded.thread_id
"""

_TRIM = "DELETE FROM asides WHERE id <= (SELECT max(id) FROM asides) - ?"

_NO_ASIDE = "DELETE FROM asides WHERE scope = ? AND chain = ?"

_KNOWN_ASIDES = """
    SELECT chain, thread_id FROM asides WHERE scope = ? AND chain IN (SELECT value FROM json_each(?))
"""

_RECORDED = """
    SELECT DISTINCT messages.chain
    FROM json_each(:chains) AS steps
    CROSS JOIN messages ON messages.scope = :scope AND messages.chain = steps.value
"""


class Pauses:
    """Which scopes are paused, since when, and what was said aside."""

    def __init__(
        self, writer: Writer, readers: Readers, *, clock: Clock, asides_max: int = ASIDES_MAX
    ) -> None:
        self._writer, self._readers, self._clock = writer, readers, clock
        self._asides_max = asides_max
        with readers.snapshot() as connection:
            self._since = {row["scope"]: moment(row["since"]) for row in connection.execute(_ALL)}
            self._with_asides = {row["scope"] for row in connection.execute(_SCOPES_WITH_ASIDES)}

    def since(self, scope: str) -> datetime | None:
        """Return when *scope* was paused, ``None`` while its memory is on."""
        return self._since.get(scope)

    def all(self) -> dict[str, datetime]:
        """Return the paused scopes and since when."""
        return dict(self._since)

    def pause(self, scope: str) -> datetime:
        """Switch the memory of *scope* off and return since when it is; a second time changes nothing."""
        now = self._since.get(scope) or self._clock()
        self._writer.run(lambda connection: connection.execute(_PAUSE, (scope, stamp(now))))
        self._since[scope] = now
        return now

    def resume(self, scope: str) -> datetime | None:
        """Switch it on again and return since when it was off, ``None`` if it was not."""
        self._writer.run(lambda connection: connection.execute(_RESUME, (scope,)))
        return self._since.pop(scope, None)

    def aside(self, scope: str, marks: Sequence[str], *, thread_id: str) -> Future[None]:
        """Queue the hashes of a message that was said in a conversation while *scope* was paused.

        Raises:
            LedgerBusyError: too much waits already.
        """
        self._with_asides.add(scope)
        rows = [(scope, mark, thread_id) for mark in marks]
        return self._writer.submit(lambda connection: self._set_aside(connection, rows))

    def said_again(self, scope: str, marks: Sequence[str]) -> Future[None]:
        """Queue the end of an aside: the same words were said again while memory was on.

        Raises:
            LedgerBusyError: too much waits already.
        """
        return self._writer.submit(lambda connection: _no_aside(connection, scope, marks))

    def knows_asides(self, scope: str) -> bool:
        """Tell whether anything was ever said in *scope* while it was paused."""
        return scope in self._with_asides

    def asides(self, scope: str, marks: Sequence[str]) -> dict[str, str]:
        """Return which of *marks* are of what was said while *scope* was paused, each with its conversation."""
        if scope not in self._with_asides:
            return {}
        with self._readers.snapshot() as connection:
            rows = connection.execute(_KNOWN_ASIDES, (scope, dumped(list(marks)))).fetchall()
        return {row["chain"]: row["thread_id"] for row in rows}

    def recorded(self, scope: str, chains: Sequence[str]) -> list[str]:
        """Return which of *chains* end in a message that the ledger has."""
        if not chains:
            return []
        with self._readers.snapshot() as connection:
            values = {"scope": scope, "chains": dumped(list(chains))}
            return [row["chain"] for row in connection.execute(_RECORDED, values)]

    def _set_aside(self, connection: sqlite3.Connection, rows: Sequence[tuple[str, str, str]]) -> None:
        connection.executemany(_ASIDE, rows)
        connection.execute(_TRIM, (self._asides_max,))


def _no_aside(connection: sqlite3.Connection, scope: str, marks: Sequence[str]) -> None:
    connection.executemany(_NO_ASIDE, [(scope, mark) for mark in marks])
