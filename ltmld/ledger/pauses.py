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

# A year of thirty paused messages a day; a row takes about a hundred bytes.
ASIDES_MAX = 10_000

_ALL = "SELECT scope, since FROM pauses"

_PAUSE = "INSERT INTO pauses (scope, since) VALUES (?, ?) ON CONFLICT DO NOTHING"

_RESUME = "DELETE FROM pauses WHERE scope = ?"

_SCOPES_WITH_ASIDES = "SELECT DISTINCT scope FROM asides"

_ASIDE = "INSERT INTO asides (scope, chain) VALUES (?, ?) ON CONFLICT DO NOTHING"

_TRIM = "DELETE FROM asides WHERE id <= (SELECT max(id) FROM asides) - ?"

_NO_ASIDE = "DELETE FROM asides WHERE scope = ? AND chain = ?"

_KNOWN_ASIDES = """
    SELECT chain FROM asides WHERE scope = ? AND chain IN (SELECT value FROM json_each(?))
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

    def aside(self, scope: str, chain: str) -> Future[None]:
        """Queue the hash of a message that was said while *scope* was paused.

        Raises:
            LedgerBusyError: too much waits already.
        """
        self._with_asides.add(scope)
        return self._writer.submit(lambda connection: self._set_aside(connection, scope, chain))

    def said_again(self, scope: str, chain: str) -> Future[None]:
        """Queue the end of an aside: the same words were said again while memory was on.

        Raises:
            LedgerBusyError: too much waits already.
        """
        return self._writer.submit(lambda connection: _no_aside(connection, scope, chain))

    def asides(self, scope: str, chains: Sequence[str]) -> frozenset[str]:
        """Return which of *chains* were said while *scope* was paused."""
        if scope not in self._with_asides:
            return frozenset()
        with self._readers.snapshot() as connection:
            return frozenset(
                row["chain"] for row in connection.execute(_KNOWN_ASIDES, (scope, dumped(list(chains))))
            )

    def _set_aside(self, connection: sqlite3.Connection, scope: str, chain: str) -> None:
        connection.execute(_ASIDE, (scope, chain))
        connection.execute(_TRIM, (self._asides_max,))


def _no_aside(connection: sqlite3.Connection, scope: str, chain: str) -> None:
    connection.execute(_NO_ASIDE, (scope, chain))
