"""The promise: clients resend everything, and each message is in the ledger exactly once, at its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ltmld.core.chain import chain
from ltmld.core.exchange import Outcome, PathMessage, Reply, Usage
from ltmld.core.message import Attachment, Message, Role, ToolCall
from ltmld.errors import NotFoundError
from ltmld.ledger import Ledger
from tests.support.ledgers import EPOCH, a_path, a_turn


def texts(ledger: Ledger, thread_id: str = "thr-1") -> list[str]:
    return [message.text for message in ledger.thread_messages(thread_id)]


def test_a_resent_history_is_recorded_once(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    ledger.record_turn(a_turn("hello", "hi", "I have a dog", reply="lovely"))
    recorded = ledger.record_turn(
        a_turn("hello", "hi", "I have a dog", "lovely", "called Rex", reply="good name")
    )
    assert texts(ledger) == ["hello", "hi", "I have a dog", "lovely", "called Rex", "good name"]
    assert [message.text for message in ledger.messages(recorded.new_message_ids)] == [
        "called Rex",
        "good name",
    ]


def test_each_message_knows_the_one_before_it(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    ledger.record_turn(a_turn("hello", "hi", "I have a dog", reply="lovely"))
    messages = ledger.thread_messages("thr-1")
    assert [message.ordinal for message in messages] == [0, 1, 2, 3]
    assert [message.parent_id for message in messages] == [None, *(message.id for message in messages[:-1])]


def test_the_same_exchange_twice_is_one_exchange(ledger: Ledger) -> None:
    turn = a_turn("hello", reply="hi")
    assert ledger.record_turn(turn) == ledger.record_turn(turn)
    assert ledger.counts() == {**ledger.counts(), "exchanges": 1, "messages": 2, "threads": 1}


def test_an_identical_retry_adds_an_exchange_and_no_message(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi", exchange="exc-1"))
    recorded = ledger.record_turn(a_turn("hello", reply="hi", exchange="exc-2"))
    assert recorded.new_message_ids == ()
    assert ledger.counts()["exchanges"] == 2
    assert texts(ledger) == ["hello", "hi"]


def test_a_regenerated_reply_takes_the_place_of_the_one_before(ledger: Ledger) -> None:
    first = ledger.record_turn(a_turn("hello", reply="hi"))
    second = ledger.record_turn(a_turn("hello", reply="good day"))
    assert texts(ledger) == ["hello", "good day"]
    rows = [(row.entity_id, row.op) for row in ledger.outbox(10)]
    assert rows[-2:] == [(second.reply_message_id, "upsert"), (first.reply_message_id, "delete")]
    assert [message.text for message in ledger.ungathered("default")] == ["hello", "good day"]


def test_a_retracted_reply_counts_again_when_the_client_goes_on_from_it(ledger: Ledger) -> None:
    first = ledger.record_turn(a_turn("hello", reply="hi"))
    ledger.record_turn(a_turn("hello", reply="good day"))
    ledger.record_turn(a_turn("hello", "hi", "how are you", reply="well"))
    assert texts(ledger) == ["hello", "hi", "how are you", "well"]
    assert (first.reply_message_id, "upsert") in [(row.entity_id, row.op) for row in ledger.outbox(20)][4:]


def test_a_reply_that_was_talked_on_from_stays_when_another_is_made(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    ledger.record_turn(a_turn("hello", "hi", "how are you", reply="well"))
    ledger.record_turn(a_turn("hello", reply="good day"))
    assert set(texts(ledger)) == {"hello", "hi", "good day", "how are you", "well"}


def test_an_edited_message_is_a_branch_and_the_old_tail_no_longer_counts(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    old = ledger.record_turn(a_turn("hello", "hi", "I have a dog", reply="lovely"))
    ledger.record_turn(a_turn("hello", "hi", "I have a cat", reply="sweet"))
    messages = {message.text: message for message in ledger.thread_messages("thr-1")}
    assert list(messages) == ["hello", "hi", "I have a cat", "sweet"]
    assert ledger.messages(old.new_message_ids)[0].parent_id == messages["hi"].id
    assert messages["I have a cat"].parent_id == messages["hi"].id
    assert ledger.counts()["threads"] == 1


def test_what_the_user_said_stays_even_when_it_was_edited_before_an_answer(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("I have a dog", outcome=Outcome.CUT_SHORT))
    ledger.record_turn(a_turn("I have two dogs", reply="lovely"))
    assert texts(ledger) == ["I have a dog", "I have two dogs", "lovely"]


def test_an_abort_keeps_what_the_user_said_and_marks_the_exchange(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi th", exchange="exc-1", outcome=Outcome.CUT_SHORT))
    assert texts(ledger) == ["hello", "hi th"]
    assert ledger.exchange("exc-1")["outcome"] == "cut_short"


def test_a_retry_after_an_abort_retracts_the_partial_reply(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi th", outcome=Outcome.CUT_SHORT))
    ledger.record_turn(a_turn("hello", reply="hi there"))
    assert texts(ledger) == ["hello", "hi there"]


def test_a_partial_reply_that_comes_late_does_not_replace_the_complete_one(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi there"))
    ledger.record_turn(a_turn("hello", reply="hi th", outcome=Outcome.CUT_SHORT))
    assert texts(ledger) == ["hello", "hi there"]


def test_the_openings_of_other_conversations_are_no_rivals(ledger: Ledger) -> None:
    for number in (1, 2):
        ledger.record_turn(a_turn(reply=f"Welcome, guest {number}!", thread_id=f"thr-{number}"))
    assert [texts(ledger, f"thr-{number}") for number in (1, 2)] == [
        ["Welcome, guest 1!"],
        ["Welcome, guest 2!"],
    ]


def test_a_reply_that_the_client_edited_retracts_what_was_said_here(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi there, friend"))
    ledger.record_turn(a_turn("hello", "hi there", "I have a dog", reply="lovely"))
    assert texts(ledger) == ["hello", "hi there", "I have a dog", "lovely"]


@pytest.mark.parametrize("outcome", [Outcome.CUT_SHORT, Outcome.FAILED])
def test_no_reply_is_no_message_and_the_user_is_recorded(ledger: Ledger, outcome: Outcome) -> None:
    recorded = ledger.record_turn(a_turn("hello", reply=" \n", outcome=outcome))
    assert recorded.reply_message_id is None
    assert texts(ledger) == ["hello"]


def test_a_tool_loop_is_one_run_and_only_speech_is_gathered(ledger: Ledger) -> None:
    call = Reply(tool_calls=(ToolCall(name="weather", arguments='{"city":"Bern"}', id="call_1"),))
    ask = a_turn("rain today?", exchange="exc-1")
    ledger.record_turn(replace(ask, reply=call))
    ledger.record_turn(a_turn("rain today?", "", "tool: 12 mm", reply="Yes, take a coat."))
    assert texts(ledger) == ["rain today?", "", "tool: 12 mm", "Yes, take a coat."]
    assert [message.text for message in ledger.ungathered("default")] == ["rain today?", "Yes, take a coat."]
    assert [row.entity_id for row in ledger.outbox(10)] == ["msg-000001", "msg-000004"]
    [_, called] = ledger.exchange("exc-1")["messages"]
    assert called["tool_calls"] == [{"id": "call_1", "name": "weather", "arguments": '{"city":"Bern"}'}]


def test_a_known_key_decides_over_the_thread_id(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi", thread_key="chat-7"))
    recorded = ledger.record_turn(
        a_turn("hello", "hi", "more", reply="ok", thread_key="chat-7", thread_id="thr-2")
    )
    assert recorded.thread_id == "thr-1"
    assert len(texts(ledger)) == 4


def test_a_thread_takes_the_key_that_its_client_begins_to_send(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    ledger.record_turn(a_turn("hello", "hi", "more", reply="ok", thread_key="chat-7"))
    placement = ledger.locate("default", thread_key="chat-7", chains=[])
    assert placement is not None
    assert placement.thread_id == "thr-1"


def test_a_thread_never_crosses_into_another_scope(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi", scope="ada"))
    with pytest.raises(ValueError, match="is of scope ada, not bob"):
        ledger.record_turn(a_turn("hello", reply="hi", scope="bob", exchange="exc-2"))
    assert ledger.counts("bob")["messages"] == 0


def test_names_times_and_refs_are_kept(ledger: Ledger) -> None:
    at = EPOCH - timedelta(days=900)
    user = PathMessage(
        message=Message(role=Role.USER, text="hello", name="Ada"),
        chain=a_path("hello")[0].chain,
        at=at,
        ref="D1:1",
    )
    turn = a_turn(
        path=(user,), reply="hi", reply_name="Bo", reply_ref="D1:2", reply_at=at + timedelta(minutes=1)
    )
    ledger.record_turn(turn)
    seen = [(m.speaker, m.at, m.ref) for m in ledger.thread_messages("thr-1")]
    assert seen == [("Ada", at, "D1:1"), ("Bo", at + timedelta(minutes=1), "D1:2")]


def test_without_names_and_times_the_role_and_the_exchange_speak(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    seen = [(m.speaker, m.at) for m in ledger.thread_messages("thr-1")]
    assert seen == [("user", EPOCH), ("assistant", EPOCH + timedelta(seconds=2))]


def test_an_exchange_shows_what_it_asked_and_what_came(ledger: Ledger) -> None:
    usage = Usage(prompt_tokens=9, reply_tokens=2, prompt_ms=1.5)
    turn = a_turn("hello", reply="hi", exchange="exc-1")
    ledger.record_turn(
        replace(turn, reply=replace(turn.reply, usage=usage, thinking="a greeting", done_reason="stop"))
    )
    shown = ledger.exchange("exc-1")
    assert [message["text"] for message in shown["messages"]] == ["hello", "hi"]
    assert (shown["prompt_tokens"], shown["thinking"], shown["model"]) == (9, "a greeting", "stand-in:latest")
    with pytest.raises(NotFoundError, match="no exchange exc-9"):
        ledger.exchange("exc-9")


def test_a_regenerating_exchange_shows_the_message_it_answered(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    ledger.record_turn(a_turn("hello", reply="good day", exchange="exc-2"))
    assert [message["text"] for message in ledger.exchange("exc-2")["messages"]] == ["hello", "good day"]


def test_a_long_text_comes_back_whole_and_lies_compressed(ledger: Ledger) -> None:
    log = "2026-03-01 something went wrong, again. " * 5_000
    ledger.record_turn(a_turn(log, reply="ouch"))
    assert texts(ledger) == [log, "ouch"]
    with ledger._readers.snapshot() as connection:
        stored = connection.execute("SELECT length(text) AS bytes FROM messages ORDER BY ordinal").fetchone()
    assert stored["bytes"] < len(log) / 10


def test_an_image_is_kept_as_its_digest(ledger: Ledger) -> None:
    image = Attachment(media="image/png", sha256="ab" * 32, size_bytes=12_000_000)
    [said] = a_path("what is this?")
    ledger.record_turn(
        a_turn(path=(replace(said, message=replace(said.message, attachments=(image,))),), exchange="exc-1")
    )
    [shown] = ledger.exchange("exc-1")["messages"]
    assert shown["attachments"] == [{"media": "image/png", "sha256": "ab" * 32, "size_bytes": 12_000_000}]


def test_half_a_character_is_recorded_as_a_question_mark(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("nice \ud83d dog", reply="\udc15", client="\ud83d"))
    assert texts(ledger) == ["nice ? dog", "?"]


def test_the_generate_context_leads_back_to_the_reply(ledger: Ledger) -> None:
    turn = a_turn("hello", reply="hi")
    ledger.record_turn(replace(turn, reply=replace(turn.reply, context_sha256="c1")))
    placement = ledger.locate_context("default", context_sha256="c1")
    assert placement is not None
    assert [message.text for message in ledger.messages(placement.message_ids)] == ["hello", "hi"]
    assert ledger.locate_context("other", context_sha256="c1") is None
    assert ledger.locate_context("default", context_sha256="") is None


def test_neighbors_follow_the_branch_that_counts(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    ledger.record_turn(a_turn("hello", reply="good day"))
    [hello, good_day] = ledger.thread_messages("thr-1")
    assert ledger.neighbors([hello.id, good_day.id]) == {
        hello.id: (None, good_day),
        good_day.id: (hello, None),
    }


def test_a_retracted_reply_is_nobodys_neighbor(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi there"))
    ledger.record_turn(a_turn("hello", reply="hi th", outcome=Outcome.CUT_SHORT))
    [hello, hi_there] = ledger.thread_messages("thr-1")
    assert ledger.neighbors([hello.id])[hello.id] == (None, hi_there)


def test_the_chain_of_a_reply_is_what_its_resent_form_is_found_by(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    [hello] = a_path("hello")
    placement = ledger.locate(
        "default", thread_key="", chains=[hello.chain, chain(hello.chain, "assistant", "hi")]
    )
    assert placement is not None
    assert placement.depth == 2
