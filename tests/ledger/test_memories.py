"""The promise: a memory always has sources and a history, and changes only as its life allows."""

from __future__ import annotations

from typing import Any

import pytest

from ltmld.core.memory import MemoryKind, MemoryState, Source
from ltmld.errors import BadInputError, NotFoundError, RefusedError
from ltmld.ledger import Ledger
from tests.support.ledgers import EPOCH, MovedClock, a_memory, a_turn


def remembered(ledger: Ledger, text: str = "Ada has a dog called Rex.", **settings: object) -> str:
    memory = a_memory(text, **settings)
    return ledger.remember(memory, said=f"Please remember: {text}", cause="user").id


def test_what_a_person_tells_is_a_message_first_and_a_memory_of_it_second(ledger: Ledger) -> None:
    memory_id = remembered(ledger)
    [source] = ledger.memory(memory_id).sources
    [message] = ledger.messages([source.message_id])
    assert (message.role, message.text) == ("user", "Please remember: Ada has a dog called Rex.")
    assert source.quote in message.text
    assert ledger.exchange(message.exchange_id)["dialect"] == "ltmld.remember"


def test_sleep_does_not_learn_a_second_time_what_was_remembered_by_hand(ledger: Ledger) -> None:
    remembered(ledger)
    assert ledger.ungathered("default") == []


def test_no_conversation_is_taken_for_a_continuation_of_what_was_remembered(ledger: Ledger) -> None:
    ledger.remember(a_memory("my dog is Rex"), said="my dog is Rex", cause="user")
    chains = [said.chain for said in a_turn("my dog is Rex").path]
    assert ledger.locate("default", thread_key="", chains=chains) is None


def test_the_same_words_can_be_remembered_twice(ledger: Ledger) -> None:
    remembered(ledger)
    remembered(ledger, id="mem-2")
    assert ledger.memory("mem-1").sources == ledger.memory("mem-2").sources


def test_sources_that_exist_are_kept_beside_what_was_said(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("my dog is Rex"))
    there = Source(message_id="msg-000001", quote="my dog is Rex")
    memory = a_memory(sources=(there, Source(message_id="msg-nowhere", quote="x")))
    kept = ledger.remember(memory, said="Ada has a dog called Rex.", cause="user")
    assert kept.sources[1:] == (there,)
    assert ledger.memory("mem-1") == kept


def test_every_change_is_a_version_with_before_after_cause_and_time(
    ledger: Ledger, clock: MovedClock
) -> None:
    remembered(ledger)
    clock.move(days=1)
    ledger.edit("mem-1", cause="user", text="Ada has two dogs.", importance=0.9)
    [birth, edit] = ledger.history("mem-1")
    assert (birth["before"], birth["after"]["text"], birth["version"]) == (
        None,
        "Ada has a dog called Rex.",
        1,
    )
    assert edit["before"] == {"text": "Ada has a dog called Rex.", "importance": 0.5}
    assert edit["after"] == {"text": "Ada has two dogs.", "importance": 0.9}
    assert (edit["version"], edit["cause"], edit["at"][:10]) == (2, "user", "2026-03-02")
    assert ledger.memory("mem-1").version == 2


def test_an_edit_that_changes_nothing_leaves_no_trace(ledger: Ledger) -> None:
    remembered(ledger)
    waiting = ledger.outbox_depth()
    assert ledger.edit("mem-1", cause="user", text="Ada has a dog called Rex.").version == 1
    assert len(ledger.history("mem-1")) == 1
    assert ledger.outbox_depth() == waiting


def test_states_change_only_along_their_transitions(ledger: Ledger, clock: MovedClock) -> None:
    remembered(ledger)
    clock.move(hours=1)
    faded = ledger.edit("mem-1", cause="test", state=MemoryState.FADED)
    assert faded.retired_at == clock.now
    with pytest.raises(RefusedError, match="is faded and cannot become disputed"):
        ledger.edit("mem-1", cause="test", state=MemoryState.DISPUTED)
    back = ledger.edit("mem-1", cause="test", state="active")
    assert (back.state, back.retired_at) == (MemoryState.ACTIVE, None)


def test_nothing_is_edited_away_and_nothing_comes_back_from_forgotten(ledger: Ledger) -> None:
    remembered(ledger)
    with pytest.raises(RefusedError, match="ltmld forget mem-1"):
        ledger.edit("mem-1", cause="user", state="forgotten")
    ledger.forget("mem-1", hard=False, cause="user")
    with pytest.raises(RefusedError, match="is forgotten, and stays so"):
        ledger.edit("mem-1", cause="user", state=MemoryState.ACTIVE)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 9},
        {"scope": "other"},
        {"colour": "red"},
        {"importance": 3.0},
        {"text": " "},
        {"sources": ()},
    ],
)
def test_an_edit_without_sense_changes_nothing(ledger: Ledger, change: dict[str, object]) -> None:
    remembered(ledger)
    with pytest.raises(ValueError):
        ledger.edit("mem-1", cause="user", **change)
    assert ledger.memory("mem-1").version == 1


