"""The promise: the ledger can say what it holds, and notices when it does not hold together."""

from __future__ import annotations

from ltmld.core.memory import MemoryState
from ltmld.ledger import Ledger
from tests.support.ledgers import a_line, a_memory, a_turn


def test_counts_are_per_scope_and_memories_per_state(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    ledger.record_turn(a_turn("hello", reply="hi", scope="bob", thread_id="thr-2", exchange="exc-2"))
    ledger.remember(a_memory(), said="x", cause="user")
    ledger.edit("mem-1", cause="test", state=MemoryState.FADED)
    assert ledger.counts() == {
        "exchanges": 3,
        "messages": 5,
        "threads": 3,
        "memories": 1,
        "memories_active": 0,
        "memories_faded": 1,
        "memories_superseded": 0,
        "memories_disputed": 0,
        "memories_forgotten": 0,
    }
    assert (ledger.counts("bob")["messages"], ledger.counts("bob")["memories"]) == (2, 0)
    assert ledger.scopes() == ["bob", "default"]


def test_an_empty_ledger_is_empty_and_well(ledger: Ledger) -> None:
    assert set(ledger.counts().values()) == {0}
    assert (ledger.scopes(), ledger.last_model(), ledger.integrity()) == ([], "", [])


def test_the_last_model_is_the_one_talked_to_last(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", model="small"))
    ledger.record_turn(a_turn("hello again", model="large", thread_id="thr-2"))
    ledger.import_messages([a_line("elsewhere")])
    assert ledger.last_model() == "large"


def run(ledger: Ledger, statement: str) -> None:
    ledger._writer.run(lambda connection: connection.execute(statement))


def test_what_does_not_hold_together_is_named(ledger: Ledger) -> None:
    ledger.remember(a_memory(), said="x", cause="user")
    ledger._writer.run(lambda connection: connection.execute("PRAGMA foreign_keys = OFF"), alone=True)
    for statement in (
        "DELETE FROM sources",
        "INSERT INTO outbox (scope, kind, entity_id, op) VALUES ('default', 'message', 'msg-gone', 'upsert')",
        "INSERT INTO retractions (message_id, exchange_id, at) VALUES ('msg-gone', 'exc-gone', 'now')",
    ):
        run(ledger, statement)
    problems = "\n".join(ledger.integrity())
    assert "memory mem-1 has no sources" in problems
    assert "names message msg-gone, which is not there" in problems
    assert "of retractions names a row of" in problems
