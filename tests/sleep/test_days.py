"""Promise: what people call yesterday is their yesterday, wherever the machine stands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from ltmld.core.days import local_day
from ltmld.sleep.dates import dated, moment, spelled
from ltmld.sleep.episode import Episode, transcript
from ltmld.sleep.rules import by_rules
from tests.support.nights import Bedroom, a_message

# 28 February, six in the evening in Los Angeles; 1 March, eleven in the morning in Tokyo.
SAID_AT = datetime(2026, 3, 1, 2, tzinfo=UTC)

ZONES = [("America/Los_Angeles", 27), ("UTC", 28), ("Asia/Tokyo", 28)]


@pytest.mark.parametrize(("zone", "yesterday"), ZONES)
def test_yesterday_is_the_day_before_the_evening_it_was_said_on(
    here: Callable[[str], None], zone: str, yesterday: int
) -> None:
    here(zone)
    assert dated("I saw the dentist yesterday", at=SAID_AT) == (
        f"I saw the dentist on {yesterday} February 2026",
        f"2026-02-{yesterday}",
    )


@pytest.mark.parametrize("zone", [zone for zone, _ in ZONES])
def test_the_beginning_of_a_day_falls_on_that_day_where_the_person_is(
    here: Callable[[str], None], zone: str
) -> None:
    here(zone)
    begins = moment("2026-02-28")
    assert begins is not None
    assert local_day(begins) == date(2026, 2, 28)
    assert (begins.astimezone().hour, spelled("2026-02-28")) == (0, "on 28 February 2026")


def test_an_event_learned_by_rule_has_the_day_of_the_person(here: Callable[[str], None]) -> None:
    here("America/Los_Angeles")
    (event,) = by_rules(a_message("I visited the dentist today.", at=SAID_AT))
    assert event.when == "2026-02-28"
    assert event.valid_from == datetime(2026, 2, 28, 8, tzinfo=UTC)


def test_a_transcript_is_dated_by_the_clock_on_the_wall(here: Callable[[str], None]) -> None:
    here("America/Los_Angeles")
    lines = transcript(Episode(messages=(a_message("Hello.", at=SAID_AT),)))
    assert lines == "[2026-02-28 18:00] User: Hello."


def test_what_a_night_learns_is_filed_under_the_day_of_the_person(
    here: Callable[[str], None], bedroom: Bedroom
) -> None:
    here("America/Los_Angeles")
    bedroom.talk("I visited the dentist yesterday.", "I see.", start=SAID_AT)
    bedroom.sleep()
    (memory,) = bedroom.believed().values()
    assert (memory.when, memory.text) == ("2026-02-27", "The user visited the dentist on 27 February 2026.")
