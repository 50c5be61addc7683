"""The promise: what was injected is replayed byte for byte wherever it stood, and each exchange shows its own."""

from __future__ import annotations

from dataclasses import replace

from ltmld.core.injection import InjectedItem, Injection, InjectionKind
from ltmld.ledger import Ledger
from tests.support.ledgers import EPOCH, a_path, a_turn

BLOCK = "Notes:\n- [2023-05-08] Ada: my  dog is Rex \u2013 \U0001f415\n"


def an_injection(identity: str, chain: str, *, text: str = BLOCK, kind: str = "wake_block") -> Injection:
    item = InjectedItem(id="mem-1", kind="memory", text="my dog is Rex", score=0.75, why="asked for")
    return Injection(
        id=identity,
        kind=InjectionKind(kind),
        thread_id="thr-1",
        chain=chain,
        text=text,
        tokens=12,
        created_at=EPOCH,
        items=(item,),
    )


def test_an_injection_comes_back_as_it_was(ledger: Ledger) -> None:
    turn = a_turn("hello", reply="hi")
    stored = an_injection("inj-1", turn.path[0].chain)
    ledger.record_turn(replace(turn, injections=(stored,)))
    assert ledger.injections("thr-1", [turn.path[0].chain]) == [stored]
    assert ledger.injections("thr-2", [turn.path[0].chain]) == []
    assert ledger.injections("thr-1", []) == []


def test_injections_come_in_the_order_of_the_path(ledger: Ledger) -> None:
    path = a_path("hello", "hi", "my dog?")
    block = an_injection("inj-1", path[0].chain)
    note = an_injection("inj-2", path[2].chain, kind="recall_note")
    ledger.record_turn(a_turn("hello", "hi", "my dog?", reply="Rex", injections=(note, block)))
    assert ledger.injections("thr-1", [one.chain for one in path]) == [block, note]


def test_of_two_blocks_that_raced_the_first_is_replayed_and_both_are_shown(ledger: Ledger) -> None:
    turn = a_turn("hello", reply="hi", exchange="exc-1")
    first, second = (an_injection(name, turn.path[0].chain, text=name) for name in ("inj-1", "inj-2"))
    ledger.record_turn(replace(turn, injections=(first,)))
    ledger.record_turn(replace(turn, exchange_id="exc-2", injections=(second,)))
    assert ledger.injections("thr-1", [turn.path[0].chain]) == [first]
    assert [one["text"] for one in ledger.exchange("exc-2")["injections"]] == ["inj-2"]


def test_a_replayed_injection_is_stored_once_and_shown_in_every_exchange_it_stood_in(ledger: Ledger) -> None:
    turn = a_turn("hello", reply="hi", exchange="exc-1")
    block = an_injection("inj-1", turn.path[0].chain)
    ledger.record_turn(replace(turn, injections=(block,)))
    ledger.record_turn(a_turn("hello", "hi", "more", exchange="exc-2", injections=(block,)))
    [shown] = ledger.exchange("exc-2")["injections"]
    assert (shown["id"], shown["exchange_id"], shown["items"][0]["why"]) == ("inj-1", "exc-1", "asked for")


def test_an_injection_belongs_to_the_thread_that_the_turn_came_to(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi", thread_key="chat-7"))
    turn = a_turn("hello", "hi", "more", thread_key="chat-7", thread_id="thr-other")
    ledger.record_turn(replace(turn, injections=(an_injection("inj-1", turn.path[2].chain),)))
    assert [one.id for one in ledger.injections("thr-1", [turn.path[2].chain])] == ["inj-1"]
