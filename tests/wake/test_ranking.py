"""Promise: ranking is arithmetic, and each of its weights does what its comment says."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.wake.question import Question, read_question
from ltmld.wake.ranking import Candidate, confidence, ranked
from ltmld.wake.weights import Weights

NOW = datetime(2024, 6, 15, tzinfo=UTC)


def a_candidate(name: str = "a", **settings: Any) -> Candidate:
    values: dict[str, Any] = {"unit_id": name, "at": NOW, "lexical": 1.0, "cosine": 0.4, "message_id": name}
    return Candidate(**{**values, **settings})


def asked(text: str = "the bicycle", *names: str) -> Question:
    return read_question(text, names=frozenset(names), now=NOW)


def order(question: Question, *candidates: Candidate) -> list[str]:
    return [item.candidate.unit_id for item in ranked(candidates, question)]


def test_both_halves_count() -> None:
    best, words, sense = (
        a_candidate("best"),
        a_candidate("words", cosine=0.1),
        a_candidate("sense", lexical=0.1),
    )
    assert order(asked(), words, sense, best)[0] == "best"


def test_full_text_alone_is_enough() -> None:
    assert order(
        asked(), a_candidate("b", lexical=1.0, cosine=None), a_candidate("a", lexical=3.0, cosine=None)
    ) == [
        "a",
        "b",
    ]


def test_an_answer_follows_its_question_between_people() -> None:
    talk = {"lexical": None, "cosine": None}
    hit = a_candidate("hit", person="Ada")
    after = a_candidate("after", previous_id="hit", person="Bo", **talk)
    elsewhere = a_candidate("elsewhere", person="Bo", **talk)
    assert order(asked(), elsewhere, after, hit) == ["hit", "after", "elsewhere"]


def test_in_talk_with_a_model_neighbors_do_not_count() -> None:
    hit = a_candidate("hit")
    after = a_candidate("after", previous_id="hit", by_model=True)
    assert not any("around" in item.parts for item in ranked([hit, after], asked()))


def test_the_person_named_comes_first() -> None:
    ada, bo = a_candidate("ada", person="Ada"), a_candidate("bo", person="Bo", lexical=1.2)
    assert order(asked("Where did Ada go?", "Ada", "Bo"), bo, ada) == ["ada", "bo"]
    assert order(asked("Where did Ada and Bo go?", "Ada", "Bo"), bo, ada) == ["bo", "ada"]


def test_a_models_words_count_less_unless_asked_for() -> None:
    mine, its = a_candidate("mine", lexical=0.7), a_candidate("its", by_model=True)
    assert order(asked("Which bicycle is mine?"), mine, its) == ["mine", "its"]
    assert order(asked("Which bicycle did you recommend?"), mine, its) == ["its", "mine"]


def test_what_meets_the_questions_time_comes_first() -> None:
    meets, misses = a_candidate("meets", dated=1.0), a_candidate("misses", lexical=1.2)
    assert order(asked(), misses, meets) == ["meets", "misses"]


def test_what_speaks_of_time_answers_when() -> None:
    tells, misses = a_candidate("tells", tells_time=True), a_candidate("misses", lexical=1.1)
    assert order(asked("When was it?"), misses, tells) == ["tells", "misses"]
    assert order(asked("What was it?"), misses, tells) == ["misses", "tells"]


def test_one_common_word_is_no_match() -> None:
    best, common = a_candidate("best"), a_candidate("common", lexical=0.29)
    parts = {item.candidate.unit_id: item.parts for item in ranked([best, common], asked())}
    assert "lexical" in parts["best"]
    assert "lexical" not in parts["common"]


def test_the_turn_before_the_last_counts_too() -> None:
    talk = {"person": "Bo", "lexical": None, "cosine": None}
    hit = a_candidate("hit", person="Ada")
    after = a_candidate("after", previous_id="hit", **talk)
    later = a_candidate("later", previous_id="after", **talk)
    elsewhere = a_candidate("elsewhere", **talk)
    assert order(asked(), elsewhere, later, after, hit) == ["hit", "after", "later", "elsewhere"]


def test_a_memory_gains_by_a_message_that_it_was_drawn_from() -> None:
    said = a_candidate("said")
    memories = [
        a_candidate(name, message_id="", lexical=0.5, strength=1.0, sources=(source,))
        for name, source in (("another", "elsewhere"), ("drawn", "said"))
    ]
    assert order(asked(), *memories, said).index("drawn") < order(asked(), *memories, said).index("another")


def test_a_part_of_a_long_message_comes_after_a_whole_one() -> None:
    part, whole = a_candidate("part", passage=True, lexical=1.1), a_candidate("whole")
    assert order(asked(), part, whole) == ["whole", "part"]


@given(st.floats(-1e6, 1e6), st.floats(0, 30), st.floats(-1, 1))
def test_strength_is_a_factor_from_seven_tenths_to_thirteen(
    strength: float, lexical: float, cosine: float
) -> None:
    item = ranked([a_candidate(message_id="", lexical=lexical, cosine=cosine, strength=strength)], asked())[0]
    plain = sum(item.parts.values())
    assert 0.7 * plain - 1e-9 <= item.score <= 1.3 * plain + 1e-9


@pytest.mark.parametrize("name", [field.name for field in fields(Weights)])
def test_every_weight_can_be_left_out(name: str) -> None:
    question = asked("When did Ada ride the bicycle in May?", "Ada")
    candidates = [
        a_candidate("one", person="Ada", dated=1.0, tells_time=True, thread_id="t", lexical=5.0),
        a_candidate("two", person="Bo", previous_id="one", thread_id="t", lexical=3.0),
        a_candidate("three", person="Bo", previous_id="two", thread_id="u", lexical=3.0),
        a_candidate("four", by_model=True, passage=True),
        a_candidate("five", message_id="", strength=1.0, sources=("one",)),
    ]
    scores = [
        {item.candidate.unit_id: item.score for item in ranked(candidates, question, weights=weights)}
        for weights in (Weights(), replace(Weights(), **{name: 0.0}))
    ]
    assert scores[0] != scores[1]


def test_a_strong_memory_moves_up_but_strength_is_bounded() -> None:
    weak, firm = (
        a_candidate(name, message_id="", strength=value) for name, value in (("weak", 0.0), ("firm", 5.0))
    )
    scores = {item.candidate.unit_id: item.score for item in ranked([weak, firm], asked())}
    assert scores["firm"] / scores["weak"] <= 1.3 / 0.7 + 1e-9
    assert scores["firm"] > scores["weak"]


def test_a_thread_that_matches_lifts_its_messages() -> None:
    lone = a_candidate("lone", thread_id="t1")
    near = a_candidate("near", thread_id="t2")
    others = [a_candidate(f"o{number}", thread_id="t2", lexical=0.9) for number in range(4)]
    assert order(asked(), lone, near, *others)[0] == "near"


def test_what_is_near_nothing_is_not_sure() -> None:
    assert confidence([a_candidate(cosine=0.1)], asked()) < 0.05
    assert confidence([a_candidate(cosine=0.1)], asked("Who is Ada?", "Ada")) == 0.7
    assert confidence([a_candidate(cosine=0.6)], asked()) == 1.0
    assert confidence([a_candidate(cosine=None)], asked()) == 1.0


CANDIDATES = st.builds(
    Candidate,
    unit_id=st.uuids().map(str),
    at=st.just(NOW),
    lexical=st.none() | st.floats(0, 30),
    cosine=st.none() | st.floats(-1, 1),
    message_id=st.sampled_from(["", "a", "b", "c"]),
    previous_id=st.sampled_from(["", "a", "b", "c"]),
    thread_id=st.sampled_from(["", "t", "u"]),
    person=st.sampled_from(["", "Ada"]),
    strength=st.none() | st.floats(0, 5),
)


@given(st.lists(CANDIDATES, max_size=30, unique_by=lambda item: item.unit_id))
def test_ranking_loses_nothing_and_is_the_same_in_any_order(candidates: list[Candidate]) -> None:
    forth, back = (ranked(given, asked("Ada?", "Ada")) for given in (candidates, candidates[::-1]))
    assert sorted(item.candidate.unit_id for item in forth) == sorted(item.unit_id for item in candidates)
    assert all(one.score >= other.score for one, other in pairwise(forth))
    scores = {item.candidate.unit_id: round(item.score, 6) for item in forth}
    # Where two messages claim one place, or one message two, the later one wins: the ledger never offers that.
    places = ({item.previous_id for item in candidates}, {item.message_id for item in candidates})
    if all(len(names) == len(candidates) for names in places):
        assert scores == {item.candidate.unit_id: round(item.score, 6) for item in back}
