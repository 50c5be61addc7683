"""Promise: a single-valued attribute that was said otherwise later is superseded, and nothing else is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ltmld.core.memory import Memory, MemoryKind
from ltmld.core.proposal import Supersede
from ltmld.sleep.reconcile import reconcile
from tests.support.ledgers import EPOCH, a_memory


def said(text: str, day: int, *, name: str = "", attribute: str = "home", **settings: Any) -> Memory:
    at = EPOCH + timedelta(days=day)
    values: dict[str, Any] = {"subject": "user", "attribute": attribute, "valid_from": at, "recorded_at": at}
    return a_memory(text, id=name or f"mem-{day}", **{**values, **settings})


def settled(*memories: Memory) -> list[Supersede]:
    return reconcile(memories, said_at={memory.id: memory.recorded_at for memory in memories})


def test_a_later_home_ends_the_earlier_one() -> None:
    older, newer = said("The user lives in Lisbon.", 1), said("The user moved to Porto.", 9)
    found = settled(newer, older)
    assert [(one.memory_id, one.by, one.valid_to) for one in found] == [("mem-1", "mem-9", newer.valid_from)]


def test_three_homes_end_one_after_the_other() -> None:
    homes = [
        said(f"The user lives in {city}.", day) for day, city in ((1, "Rome"), (5, "Lisbon"), (9, "Porto"))
    ]
    assert [(one.memory_id, one.by) for one in settled(*homes)] == [("mem-1", "mem-5"), ("mem-5", "mem-9")]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (said("The user lives in Lisbon.", 1), said("The user lives in Lisbon, Portugal.", 9)),
        (said("The user lives in Lisbon.", 1), said("The user's home has a garden.", 9)),
        (said("The user lives in Lisbon.", 1), said("The user wants to live in Porto.", 9)),
        (said("The user lives in Lisbon.", 1), said("The user used to live in Porto.", 9)),
        (said("The user lives in Lisbon.", 1), said("Ana lives in Porto.", 9, subject="Ana")),
        (said("The user lives in Lisbon.", 1), said("The user lives in Porto.", 1, name="mem-2")),
        (said("The user lives in Lisbon.", 1, pinned=True), said("The user lives in Porto.", 9)),
        (said("The user lives in Lisbon.", 1), said("The user lives in Porto.", 9, kind=MemoryKind.PLAN)),
        (
            said("The user likes tea.", 1, attribute="likes"),
            said("The user likes coffee.", 9, attribute="likes"),
        ),
        (
            said("The user works as a nurse.", 1, attribute="job"),
            said("The user works at Acme.", 9, attribute="job"),
        ),
        (
            said("The user's favorite color is blue.", 1, attribute="favorite_color"),
            said("The user's favorite food is rice.", 9, attribute="favorite_food"),
        ),
    ],
)
def test_what_does_not_contradict_stays(older: Memory, newer: Memory) -> None:
    assert settled(older, newer) == []


@pytest.mark.parametrize(
    ("older", "newer", "attribute"),
    [
        ("The user works as a nurse.", "The user works as a teacher.", "occupation"),
        ("The user works at Acme.", "The user works for Bell Labs.", "employer"),
        ("The user is single.", "The user is married to Ana.", "relationship_status"),
        ("The user is 41 years old.", "The user is 42 years old.", "age"),
        ("The user's favorite color is blue.", "The user's favorite color is green.", "favorite_color"),
    ],
)
def test_the_slots_there_are(older: str, newer: str, attribute: str) -> None:
    assert len(settled(said(older, 1, attribute=attribute), said(newer, 9, attribute=attribute))) == 1


def test_a_memory_of_an_earlier_time_told_later_supersedes_nothing() -> None:
    now = said("The user lives in Lisbon.", 5)
    childhood = said("The user lives in Rome.", 9, valid_from=EPOCH - timedelta(days=9000))
    assert settled(now, childhood) == []


def test_what_was_settled_is_not_settled_again() -> None:
    older, newer = said("The user lives in Lisbon.", 1), said("The user lives in Porto.", 9)
    assert settled(older, newer)
    assert settled(newer) == []
