"""Promise: a question is read by rule: whom it names, what it says of time, whose words it asks for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ltmld.wake.dates import iso_span, speaks_of_time, time_hint
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
        ("Room 20155", set(), set()),
    ],
)
def test_hints_of_time(text: str, months: set[int], years: set[int]) -> None:
    hint = time_hint(text, now=NOW)
    assert (set(hint.months), set(hint.years)) == (months, years)


# 15 January 2024 is a Monday.
@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("What did I say yesterday?", "2024-01-14", "2024-01-14"),
        ("What did I say the day before yesterday?", "2024-01-13", "2024-01-13"),
        ("What did I eat last night?", "2024-01-14", "2024-01-14"),
        ("What did I say today?", "2024-01-15", "2024-01-15"),
        ("What was it three days ago?", "2024-01-12", "2024-01-12"),
        ("two weeks ago", "2023-12-29", "2024-01-04"),
        ("a few days ago", "2024-01-11", "2024-01-13"),
        ("a month ago", "2023-12-01", "2023-12-31"),
        ("2 years ago", "2021-07-17", "2022-07-16"),
        ("last week", "2024-01-08", "2024-01-14"),
        ("What did I do this week?", "2024-01-15", "2024-01-21"),
        ("LAST WEEKEND", "2024-01-13", "2024-01-14"),
        ("last month", "2023-12-01", "2023-12-31"),
        ("What was planned this month?", "2024-01-01", "2024-01-31"),
        ("last year", "2023-01-01", "2023-12-31"),
        ("last Monday", "2024-01-08", "2024-01-08"),
        ("last Friday", "2024-01-12", "2024-01-12"),
        ("What was said this Monday?", "2024-01-15", "2024-01-15"),
        ("last summer", "2023-06-01", "2023-08-31"),
        ("last winter", "2022-12-01", "2023-02-28"),
        ("How was this winter?", "2023-12-01", "2024-02-29"),
        ("the summer of 2022", "2022-06-01", "2022-08-31"),
        ("on 2023-05-07", "2023-05-07", "2023-05-07"),
        ("in 2023-02", "2023-02-01", "2023-02-28"),
    ],
)
def test_words_of_time_count_from_the_questions_day(text: str, begin: str, end: str) -> None:
    (span,) = time_hint(text, now=NOW).spans
    assert (f"{span.begin}", f"{span.end}") == (begin, end)


@pytest.mark.parametrize(
    "text",
    [
        *("What shall I cook today?", "Plan this week for me", "May I ask?", "at last", "long ago"),
        *("999 years ago" * 9, "2023-13-40", "2023-02-30", "last straw", "0000-00-00", "", "\x00" * 99),
    ],
)
def test_no_span_is_made_up(text: str) -> None:
    now = datetime(1, 1, 1, tzinfo=UTC) if "years ago" in text else NOW
    assert time_hint(text, now=now).spans == ()


@pytest.mark.parametrize(
    ("text", "at", "worth"),
    [
        ("What happened in May 2023?", "2023-05-31", 1.0),
        ("What happened in May 2023?", "2022-05-31", 0.0),
        ("What happened in May?", "2022-05-31", 1.0),
        ("What happened in 2023?", "2023-02-01", 0.3),
        ("What happened last year?", "2023-02-01", 0.3),
        ("What did we do last summer?", "2023-07-01", 1.0),
        ("What did we do last summer?", "2023-10-01", 0.5),
        ("What did we do last summer?", "2022-07-01", 0.0),
        ("What did we do last week?", "2024-01-10", 1.0),
        ("What did we do last week?", "2024-01-15", 0.5),
        ("What did we do?", "2024-01-10", 0.0),
    ],
)
def test_a_moment_meets_the_time_of_a_question(text: str, at: str, worth: float) -> None:
    assert time_hint(text, now=NOW).meets(datetime.fromisoformat(f"{at}T12:00:00+00:00")) == worth


@pytest.mark.parametrize(
    ("when", "begin", "end"),
    [
        ("2023", "2023-01-01", "2023-12-31"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2024-02-03", "2024-02-03", "2024-02-03"),
    ],
)
def test_a_memorys_date_is_read_as_far_as_it_goes(when: str, begin: str, end: str) -> None:
    span = iso_span(when)
    assert span is not None
    assert (f"{span.begin}", f"{span.end}") == (begin, end)


@pytest.mark.parametrize("when", ["", "soon", "2023-", "2023-00", "2023-02-30", "2023-01-01-01", "²²²²", "0"])
def test_what_is_no_date_is_none(when: str) -> None:
    assert iso_span(when) is None


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