def test_a_source_of_another_scope_is_refused(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("my secret", scope="bob"))
    remembered(ledger)
    foreign = (Source(message_id="msg-000001", quote="my secret"),)
    with pytest.raises(RefusedError, match="scope default has none such"):
        ledger.edit("mem-1", cause="user", sources=foreign)


def test_the_index_hears_of_what_it_can_see_and_of_nothing_else(ledger: Ledger) -> None:
    remembered(ledger)
    ledger.outbox_done(ledger.outbox(10)[-1].id)
    ledger.edit("mem-1", cause="test", strength=0.4, pinned=True, frequency=3)
    assert ledger.outbox(10) == []
    ledger.edit("mem-1", cause="test", text="Ada has two dogs.")
    ledger.edit("mem-1", cause="test", state=MemoryState.SUPERSEDED)
    assert [row.op for row in ledger.outbox(10)] == ["upsert", "delete"]


def test_use_is_noted_without_a_version(ledger: Ledger, clock: MovedClock) -> None:
    remembered(ledger)
    clock.move(hours=5)
    ledger.used(["mem-1", "mem-unknown"])
    memory = ledger.memory("mem-1")
    assert (memory.used_at, memory.version) == (clock.now, 1)


def test_the_beginning_of_an_id_is_enough_when_it_is_the_only_one(ledger: Ledger) -> None:
    remembered(ledger, id="mem-ab1")
    remembered(ledger, id="mem-ab")
    remembered(ledger, id="mem-cd")
    assert ledger.memory("mem-c").id == "mem-cd"
    assert ledger.memory("mem-ab").id == "mem-ab"
    for unclear in ("mem-", "mem-x", "", "%"):
        with pytest.raises(NotFoundError):
            ledger.memory(unclear)


def test_a_memory_reads_back_as_it_was_written(ledger: Ledger) -> None:
    memory = a_memory(
        kind=MemoryKind.EVENT,
        subject="Ada",
        attribute="pet",
        importance=0.25,
        confidence=1.0,
        cues=("What is Ada's dog called?", "Who is Rex?"),
        when="last May",
        valid_from=EPOCH,
        pinned=True,
    )
    assert ledger.memories_by_id([ledger.remember(memory, said="x", cause="user").id, "mem-9"]) == [
        ledger.memory("mem-1")
    ]
    kept = ledger.memory("mem-1")
    assert (kept.kind, kept.cues, kept.when, kept.valid_from, kept.pinned) == (
        memory.kind,
        memory.cues,
        memory.when,
        memory.valid_from,
        True,
    )


def test_pages_follow_each_other_without_gap_or_repetition(ledger: Ledger, clock: MovedClock) -> None:
    for number in range(7):
        remembered(ledger, f"Fact {number}.", id=f"mem-{number}", recorded_at=clock.now)
        clock.move(minutes=number % 2)
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        page, cursor = ledger.memories(limit=2, cursor=cursor)
        seen += [memory.id for memory in page]
    assert seen == [f"mem-{number}" for number in reversed(range(7))]
    assert cursor == ""


def test_memories_are_found_by_words_kind_state_and_scope(ledger: Ledger) -> None:
    remembered(ledger, "Ada has a dog called Rex.", id="mem-1", cues=("Who is Rex?",))
    remembered(ledger, "Ada likes 100% cocoa.", id="mem-2", kind=MemoryKind.PREFERENCE)
    remembered(ledger, "Bob has a dog.", id="mem-3", scope="bob")
    ledger.edit("mem-3", cause="test", state=MemoryState.FADED)

    def found(**query: Any) -> set[str]:
        return {memory.id for memory in ledger.memories(**query)[0]}

    assert found(text="DOG has") == {"mem-1", "mem-3"}
    assert found(text="who is") == {"mem-1"}
    assert found(text="100%") == {"mem-2"}
    assert found(kind="preference") == {"mem-2"}
    assert found(state="faded") == {"mem-3"}
    assert found(scope="default") == {"mem-1", "mem-2"}
    assert [memory.id for memory in ledger.all_memories("bob")] == []


def test_a_cursor_that_is_none_is_refused(ledger: Ledger) -> None:
    with pytest.raises(BadInputError, match="is no cursor"):
        ledger.memories(cursor="nonsense")
