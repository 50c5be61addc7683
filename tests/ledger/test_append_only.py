"""The promise: what was said is never altered or removed, not even by a mistake in ltmld itself."""

from __future__ import annotations

import pytest

from ltmld.errors import LedgerError
from ltmld.ledger import Ledger
from tests.support.ledgers import a_turn

FORBIDDEN = [
    "UPDATE messages SET text = 'something else'",
    "UPDATE messages SET text = ''",
    "UPDATE messages SET parent_id = NULL, ordinal = 7",
    "DELETE FROM messages",
    "UPDATE exchanges SET model = 'another'",
    "DELETE FROM exchanges",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_tables_of_what_was_said_refuse(ledger: Ledger, statement: str) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    with pytest.raises(LedgerError, match="append-only"):
        ledger._writer.run(lambda connection: connection.execute(statement))
    assert [message.text for message in ledger.thread_messages("thr-1")] == ["hello", "hi"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE messages SET text = 'something else' WHERE ordinal = 0",
        "UPDATE messages SET text = '', speaker = 'Bob' WHERE ordinal = 0",
        "UPDATE messages SET text = '', at = '1970' WHERE ordinal = 0",
        "UPDATE messages SET text = '' WHERE ordinal = 1",
    ],
)
def test_even_an_erasure_can_only_blank(ledger: Ledger, change: str) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    ledger._writer.run(
        lambda connection: connection.execute(
            "INSERT INTO erasures (message_id, cause, at) VALUES ('msg-000001', 'test', 'now')"
        )
    )
    with pytest.raises(LedgerError, match="append-only"):
        ledger._writer.run(lambda connection: connection.execute(change))


def test_the_same_place_and_words_cannot_be_recorded_twice(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    copy = """
        INSERT INTO messages (
            id, scope, thread_id, exchange_id, parent_id, ordinal, chain, role, speaker, text, attachments,
            tool_calls, tool_call_id, at, ref
        )
        SELECT 'msg-x', scope, thread_id, exchange_id, parent_id, ordinal, chain, role, speaker, text,
            attachments, tool_calls, tool_call_id, at, ref
        FROM messages WHERE ordinal = 0
    """
    with pytest.raises(LedgerError, match="UNIQUE"):
        ledger._writer.run(lambda connection: connection.execute(copy))
