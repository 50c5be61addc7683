"""The promise: whatever changes reaches the index, in order, and nothing is forgotten on the way."""

from __future__ import annotations

from ltmld.core.memory import MemoryState
from ltmld.ledger import Ledger, OutboxRow
from tests.support.ledgers import a_memory, a_turn


def test_every_message_leaves_a_row_in_order(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    rows = ledger.outbox(10)
    assert rows == [
        OutboxRow(id=1, scope="default", kind="message", entity_id="msg-000001", op="upsert"),
        OutboxRow(id=2, scope="default", kind="message", entity_id="msg-000002", op="upsert"),
    ]
    assert ledger.outbox(1) == rows[:1]
    assert ledger.outbox_depth() == 2


def test_done_removes_what_was_taken_and_nothing_that_came_later(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    taken = ledger.outbox(10)[-1].id
    ledger.record_turn(a_turn("hello", "hi", "more", reply="ok"))
    ledger.outbox_done(taken)
    assert [row.entity_id for row in ledger.outbox(10)] == ["msg-000003", "msg-000004"]


def test_row_ids_are_never_used_twice(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    ledger.outbox_done(2)
    ledger.record_turn(a_turn("hello", "hi", "more"))
    assert [row.id for row in ledger.outbox(10)] == [3]


def test_a_refill_asks_for_everything_that_can_be_recalled(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    ledger.record_turn(a_turn("hello", reply="good day"))
    ledger.record_turn(a_turn("hello", "good day", "tool: 12 mm", thread_id="thr-1"))
    for name in ("mem-1", "mem-2", "mem-3"):
        ledger.remember(a_memory(f"Fact {name}.", id=name), said=f"Fact {name}.", cause="user")
    ledger.edit("mem-2", cause="test", state=MemoryState.FADED)
    ledger.edit("mem-3", cause="test", state=MemoryState.DISPUTED)
    ledger.outbox_done(ledger.outbox(50)[-1].id)
    depth = ledger.outbox_refill()
    rows = ledger.outbox(50)
    assert depth == len(rows)
    said = [
        message.text for message in ledger.messages([row.entity_id for row in rows if row.kind == "message"])
    ]
    assert said == ["hello", "good day", "Fact mem-1.", "Fact mem-2.", "Fact mem-3."]
    assert [row.entity_id for row in rows if row.kind == "memory"] == ["mem-1", "mem-3"]


def test_a_refill_keeps_the_deletions_that_waited(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    old = ledger.record_turn(a_turn("hello", reply="good day"))
    assert old.reply_message_id is not None
    ledger.outbox_refill()
    rows = [(row.entity_id, row.op) for row in ledger.outbox(10)]
    assert rows == [("msg-000002", "delete"), ("msg-000001", "upsert"), ("msg-000003", "upsert")]
