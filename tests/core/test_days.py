"""Promise: a moment falls on the day that the clock on the wall shows, and a day begins at its midnight."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.days import day_start, local, local_day

WEST = ZoneInfo("America/Los_Angeles")


def test_an_evening_in_the_west_is_not_yet_the_day_that_it_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    evening = datetime(2026, 3, 1, 2, tzinfo=UTC)
    assert local_day(evening, WEST) == date(2026, 2, 28)
    assert local_day(evening, UTC) == date(2026, 3, 1)
    monkeypatch.setenv("TZ", WEST.key)
    time.tzset()
    try:
        assert local_day(evening) == date(2026, 2, 28)
        assert day_start(date(2026, 2, 28)) == datetime(2026, 2, 28, 8, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


@given(
    st.dates(min_value=date(1980, 1, 1), max_value=date(2100, 1, 1)),
    st.sampled_from(["Europe/Berlin", WEST.key]),
)
def test_the_beginning_of_a_day_falls_on_that_day(day: date, zone: str) -> None:
    assert local_day(day_start(day, ZoneInfo(zone)), ZoneInfo(zone)) == day


def test_the_edge_of_the_calendar_is_shown_as_it_is() -> None:
    first = datetime.min.replace(tzinfo=UTC)
    assert local(first, timezone(-timedelta(hours=8))) == first
