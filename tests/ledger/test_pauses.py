"""The promise: a pause outlives a restart, belongs to one scope, and what was said in it is known again by its hash."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ltmld.ledger import Ledger
from ltmld.ledger.pauses import Pauses
from ltmld.ledger.readers import Readers
from ltmld.ledger.writer import Writer
from tests.support.ledgers import EPOCH, MovedClock, a_ledger


@pytest.fixture
def again(tmp_path: Path, ledger: Ledger) -> Iterator[Ledger]:
    """Return the same ledger, opened a second time."""
    ledger.pauses.pause("me")
    ledger.pauses.aside("me", ["hash-1"], thread_id="thr-1").result()
    ledger.close()
    opened = a_ledger(tmp_path, clock=MovedClock())
    yield opened
    opened.close()


def test_a_scope_is_paused_until_it_is_resumed(ledger: Ledger, clock: MovedClock) -> None:
    assert ledger.pauses.since("me") is None
    ledger.pauses.pause("me")
    clock.move(hours=1)
    assert ledger.pauses.pause("me") == EPOCH
    assert (ledger.pauses.since("me"), ledger.pauses.all()) == (EPOCH, {"me": EPOCH})
    assert ledger.pauses.resume("me") == EPOCH
    assert (ledger.pauses.since("me"), ledger.pauses.resume("me")) == (None, None)


def test_another_scope_goes_on(ledger: Ledger) -> None:
    ledger.pauses.pause("me")
    assert ledger.pauses.since("you") is None


def test_a_pause_outlives_a_restart(again: Ledger) -> None:
    assert again.pauses.since("me") == EPOCH
    assert again.pauses.asides("me", ["hash-1", "hash-2"]) == {"hash-1": "thr-1"}


def test_a_resumed_scope_stays_resumed_after_a_restart(tmp_path: Path, again: Ledger) -> None:
    again.pauses.resume("me")
    again.close()
    third = a_ledger(tmp_path, clock=MovedClock())
    assert third.pauses.all() == {}
    third.close()


def test_what_was_said_aside_is_known_in_its_own_scope_only(ledger: Ledger) -> None:
    ledger.pauses.aside("me", ["hash-1"], thread_id="thr-1").result()
    assert ledger.pauses.asides("you", ["hash-1"]) == {}
    assert ledger.pauses.asides("me", ["hash-1"]) == {"hash-1": "thr-1"}


def test_at_the_limit_the_oldest_hashes_go(ledger: Ledger, clock: MovedClock) -> None:
    writer, readers = Writer(ledger.path, queue_max=8), Readers(ledger.path)
    pauses = Pauses(writer, readers, clock=clock, asides_max=3)
    for number in range(5):
        pauses.aside("me", [f"hash-{number}"], thread_id="thr-1").result()
    kept = pauses.asides("me", [f"hash-{number}" for number in range(5)])
    assert kept.keys() == {"hash-2", "hash-3", "hash-4"}
    writer.close()
    readers.close()
