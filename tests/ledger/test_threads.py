"""The promise: a conversation is found again by its key or its words, in its own scope, and no other is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltmld.core.exchange import Placement
from ltmld.errors import BadInputError
from ltmld.ledger import Ledger
from tests.support.ledgers import EPOCH, a_ledger, a_path, a_turn


def located(ledger: Ledger, *said: str, key: str = "", scope: str = "default") -> Placement | None:
    return ledger.locate(scope, thread_key=key, chains=[one.chain for one in a_path(*said)])


def test_a_conversation_is_found_as_deep_as_it_is_known(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    found = located(ledger, "hello", "hi", "I have a dog")
    assert found is not None
    assert (found.thread_id, found.depth) == ("thr-1", 2)
    assert [message.text for message in ledger.messages(found.message_ids)] == ["hello", "hi"]


def test_an_unknown_conversation_is_not_found(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    assert located(ledger, "good day") is None
    assert located(ledger) is None
    assert located(ledger, "hello", scope="bob") is None


def test_a_key_is_found_even_when_no_words_are_known(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi", thread_key="chat-7"))
    assert located(ledger, "something else", key="chat-7") == Placement(
        thread_id="thr-1", depth=0, message_ids=()
    )
    assert located(ledger, "hello", key="chat-8") is None
    assert located(ledger, "hello", key="chat-7", scope="bob") is None


def test_a_key_wins_over_the_same_words_elsewhere(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi", thread_key="chat-1", thread_id="thr-1"))
    ledger.record_turn(a_turn("hello", reply="hi", thread_key="chat-2", thread_id="thr-2", exchange="exc-2"))
    found = located(ledger, "hello", "hi", key="chat-1")
    assert found is not None
    assert found.thread_id == "thr-1"


def test_of_equally_deep_threads_the_latest_is_meant(ledger: Ledger) -> None:
    for number, hour in enumerate((10, 14, 12)):
        at = EPOCH.replace(hour=hour)
        ledger.record_turn(
            a_turn(
                "hello",
                reply="hi",
                exchange=f"exc-{number}",
                thread_id=f"thr-{number}",
                started_at=at,
                finished_at=at,
            )
        )
    found = located(ledger, "hello", "hi", "more")
    assert found is not None
    assert found.thread_id == "thr-1"


def test_a_deeper_match_wins_over_a_later_one(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", "hi", "more", reply="ok", thread_id="thr-deep"))
    late = EPOCH.replace(hour=20)
    ledger.record_turn(a_turn("hello", reply="hi", thread_id="thr-late", started_at=late, finished_at=late))
    found = located(ledger, "hello", "hi", "more", "ok", "and?")
    assert found is not None
    assert (found.thread_id, found.depth) == ("thr-deep", 4)


@settings(max_examples=12)
@given(known=st.integers(1, 200), more=st.integers(0, 200))
def test_the_depth_is_exact_however_long_the_conversation(
    tmp_path_factory: pytest.TempPathFactory, known: int, more: int
) -> None:
    said = [f"message {number}" for number in range(known + more)]
    ledger = a_ledger(tmp_path_factory.mktemp("ledger"))
    ledger.record_turn(a_turn(*said[:known]))
    found = located(ledger, *said)
    ledger.close()
    assert found is not None
    assert (found.depth, len(found.message_ids)) == (known, known)


def test_threads_are_listed_latest_first_with_a_title(ledger: Ledger) -> None:
    for number in range(5):
        at = EPOCH.replace(minute=number // 2)
        words = f"question {number} " + "and so on " * 20
        ledger.record_turn(
            a_turn(words, reply="hm", thread_id=f"thr-{number}", started_at=at, finished_at=at)
        )
    first, cursor = ledger.threads(limit=3)
    rest, end = ledger.threads(limit=3, cursor=cursor)
    assert [thread["id"] for thread in [*first, *rest]] == ["thr-4", "thr-3", "thr-2", "thr-1", "thr-0"]
    assert (len(first), end) == (3, "")
    assert first[0]["title"].startswith("question 4 and so on")
    assert len(first[0]["title"]) == 80
    assert first[0]["messages"] == 2
    assert ledger.threads(scope="bob") == ([], "")
    with pytest.raises(BadInputError):
        ledger.threads(cursor="~")
