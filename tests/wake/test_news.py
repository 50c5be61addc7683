"""The promise: a message that says nothing new is never brought up again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.wake.news import has_news


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("hi", "What is my dog called?"),
        ("Hi there, good morning!", "hello"),
        ("ok, thanks", "thanks"),
        ("x" * 4000, "hi there"),
        ("x", "hi there"),
        ("What is my dog called?", "what is my DOG called"),
        ("my dog", "What is my dog called?"),
        ("", "hi"),
        ("?!", "hi"),
    ],
)
def test_greetings_noise_and_the_question_itself_say_nothing(text: str, question: str) -> None:
    assert not has_news(text, question)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("My dog is called Biscuit.", "What is my dog called?"),
        ("I have 2 dogs", "how many dogs have I?"),
        ("我的狗叫饼干", "我的狗叫什么"),
        ("كلبي اسمه بسكويت", "ما اسم كلبي؟"),
        ("hi, I moved to Lyon", "hi"),
        ("5", "how many?"),
        ("no, peanuts", "Am I allergic to anything?"),
    ],
)
def test_a_word_that_the_question_does_not_hold_is_news(text: str, question: str) -> None:
    assert has_news(text, question)


@given(st.text(max_size=200))
def test_no_text_is_news_to_itself(text: str) -> None:
    assert not has_news(text, text)
