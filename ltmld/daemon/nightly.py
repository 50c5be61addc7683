"""The built-in clock of the night: one cycle at the same local time every day, while the daemon runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from ltmld.core.ports import SleepRequest
from ltmld.errors import LtmldError

if TYPE_CHECKING:
    from ltmld.daemon.sleeper import Sleeper

log = structlog.get_logger(__name__)

# The clock may be set, the lid closed: no wait is longer than this, and the time is read anew.
GLANCE_S = 60.0
# Every fifth night goes deep (the design's rhythm).
DEEP_EVERY = 5


def next_night(now: datetime, *, at: str) -> datetime:
    """Return the next moment after *now* (aware, local) at which the clock shows *at* (``HH:MM``)."""
    hour, minute = map(int, at.split(":"))
    tonight = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return tonight if tonight > now else tonight + timedelta(days=1)


class Nightly:
    """Starts the nightly cycle; a cycle that cannot start is logged and tried again the next night."""

    def __init__(
        self,
        sleeper: Sleeper,
        *,
        at: str,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._sleeper = sleeper
        self._at = at
        self._now = now
        self._nights = 0

    async def run(self) -> None:
        """Wait for night after night until cancelled."""
        due = next_night(self._now(), at=self._at)
        while True:
            wait_s = (due - self._now()).total_seconds()
            if wait_s > 0:
                await asyncio.sleep(min(wait_s, GLANCE_S))
                continue
            await asyncio.to_thread(self._sleep)
            due = next_night(self._now(), at=self._at)

    def _sleep(self) -> None:
        self._nights += 1
        depth = "deep" if self._nights % DEEP_EVERY == 0 else "light"
        try:
            self._sleeper.start(SleepRequest(depth=depth, trigger="nightly"))
        except LtmldError as error:
            log.warning("sleep.not_started", error=str(error))
