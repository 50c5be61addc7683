"""Ids sort by time and do not repeat; the night comes once a day at the time that was set."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from ltmld.core.ports import SleepRequest
from ltmld.daemon.clock import new_id
from ltmld.daemon.nightly import Nightly, next_night
from ltmld.errors import RefusedError

ZONE = timezone(timedelta(hours=2))


def test_ids_are_fresh() -> None:
    assert len({new_id("exc") for _ in range(10_000)}) == 10_000


def test_ids_sort_by_the_millisecond_they_were_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for moment in (1_000_000, 40_000_000, 1_000_000_000_000, 1_795_218_413_000_000_000):
        monkeypatch.setattr("time.time_ns", lambda moment=moment: moment)
        made.append(new_id("msg"))
    assert made == sorted(made)


@pytest.mark.parametrize(("now", "night"), [((3, 29), 1), ((3, 30), 2), ((23, 0), 2)])
def test_the_next_night_is_the_next_time_the_clock_shows_it(now: tuple[int, int], night: int) -> None:
    at = next_night(datetime(2026, 5, 1, *now, tzinfo=ZONE), at="03:30")
    assert at == datetime(2026, 5, night, 3, 30, tzinfo=ZONE)


class Sleeper:
    """A sleeper that notes what it is asked and refuses the second night."""

    def __init__(self) -> None:
        self.asked: list[SleepRequest] = []

    def start(self, request: SleepRequest) -> str:
        """Note the request."""
        self.asked.append(request)
        if len(self.asked) == 2:
            raise RefusedError("a cycle runs already")
        return "slp-1"


async def test_a_refused_night_does_not_end_the_nights() -> None:
    sleeper = Sleeper()
    nights = [datetime(2026, 5, day, 3, 30, tzinfo=ZONE) for day in range(1, 12)]
    # Each look at the clock is a day later than the last, so that no wait is ever needed.
    moments = iter(nights)

    def now() -> datetime:
        try:
            return next(moments)
        except StopIteration:
            raise asyncio.CancelledError from None

    with pytest.raises(asyncio.CancelledError):
        await Nightly(sleeper, at="03:30", now=now).run()  # type: ignore[arg-type]  # the one method it uses
    assert [request.depth for request in sleeper.asked] == ["light", "light", "light", "light", "deep"]
    assert {request.trigger for request in sleeper.asked} == {"nightly"}
