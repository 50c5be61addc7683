"""Promise: without a model, plain statements become memories, and nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.memory import MemoryKind
from ltmld.sleep.dates import dated, moment, spoken_date
from ltmld.sleep.rules import by_rules
from tests.support.nights import a_message

MONDAY = datetime(2023, 5, 8, 12, tzinfo=UTC)


def read(text: str, **settings: Any) -> list[str]:
    return [one.text for one in by_rules(a_message(text, at=MONDAY, **settings))]


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        ("My name is Ada Lovelace.", ["The user's name is Ada Lovelace."]),
        ("Hi, I'm Alice and I love hiking!", ["The user's name is Alice.", "The user loves hiking."]),
        ("I live in Lisbon.", ["The user lives in Lisbon."]),
        ("i live in lisbon now", ["The user lives in lisbon now."]),
        ("I just moved from Rome to Porto last month.", ["The user lives in Porto."]),
        ("I live in Lisbon and I work as a nurse.", ["The user lives in Lisbon.", "The user works as a nurse."]),
        ("I\u2019m a software engineer at Acme", ["The user works as a software engineer."]),
        ("My dog's name is Rex", ["The user's dog is called Rex."]),
        ("My sister Ana is coming.", ["The user's sister is called Ana."]),
        ("I have two dogs and a cat.", ["The user has two dogs and a cat."]),
        ("I'm severely allergic to peanuts, sadly.", ["The user is allergic to peanuts."]),
        ("I'm not allergic to cats", ["The user is not allergic to cats."]),
        ("I am a vegetarian.", ["The user is vegetarian."]),
        ("I really love jazz and old films.", ["The user loves jazz and old films."]),
        ("I don't like olives", ["The user dislikes olives."]),
        ("I can't stand loud music", ["The user cannot stand loud music."]),
        ("My favourite color is blue", ["The user's favorite color is blue."]),
        ("My birthday is on 3 May", ["The user's birthday is 3 May."]),
        ("I was born in 1990.", ["The user was born in 1990."]),
        ("I'm going to visit Rome next month.", ["The user plans to visit Rome in June 2023."]),
        ("I went to a support group yesterday.", ["The user went to a support group on 7 May 2023."]),
        ("Remember that the key is under the pot.", ["The user asked to remember: the key is under the pot."]),
    ],
)  # fmt: skip
def test_a_plain_statement_becomes_a_memory(said: str, believed: list[str]) -> None:
    assert read(said) == believed


@pytest.mark.parametrize(
    "said",
    [
        "If I moved to Rome, what would I need?",
        "Do I live in Lisbon?",
        "Write a poem in which I live in Paris.",
        "I wish I lived in Lisbon.",
        "I'm a huge fan of jazz",
        "I'm a bit tired",
        "I like it.",
        "I love how you explain things.",
        "I would love to visit Japan.",
        "Lisbon is the capital of Portugal.",
        "I'm going to the shop.",
        "I used to live in Rome.",
        "I took your advice on cooking yesterday.",
        "She said: \u201cI live in Lisbon\u201d",
        '"I live in Lisbon" is what she wrote.',
    ],
)
def test_anything_else_gives_nothing(said: str) -> None:
    assert read(said) == []


def test_the_assistant_states_nothing_and_a_named_partner_does() -> None:
    words = "I live in Lisbon."
    assert read(words, role="assistant", speaker="assistant") == []
    assert read(words, role="assistant", speaker="Melanie") == ["Melanie lives in Lisbon."]


def test_the_quote_is_what_was_said_and_the_source_is_who_said_it() -> None:
    message = a_message("Well. I\u2019m allergic to peanuts! Anyway.", speaker="Ana")
    found = by_rules(message)[0]
    assert found.quote == "I\u2019m allergic to peanuts!"
    assert found.quote in message.text
    assert (found.subject, found.message_id, found.attribute) == ("Ana", message.id, "allergy")
    assert found.importance >= 0.9


def test_an_event_has_its_day_and_a_standing_fact_has_none() -> None:
    event = by_rules(a_message("I ran a charity race last Saturday.", at=MONDAY))[0]
    assert (event.kind, event.when) == (MemoryKind.EVENT, "2023-05-06")
    assert by_rules(a_message("I moved to Porto last year.", at=MONDAY))[0].when == ""


@given(st.text(max_size=300))
def test_no_words_upset_the_rules(text: str) -> None:
    for one in by_rules(a_message(text)):
        assert one.quote in text
        assert one.text.strip()


@pytest.mark.parametrize(
    ("words", "when"),
    [
        ("yesterday", "2023-05-07"),
        ("last night", "2023-05-07"),
        ("tomorrow", "2023-05-09"),
        ("last Friday", "2023-05-05"),
        ("next Monday", "2023-05-15"),
        ("three days ago", "2023-05-05"),
        ("2 weeks ago", "2023-04"),
        ("a year ago", "2022"),
        ("last month", "2023-04"),
        ("next month", "2023-06"),
        ("last year", "2022"),
        ("last weekend", "2023-05"),
        ("on 3 June", "2023-06-03"),
        ("March 5th, 2021", "2021-03-05"),
        ("in May 2020", "2020-05"),
        ("since 2019", "2019"),
        ("2023-01-31", "2023-01-31"),
        ("31 February", ""),
        ("on Friday", ""),
        ("room 2019", ""),
        ("nothing", ""),
    ],
)
def test_a_date_is_no_more_exact_than_its_words(words: str, when: str) -> None:
    found = spoken_date(f"we met {words}", at=MONDAY)
    assert (found.when if found else "") == when


def test_a_relative_date_is_spelled_out_where_it_stood() -> None:
    assert dated("I painted it last year, in oil", at=MONDAY) == ("I painted it in 2022, in oil", "2022")
    assert dated("born on 3 May 1990", at=MONDAY) == ("born on 3 May 1990", "1990-05-03")


@pytest.mark.parametrize(
    ("when", "begins"),
    [
        ("2023", (2023, 1, 1)),
        ("2023-05", (2023, 5, 1)),
        ("2023-05-07", (2023, 5, 7)),
        ("7 May 2023", (2023, 5, 7)),
        ("May 2023", (2023, 5, 1)),
    ],
)
def test_when_is_read_as_the_beginning_of_its_time(when: str, begins: tuple[int, int, int]) -> None:
    assert moment(when) == datetime(*begins, tzinfo=UTC)


@given(st.text(max_size=40))
def test_no_when_upsets_the_reader(when: str) -> None:
    moment(when)
    spoken_date(when, at=MONDAY)
