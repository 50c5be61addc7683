"""Recording never keeps the client waiting for long, and calls an ending by its name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ltmld.core.exchange import Outcome
from ltmld.ledger import Ledger
from ltmld.wake.identity import Identity, path_of
from ltmld.wake.injector import Place
from ltmld.wake.recorder import ExchangeRecording, Opening, RecordingStats
from ltmld.wire.dialects import dialect_for
from tests.support.ledgers import CountedIds, MovedClock, a_ledger
from tests.wake.test_identity import a_request

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PIECE = b'{"model":"m","message":{"role":"assistant","content":"Hello."},"done":false}\n'
END = b'{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}\n'


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Open a ledger."""
    ledger = a_ledger(tmp_path)
    yield ledger
    ledger.close()


def a_recording(ledger: Ledger, *, deadline_s: float = 5.0) -> ExchangeRecording:
    """Begin recording a streamed chat."""
    dialect = dialect_for("POST", "/api/chat")
    assert dialect is not None
    request = a_request(("user", "Good morning."))
    place = Place(scope="default", thread_id="thr-1", thread_key="", path=path_of(request, Identity()))
    opening = Opening(
        exchange_id=CountedIds()("exc"),
        request=request,
        identity=Identity(),
        place=place,
        client="test",
        started_at=NOW,
        request_sha256="",
    )
    recording = ExchangeRecording(
        opening=opening,
        capture=dialect.capture(bytes_max=10_000),
        ledger=ledger,
        clock=MovedClock(NOW),
        stats=RecordingStats(),
        deadline_s=deadline_s,
    )
    recording.begin(status=200, content_type="application/x-ndjson")
    return recording


def recorded(ledger: Ledger) -> list[tuple[str, str]]:
    """Return outcome and error of every exchange."""
    with sqlite3.connect(ledger.path) as connection:
        rows = connection.execute("SELECT outcome, error FROM exchanges").fetchall()
    connection.close()
    return [(str(outcome), str(error)) for outcome, error in rows]


async def test_the_terminator_is_held_until_the_exchange_is_durable(ledger: Ledger) -> None:
    recording = a_recording(ledger)
    assert recording.feed(PIECE + END) == len(PIECE)
    assert recording.complete
    assert recorded(ledger) == []
    await recording.commit()
    assert recorded(ledger) == [(Outcome.COMPLETED, "")]
    await recording.close()
    assert len(recorded(ledger)) == 1


@pytest.mark.parametrize(
    ("error", "outcome"), [("", Outcome.CUT_SHORT), ("Ollama broke off", Outcome.FAILED)]
)
async def test_an_answer_without_its_end_is_recorded_as_what_it_is(
    ledger: Ledger, error: str, outcome: Outcome
) -> None:
    recording = a_recording(ledger)
    recording.feed(PIECE)
    await recording.close(error=error)
    assert recorded(ledger) == [(outcome, error)]
    assert next(message.text for message in ledger.thread_messages("thr-1")) == "Good morning."


@pytest.mark.parametrize(
    ("last", "outcome"), [(b"", Outcome.FAILED), (END.rstrip(b"\n"), Outcome.COMPLETED)], ids=["none", "bare"]
)
async def test_a_stream_that_ends_without_its_terminator_has_failed(
    ledger: Ledger, last: bytes, outcome: Outcome
) -> None:
    """Ollama's mid-stream failures on ``/v1`` are clean ends of a body that just stops."""
    recording = a_recording(ledger)
    recording.feed(PIECE + last)
    recording.body_ended()
    await recording.close()
    ((recorded_as, error),) = recorded(ledger)
    assert recorded_as == outcome
    assert (error == "") == (outcome is Outcome.COMPLETED)


async def test_a_stuck_ledger_does_not_keep_the_client_and_loses_nothing(ledger: Ledger) -> None:
    recording = a_recording(ledger, deadline_s=0.05)
    recording.feed(PIECE + END)
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await recording.commit()
    assert recording.stats.late == 1
    assert recorded(ledger) == []
    other.execute("ROLLBACK")
    other.close()
    ledger.record_turn(replace(recording._turn(Outcome.COMPLETED, error=""), exchange_id="exc-next"))
    assert len(recorded(ledger)) == 2


async def test_a_ledger_that_refuses_is_counted_and_said(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    recording = a_recording(ledger)
    recording.feed(PIECE + END)
    ledger.close()
    await recording.commit()
    await recording.close()
    assert recording.stats.unrecorded == 1
    assert recording.stats.last_error
