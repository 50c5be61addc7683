"""Ids sort by time and do not repeat; the night comes once a day at the time that was set."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ltmld.core.ports import SleepRequest
from ltmld.daemon.clock import new_id
from ltmld.daemon.nightly import Nightly, next_night
from ltmld.errors import RefusedError
from tests.support.house import small_house

ZONE = timezone(timedelta(hours=2))
BERLIN = ZoneInfo("Europe/Berlin")


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
    at = next_night(datetime(2026, 5, 1, *now, tzinfo=ZONE), at="03:30", zone=ZONE)
    assert at == datetime(2026, 5, night, 3, 30, tzinfo=ZONE)


@pytest.mark.parametrize("zone", [BERLIN, None], ids=["named", "the machine's"])
def test_a_night_comes_once_a_date_when_the_clock_changes(
    zone: ZoneInfo | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", BERLIN.key)
    time.tzset()
    now, slept, nights = datetime(2026, 3, 27, 12, tzinfo=UTC), None, []
    try:
        while now.year == 2026:
            now = next_night(now, at="02:30", zone=zone, after=slept)
            slept = now.astimezone(BERLIN).date()
            nights.append(now)
    finally:
        monkeypatch.undo()
        time.tzset()
    dates = [night.astimezone(BERLIN).date() for night in nights]
    assert dates == [dates[0] + timedelta(days=day) for day in range(len(nights))]
    walls = {night.astimezone(BERLIN).date(): night.astimezone(BERLIN).strftime("%H:%M") for night in nights}
    assert {day: wall for day, wall in walls.items() if wall != "02:30"} == {date(2026, 3, 29): "03:30"}


def test_a_clock_that_is_set_back_brings_no_second_night() -> None:
    slept, back = date(2026, 5, 1), datetime(2026, 5, 1, 3, 29, tzinfo=ZONE)
    assert next_night(back, at="03:30", zone=ZONE, after=slept) == datetime(2026, 5, 2, 3, 30, tzinfo=ZONE)


class Sleeper:
    """A sleeper that notes what it is asked and refuses the second night."""

    def __init__(self, *, nights: int = 0) -> None:
        self.asked: list[SleepRequest] = []
        self.nights = nights

    def nights_since_deep(self) -> int:
        """Count what is in the ledger."""
        return self.nights

    def start(self, request: SleepRequest) -> str:
        """Note the request."""
        self.asked.append(request)
        if len(self.asked) == 2:
            raise RefusedError("a cycle runs already")
        self.nights = 0 if request.depth == "deep" else self.nights + 1
        return "slp-1"


async def asked_in_nights(count: int, sleeper: Sleeper) -> list[SleepRequest]:
    """Let the clock run for some nights: each look at it is a day later than the last, so that no wait is needed."""
    moments = iter(
        [datetime(2026, 5, 1, 3, 30, tzinfo=ZONE) + timedelta(days=day) for day in range(1 + 2 * count)]
    )

    def now() -> datetime:
        try:
            return next(moments)
        except StopIteration:
            raise asyncio.CancelledError from None

    with pytest.raises(asyncio.CancelledError):
        await Nightly(sleeper, at="03:30", now=now, zone=ZONE).run()  # type: ignore[arg-type]  # the methods it uses
    return sleeper.asked


async def test_a_refused_night_does_not_end_the_nights() -> None:
    asked = await asked_in_nights(6, Sleeper())
    # The refused night slept nothing, and does not count.
    assert [request.depth for request in asked] == ["light", "light", "light", "light", "light", "deep"]
    assert {request.trigger for request in asked} == {"nightly"}


async def test_a_daemon_that_has_just_started_goes_deep_when_the_ledger_says_so() -> None:
    assert [request.depth for request in await asked_in_nights(1, Sleeper(nights=4))] == ["deep"]


def test_nights_are_counted_in_the_ledger(tmp_path: Path) -> None:
    with small_house(tmp_path) as house:
        for depth, trigger in [
            ("deep", "nightly"),
            ("light", "nightly"),
            ("deep", "manual"),
            ("light", "nightly"),
        ]:
            house.sleeper.run_now(SleepRequest(depth=depth, trigger=trigger))
        assert house.sleeper.nights_since_deep() == 2
        house.sleeper.run_now(SleepRequest(depth="deep", trigger="nightly"))
        assert house.sleeper.nights_since_deep() == 0
