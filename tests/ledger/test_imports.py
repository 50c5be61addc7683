"""The promise: a conversation from elsewhere is laid down once, in order, and talk goes on from it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltmld.core.chain import chains
from ltmld.core.message import Message, Role
from ltmld.errors import BadInputError
from ltmld.ledger import ImportLine, Ledger
from tests.support.ledgers import EPOCH, a_ledger, a_line, a_turn

TALK = [
    a_line("Hey Bo!", minute=0, name="Ada", ref="D1:1"),
    a_line("Hey Ada, how is Rex?", minute=1, name="Bo", role="assistant", ref="D1:2"),
    a_line("Still a dog.", minute=2, name="Ada", ref="D1:3"),
]


def imported(ledger: Ledger, thread: str = "talk") -> list[str]:
    placement = ledger.locate("default", thread_key=thread, chains=[])
    assert placement is not None
    return [message.text for message in ledger.thread_messages(placement.thread_id)]


def test_a_conversation_keeps_its_order_speakers_times_and_refs(ledger: Ledger) -> None:
    assert ledger.import_messages([TALK[2], TALK[0], TALK[1]]) == (3, 0)
    messages = ledger.ungathered("default")
    assert [(one.speaker, one.role, one.ref) for one in messages] == [
        ("Ada", "user", "D1:1"),
        ("Bo", "assistant", "D1:2"),
        ("Ada", "user", "D1:3"),
    ]
    assert [one.at for one in messages] == [line.at for line in TALK]
    assert [one.parent_id for one in messages] == [None, messages[0].id, messages[1].id]
    assert [row.entity_id for row in ledger.outbox(9)] == [one.id for one in messages]


def test_importing_twice_imports_once(ledger: Ledger) -> None:
    ledger.import_messages(TALK)
    assert ledger.import_messages(TALK) == (0, 3)
    assert ledger.counts()["exchanges"] == 1


def test_a_known_ref_is_skipped_whatever_it_says(ledger: Ledger) -> None:
    ledger.import_messages(TALK)
    assert ledger.import_messages([a_line("Something else", minute=9, ref="D1:2")]) == (0, 1)


def test_without_refs_the_same_words_at_the_same_time_are_the_same_message(ledger: Ledger) -> None:
    line = a_line("yes", minute=1)
    assert ledger.import_messages([line, line]) == (1, 1)
    assert ledger.import_messages([line, a_line("yes ", minute=1), a_line("yes", minute=2)]) == (1, 2)
    assert ledger.import_messages([a_line("yes", minute=1, role="assistant")]) == (1, 0)


def test_the_same_ref_in_another_thread_or_scope_is_another_message(ledger: Ledger) -> None:
    ledger.import_messages(TALK)
    elsewhere = [a_line("Hey Bo!", ref="D1:1", thread="other"), a_line("Hey Bo!", ref="D1:1", scope="bob")]
    assert ledger.import_messages(elsewhere) == (2, 0)


def test_lines_without_a_thread_are_one_conversation_of_their_own(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("a talk without a key"))
    lines = [a_line("one", thread="", minute=1), a_line("two", thread="", minute=2)]
    assert ledger.import_messages(lines) == (2, 0)
    assert ledger.import_messages(lines) == (0, 2)
    assert len(ledger.thread_messages("thr-1")) == 1


def test_empty_lines_are_skipped(ledger: Ledger) -> None:
    assert ledger.import_messages([a_line(" \n")]) == (0, 1)
    assert ledger.import_messages([]) == (0, 0)
    assert ledger.counts()["threads"] == 0


def test_a_line_that_nobody_spoke_is_refused() -> None:
    with pytest.raises(BadInputError, match="user or assistant"):
        a_line("be nice", role="system")


def test_later_lines_go_on_after_the_earlier_ones(ledger: Ledger) -> None:
    ledger.import_messages(TALK[:2])
    assert ledger.import_messages(TALK) == (1, 2)
    assert imported(ledger) == [line.text for line in TALK]


def test_talk_goes_on_from_an_imported_conversation(ledger: Ledger) -> None:
    ledger.import_messages(TALK)
    history = chains([Message(role=Role(line.role), text=line.text) for line in TALK])
    placement = ledger.locate("default", thread_key="", chains=history)
    assert placement is not None
    assert placement.depth == 3
    words = [line.text for line in TALK]
    ledger.record_turn(a_turn(*words, reply="Good boy.", thread_id=placement.thread_id))
    assert imported(ledger) == [*words, "Good boy."]


@settings(max_examples=15)
@given(st.data())
def test_any_pieces_in_any_order_come_to_the_same_messages(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines = [a_line(f"line {number}", minute=number % 5, ref=f"r{number}") for number in range(8)]
    ledger = a_ledger(tmp_path_factory.mktemp("ledger"))
    for piece in data.draw(st.lists(st.lists(st.sampled_from(lines), max_size=6), max_size=4)):
        ledger.import_messages(piece)
    ledger.import_messages(data.draw(st.permutations(lines)))
    assert sorted(imported(ledger)) == [line.text for line in lines]
    assert ledger.integrity() == []
    ledger.close()


def test_ten_thousand_lines_take_seconds(ledger: Ledger) -> None:
    lines = [
        ImportLine(scope="default", thread=f"t{number % 20}", at=EPOCH, role="user", text=f"line {number}")
        for number in range(10_000)
    ]
    started = time.perf_counter()
    assert ledger.import_messages(lines) == (10_000, 0)
    # About half a second here; the bound only catches quadratic work.
    assert time.perf_counter() - started < 20
