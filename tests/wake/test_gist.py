"""Promise: a line tells what was said without its courtesies, and never less than something."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.wake.gist import gist


def short(text: str, *asked: str, names: frozenset[str] = frozenset({"ann"}), people: bool = True) -> str:
    return gist(text, asked=frozenset(asked), names=names, between_people=people)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Hey Ann! Great to hear from you! I bought a boat.", "I bought a boat."),
        ("Thanks! That sounds amazing. Take the 8 pm train.", "Take the 8 pm train."),
        ("I bought a boat. Where do you live?", "I bought a boat."),
        ("Thanks so much!", "Thanks so much!"),
        ("Wow! Great!", "Wow! Great!"),
        ("Who? Where?", "Who? Where?"),
        ("No! I never ate fish.", "I never ate fish."),
        ("I am allergic. Not to fish.", "I am allergic. Not to fish."),
        ("I like it. 👍", "I like it. 👍"),
        ("我买了一条船。 谢谢。", "我买了一条船。 谢谢。"),
        ("Thanks!\nelse:\n    go()", "Thanks!\nelse:\n    go()"),
    ],
)
def test_courtesies_are_left_out(text: str, told: str) -> None:
    assert short(text) == told


def test_a_question_back_that_speaks_of_what_is_asked_stays() -> None:
    text = "I sold mine. Do you still have the boat?"
    assert short(text) == "I sold mine."
    assert short(text, "boat") == text


def test_to_a_model_people_tell_by_asking() -> None:
    text = "I have a boat. Which paint lasts in salt water?"
    assert short(text, people=False) == text


@given(st.lists(st.sampled_from(["Hey!", "Thanks.", "A boat.", "Who?", "\n", "¿", "x" * 9])), st.booleans())
def test_what_is_left_is_verbatim_in_order_and_not_nothing(parts: list[str], people: bool) -> None:  # noqa: FBT001 - drawn
    text = " ".join(parts)
    told, words = short(text, people=people), iter(text.split())
    assert bool(told.strip()) == bool(text.strip())
    assert all(word in words for word in told.split())
