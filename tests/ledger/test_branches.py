"""The promise: what a client last showed is what counts, memories drawn from it too; nothing else is taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ltmld.core.exchange import Outcome
from ltmld.core.memory import MemoryState, Source
from ltmld.core.proposal import Learn
from ltmld.ledger import Ledger
from ltmld.ledger.branches import LATE_MAX, TAIL_MAX
from tests.support.ledgers import EPOCH, a_memory, a_turn


def texts(ledger: Ledger, thread_id: str = "thr-1") -> list[str]:
    return [message.text for message in ledger.thread_messages(thread_id)]


def told(ledger: Ledger, *said: str, reply: str, after_s: float = 0, **more: Any) -> list[str]:
    """Record a turn; return the ids of what was new."""
    at = EPOCH + timedelta(seconds=after_s)
    number = ledger.counts()["exchanges"]
    turn = a_turn(
        *said, reply=reply, exchange=f"exc-{number}", **{"started_at": at, "finished_at": at, **more}
    )
    return list(ledger.record_turn(turn).new_message_ids)


def night(ledger: Ledger, name: str, *message_ids: str) -> None:
    """Let a night learn a memory from these messages."""
    cycle = ledger.begin_cycle(scope="", depth="light", trigger="test", model="m", dry_run=False)
    sources = tuple(Source(message_id=one, quote="dog") for one in message_ids)
    learned = Learn(memory=a_memory(f"Ada has a dog ({name}).", id=name, sources=sources))
    ledger.apply(cycle, "extract", [learned], {})
    ledger.end_cycle(cycle, state="done", report={})


def states(ledger: Ledger) -> dict[str, str]:
    """Return the state of each memory."""
    return {memory.id: memory.state.value for memory in ledger.memories()[0]}


def test_an_old_tail_goes_as_a_whole_and_comes_back_as_a_whole(ledger: Ledger) -> None:
    told(ledger, "hello", reply="hi")
    told(ledger, "hello", "hi", "I have a dog", reply="lovely")
    told(ledger, "hello", "hi", "I have a dog", "lovely", "called Rex", reply="good name")
    told(ledger, "hello", "hi", "I have a cat", reply="sweet")
    assert texts(ledger) == ["hello", "hi", "I have a cat", "sweet"]
    told(ledger, "hello", "hi", "I have a dog", "lovely", "called Rex", "good name", "yes", reply="well")
    assert texts(ledger) == [
        "hello",
        "hi",
        "I have a dog",
        "lovely",
        "called Rex",
        "good name",
        "yes",
        "well",
    ]


def test_an_answer_made_anew_in_the_middle_takes_the_place_of_all_that_followed(ledger: Ledger) -> None:
    told(ledger, "hello", reply="hi")
    told(ledger, "hello", "hi", "dog?", reply="yes")
    told(ledger, "hello", "hi", "dog?", "yes", "cat?", reply="no")
    told(ledger, "hello", "hi", "dog?", reply="maybe")
    assert texts(ledger) == ["hello", "hi", "dog?", "maybe"]


def test_a_memory_goes_with_the_last_message_behind_it_and_comes_back_with_it(ledger: Ledger) -> None:
    told(ledger, "hello", reply="hi")
    [dog, *_] = told(ledger, "hello", "hi", "I have a dog", reply="lovely")
    turn = a_turn("elsewhere I said dog", reply="so?", thread_id="thr-2", exchange="exc-other")
    [other, *_] = ledger.record_turn(turn).new_message_ids
    night(ledger, "mem-dog", dog)
    night(ledger, "mem-both", dog, other)
    night(ledger, "mem-pinned", dog)
    ledger.edit("mem-pinned", cause="test", pinned=True)
    told(ledger, "hello", "hi", "I have a cat", reply="sweet")
    assert states(ledger) == {"mem-dog": "superseded", "mem-both": "active", "mem-pinned": "active"}
    told(ledger, "hello", "hi", "I have a dog", "lovely", "yes", reply="well")
    assert states(ledger) == {"mem-dog": "active", "mem-both": "active", "mem-pinned": "active"}
    assert [event["cause"] for event in ledger.history("mem-dog")][1:] == [
        "taken back in the conversation",
        "said again in the conversation",
    ]


def test_what_was_taken_back_while_the_night_looked_at_it_is_not_learned(ledger: Ledger) -> None:
    told(ledger, "hello", reply="hi")
    [dog, *_] = told(ledger, "hello", "hi", "I have a dog", reply="lovely")
    told(ledger, "hello", "hi", "I have a cat", reply="sweet")
    night(ledger, "mem-dog", dog)
    assert states(ledger) == {}


def test_what_was_superseded_by_a_newer_memory_does_not_come_back_with_its_message(ledger: Ledger) -> None:
    told(ledger, "hello", reply="hi")
    [dog, *_] = told(ledger, "hello", "hi", "I have a dog", reply="lovely")
    night(ledger, "mem-dog", dog)
    ledger.edit("mem-dog", cause="test", state=MemoryState.SUPERSEDED)
    told(ledger, "hello", "hi", "I have a cat", reply="sweet")
    told(ledger, "hello", "hi", "I have a dog", "lovely", "yes", reply="well")
    assert states(ledger) == {"mem-dog": "superseded"}


def test_an_exchange_that_began_before_what_is_known_takes_nothings_place(ledger: Ledger) -> None:
    told(ledger, "hello", reply="hi", after_s=0)
    told(ledger, "hello", "hi", "dog?", reply="yes", after_s=20)
    told(ledger, "hello", "hi", "cat?", reply="no", after_s=10)
    assert texts(ledger) == ["hello", "hi", "dog?", "yes"]
    told(ledger, "hello", "hi", "cat?", "no", "why?", reply="so", after_s=30)
    assert texts(ledger) == ["hello", "hi", "cat?", "no", "why?", "so"]


def test_a_clock_that_was_set_back_makes_no_answer_late(ledger: Ledger) -> None:
    told(ledger, "hello", reply="hi", after_s=0)
    told(ledger, "hello", reply="good day", after_s=-LATE_MAX.total_seconds() - 1)
    assert texts(ledger) == ["hello", "good day"]


def test_of_two_conversations_that_open_alike_neither_takes_the_other_back(ledger: Ledger) -> None:
    told(ledger, "hello", reply="hi")
    told(ledger, "hello", reply="good day")
    told(ledger, "hello", "hi", "dog?", reply="yes")
    told(ledger, "hello", "good day", "cat?", reply="no")
    assert set(texts(ledger)) == {"hello", "hi", "dog?", "yes", "good day", "cat?", "no"}


def test_examples_that_every_request_begins_with_take_no_request_back(ledger: Ledger) -> None:
    told(ledger, "2 + 2?", "4", "3 + 3?", reply="6")
    told(ledger, "2 + 2?", "4", "4 + 4?", reply="8")
    assert set(texts(ledger)) == {"2 + 2?", "4", "3 + 3?", "6", "4 + 4?", "8"}


@pytest.mark.parametrize(
    ("second", "counting"),
    [
        ("my dog is called Waffle", ["my dog is called Waffle", "ok"]),
        (
            "search the folder for tests",
            ["my dog is called Biscuit", "nice", "search the folder for tests", "ok"],
        ),
    ],
)
def test_under_one_key_an_edited_first_message_goes_and_another_conversations_stays(
    ledger: Ledger, second: str, counting: list[str]
) -> None:
    told(ledger, "my dog is called Biscuit", reply="nice", thread_key="chat-1")
    told(ledger, second, reply="ok", thread_key="chat-1")
    assert sorted(texts(ledger)) == sorted(counting)
    assert ledger.counts()["threads"] == 1


def test_a_list_of_conversations_shows_what_the_client_shows(ledger: Ledger) -> None:
    """An edited first message gives the conversation its new title, and what it replaced is not counted."""
    told(ledger, "my dog is called Biscuit", reply="nice", thread_key="chat-1")
    told(ledger, "my dog is called Waffle", reply="nice", thread_key="chat-1")
    ((listed,), _) = ledger.threads()
    assert (listed["title"], listed["messages"]) == ("my dog is called Waffle", 2)


def test_what_is_remembered_by_hand_stands_side_by_side(ledger: Ledger) -> None:
    for number, name in enumerate(("Biscuit", "Waffle")):
        memory = a_memory(f"My dog is called {name}.", id=f"mem-{number}")
        ledger.remember(memory, said=f"My dog is called {name}.", cause="test")
    assert states(ledger) == {"mem-0": "active", "mem-1": "active"}
    assert len(ledger.ungathered("default")) == 0
    assert ledger.counts()["messages"] == 2


def test_a_conversation_longer_than_the_limit_is_not_taken_back_by_an_edit(ledger: Ledger) -> None:
    told(ledger, "hello", reply="hi")
    said = ["hello", "hi", *(f"message {number}" for number in range(TAIL_MAX))]
    told(ledger, *said[:-1], reply=said[-1])
    told(ledger, *said, "one too many", reply="")
    told(ledger, "hello", "hi", "edited", reply="ok")
    assert len(texts(ledger)) == len(said) + 3


def test_a_partial_answer_to_an_edit_goes_behind_the_edit(ledger: Ledger) -> None:
    told(ledger, "hello", reply="hi")
    told(ledger, "hello", "hi", "dog?", reply="yes")
    told(ledger, "hello", "hi", "cat?", reply="I th", outcome=Outcome.CUT_SHORT)
    assert texts(ledger) == ["hello", "hi", "cat?", "I th"]


def test_history_from_before_is_marked_once_and_what_is_heard_is_not(ledger: Ledger) -> None:
    told(ledger, "hello", "hi", "dog?", reply="yes")
    told(ledger, "hello", "hi", "dog?", "yes", "cat?", reply="no")
    exchanges = [ledger.exchange(f"exc-{number}")["messages"] for number in range(2)]
    marks = {message["text"]: message["backfilled"] for messages in exchanges for message in messages}
    assert marks == {"hello": True, "hi": True, "dog?": False, "yes": False, "cat?": False, "no": False}


def test_a_thread_is_dated_by_when_its_words_were_said(ledger: Ledger) -> None:
    said = EPOCH - timedelta(days=300)
    turn = a_turn("hello", reply="hi")
    dated = tuple(replace(one, at=said) for one in turn.path)
    ledger.record_turn(replace(turn, path=dated, reply_at=said + timedelta(minutes=1)))
    [[thread], _] = ledger.threads()
    assert thread["started_at"].startswith("2025-05-05")
    assert thread["last_at"].startswith("2025-05-05")


def test_a_key_never_leads_into_a_thread_of_another_key(ledger: Ledger) -> None:
    told(ledger, "hello", reply="hi", thread_key="chat-1")
    told(ledger, "hello", reply="good day", thread_key="chat-2")
    assert ledger.counts()["threads"] == 2


def test_a_client_that_begins_to_send_a_key_goes_on_in_its_thread(ledger: Ledger) -> None:
    told(ledger, "hello", reply="hi")
    path = a_turn("hello", "hi", "more").path
    found = ledger.locate("default", thread_key="chat-7", chains=[one.chain for one in path], path=path)
    assert found is not None
    assert (found.thread_id, found.depth) == ("thr-1", 2)
