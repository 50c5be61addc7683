"""The stand-in knows what its prompt holds, and nothing else."""

from __future__ import annotations

import pytest

from ltmld.standin.answers import NOTED, UNKNOWN, answer
from ltmld.standin.conversation import Conversation, Turn
from ltmld.wire.sentinel import GAP, wrap


def told(*turns: tuple[str, str]) -> str:
    spoken = tuple(Turn(role=role, text=text) for role, text in turns)
    return answer(Conversation(model="stand-in", turns=spoken, stream=False))


MEMORIES = wrap(
    "These are dated notes from earlier conversations.\n"
    "- [2026-05-07] Ann: My dog is called Bruno, he is a beagle.\n"
    "- [2026-05-08] user: I live in Lisbon.\n"
    "- [2026-05-09] What is your dog called?"
)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is my dog called?", "My dog is called Bruno, he is a beagle."),
        ("Where do I live?", "I live in Lisbon."),
        ("Hello again. Where do I live these days?", "I live in Lisbon."),
    ],
)
def test_a_question_is_answered_from_the_memory_block(question: str, expected: str) -> None:
    assert told(("system", "Be kind." + GAP + MEMORIES), ("user", question)) == f"You told me: {expected}"
    assert told(("user", MEMORIES + GAP + question)) == f"You told me: {expected}"


def test_a_question_is_answered_from_the_conversation() -> None:
    turns = [
        ("user", "My sister's name is Ida."),
        ("assistant", NOTED),
        ("user", "What is the name of my sister?"),
    ]
    assert told(*turns) == "You told me: My sister's name is Ida."


def test_without_memory_there_is_no_answer() -> None:
    assert told(("user", "What is my dog called?")) == UNKNOWN
    assert (
        told(("system", "Be kind." + GAP + MEMORIES), ("user", "Which football team won yesterday?"))
        == UNKNOWN
    )


def test_an_earlier_question_is_no_answer() -> None:
    turns = [
        ("user", "What is my dog called?"),
        ("assistant", UNKNOWN),
        ("user", "So what is my dog called?"),
    ]
    assert told(*turns) == UNKNOWN


def test_a_statement_is_taken_note_of() -> None:
    assert told(("user", "I moved to Lisbon last year.")) == NOTED
