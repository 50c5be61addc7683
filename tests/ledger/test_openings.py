"""The promise: one prompt sent twice at once is one conversation; the same words another time are another one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ltmld.ledger import Ledger
from tests.support.ledgers import EPOCH, a_turn


def opened(ledger: Ledger, number: int, *said: str, after_s: float = 0, **settings: Any) -> str:
    """Record a conversation that was placed as new; return the thread that it came to stand in."""
    at = EPOCH + timedelta(seconds=after_s)
    values: dict[str, Any] = {
        "thread_id": f"thr-{number}",
        "exchange": f"exc-{number}",
        "started_at": at,
        "finished_at": at,
    }
    return ledger.record_turn(a_turn(*said, reply=f"reply {number}", **values, **settings)).thread_id


@pytest.mark.parametrize(("after_s", "counts"), [(0.05, "reply 2"), (-0.05, "reply 1"), (599, "reply 2")])
def test_one_prompt_to_two_models_is_one_conversation_and_the_last_asked_counts(
    ledger: Ledger, after_s: float, counts: str
) -> None:
    assert opened(ledger, 1, "what is up") == "thr-1"
    assert opened(ledger, 2, "what is up", after_s=after_s) == "thr-1"
    said = [message.text for message in ledger.thread_messages("thr-1")]
    assert said == ["what is up", counts]
    assert ledger.counts()["threads"] == 1


@pytest.mark.parametrize("after_s", [601, -601, 86_400])
def test_the_same_opening_another_time_is_a_new_conversation(ledger: Ledger, after_s: float) -> None:
    opened(ledger, 1, "what is up")
    assert opened(ledger, 2, "what is up", after_s=after_s) == "thr-2"


def test_another_person_with_the_same_words_is_another_conversation(ledger: Ledger) -> None:
    opened(ledger, 1, "what is up", scope="ada")
    assert opened(ledger, 2, "what is up", scope="bob") == "thr-2"


def test_a_key_says_which_conversation_it_is(ledger: Ledger) -> None:
    opened(ledger, 1, "what is up")
    assert opened(ledger, 2, "what is up", thread_key="chat-2") == "thr-2"


def test_a_greeting_that_everybody_gets_is_no_opening(ledger: Ledger) -> None:
    def greeted(number: int, words: str) -> str:

        path = a_turn("x", "Welcome!", words).path[1:]
        return opened(ledger, number, path=path)

    assert greeted(1, "I have a dog") == "thr-1"
    assert greeted(2, "I have a cat") == "thr-2"
    assert greeted(3, "I have a cat") == "thr-2"
