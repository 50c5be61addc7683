"""The built-in clock of the night: one cycle at the same local time every day, while the daemon runs.

Rules:
1. One night per local date: a clock that shows the time twice (autumn) or is set back brings no second one, and
   a time that the clock leaps over (spring) comes when it has leapt.
2. How deep a night goes is read off the cycles in the ledger: it does not depend on how long the daemon has run.
3. A night that cannot begin is logged, and the next one comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING

import structlog

from ltmld.core.ports import SleepRequest
from ltmld.daemon.sleeper import NIGHTLY
from ltmld.errors import LtmldError

if TYPE_CHECKING:
    from ltmld.daemon.sleeper import Sleeper

log = structlog.get_logger(__name__)

# The clock may be set, the lid closed: no wait is longer than this, and the time is read anew.
GLANCE_S = 60.0
# Every fifth night goes deep (the design's rhythm).
DEEP_EVERY = 5


def next_night(now: datetime, *, at: str, zone: tzinfo | None = None, after: date | None = None) -> datetime:
    """Return the first moment after *now* (aware) at which the clock shows *at* (``HH:MM``) on a date after *after*.

    The clock is that of *zone*, ``None`` for the machine's own.
    """
    wall = time.fromisoformat(at)
    day = now.astimezone(zone).date()
    if after is not None:
        day = max(day, after + timedelta(days=1))
    tonight = _moment(day, wall, zone)
    return tonight if tonight > now else _moment(day + timedelta(days=1), wall, zone)


def _moment(day: date, wall: time, zone: tzinfo | None) -> datetime:
    """Return when the clock of *zone* shows *wall* on *day*: the first time of two, or the time after a leap."""
    moments = [datetime.combine(day, wall.replace(fold=fold), zone).astimezone(UTC) for fold in (0, 1)]
    shown = [moment for moment in moments if moment.astimezone(zone).time() == wall]
    return min(shown, default=max(moments))


class Nightly:
    """Starts the nightly cycle; a cycle that cannot start is logged and tried again the next night."""

    def __init__(
        self,
        sleeper: Sleeper,
        *,
        at: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        zone: tzinfo | None = None,
    ) -> None:
        self._sleeper = sleeper
        self._at = at
        self._now = now
        self._zone = zone

    async def run(self) -> None:
        """Wait for night after night until cancelled."""
        due = next_night(self._now(), at=self._at, zone=self._zone)
        while True:
            now = self._now()
            wait_s = (due - now).total_seconds()
            if wait_s > 0:
                await asyncio.sleep(min(wait_s, GLANCE_S))
                continue
            await asyncio.to_thread(self._sleep)
            slept = now.astimezone(self._zone).date()
            due = next_night(self._now(), at=self._at, zone=self._zone, after=slept)

    def _sleep(self) -> None:
        try:
            deep = self._sleeper.nights_since_deep() >= DEEP_EVERY - 1
            depth = "deep" if deep else "light"
            self._sleeper.start(SleepRequest(depth=depth, trigger=NIGHTLY))
        except LtmldError as error:
            log.warning("sleep.not_started", error=str(error))
