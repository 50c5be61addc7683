"""Promise: a question is read by rule: whom it names, what it says of time, whose words it asks for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ltmld.wake.dates import speaks_of_time, time_hint
from ltmld.wake.question import Question, read_question

NOW = datetime(2024, 1, 15, tzinfo=UTC)


def read(text: str, *names: str) -> Question:
    return read_question(text, names=frozenset(names), now=NOW)


def test_names_are_taken_out_for_the_embedder_alone() -> None:
    question = read("What is Caroline's dog called?", "Caroline", "Mel")
    assert question.bare == "What is dog called?"
    assert question.person == "Caroline"
    assert question.text == "What is Caroline's dog called?"


def test_part_of_a_word_is_no_name() -> None:
    assert read("What melts?", "Mel").bare == "What melts?"


def test_a_question_of_names_alone_stays() -> None:
    assert read("Caroline?", "Caroline").bare == "Caroline?"


@pytest.mark.parametrize(
    ("text", "months", "years"),
    [
        ("What happened in May 2023?", {5}, {2023}),
        ("May I ask something? It may matter.", {5}, set()),
        ("In 2022, and in march", set(), {2022}),
        ("What did I do last month?", {12}, {2023}),
        ("What did I plan this year?", set(), {2024}),
        ("What did I say yesterday?", {1}, {2024}),
        ("Room 20155", set(), set()),
    ],
)
def test_hints_of_time(text: str, months: set[int], years: set[int]) -> None:
    hint = time_hint(text, now=NOW)
    assert (set(hint.months), set(hint.years)) == (months, years)


@pytest.mark.parametrize(
    "text", ["When did she leave?", "How long ago was it?", "What day is it?", "in what year"]
)
def test_asking_when(text: str) -> None:
    assert time_hint(text, now=NOW).asks_when


def test_not_asking_when() -> None:
    assert not time_hint("What did she do when she left?", now=NOW).asks_when


@pytest.mark.parametrize(
    ("text", "speaks"),
    [
        ("See you last weekend.", True),
        ("Tomorrow!", True),
        ("in 1999", True),
        ("You may march.", False),
        ("", False),
    ],
)
def test_speaking_of_time(text: str, *, speaks: bool) -> None:
    assert speaks_of_time(text) is speaks


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("What did you recommend?", True),
        ("What was your advice on tyres?", True),
        ("The book you mentioned", True),
        ("Can you recommend a book?", False),
        ("What did I tell you?", False),
    ],
)
def test_asking_for_the_models_own_words(text: str, *, back: bool) -> None:
    assert read(text).asks_back is back
