"""The promise: what a future promised is on disk, a job that fails fails alone, and trouble is said plainly."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlite_utils

from ltmld.core.exchange import Recorded, Reply, Usage
from ltmld.errors import LedgerBusyError, LedgerError, RefusedError
from ltmld.ledger import Ledger
from ltmld.ledger.writer import GROUP_MAX, Writer
from tests.support.ledgers import a_ledger, a_turn

Work = Callable[[sqlite3.Connection], object]


@contextmanager
def held(ledger: Ledger) -> Iterator[None]:
    """Keep the writer busy with one job, so that what is submitted meanwhile becomes one group."""
    begun, go = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        begun.set()
        assert go.wait(10)

    future = ledger._writer.submit(wait)
    assert begun.wait(10)
    try:
        yield
    finally:
        go.set()
        future.result(10)


def commits_from_here(ledger: Ledger) -> list[str]:
    """Return the list that every COMMIT of the writer is noted in from now on."""
    seen: list[str] = []
    ledger._writer._connection.set_trace_callback(
        lambda text: seen.append(text) if text == "COMMIT" else None
    )
    return seen


def test_what_is_queued_together_is_committed_together(ledger: Ledger) -> None:
    with held(ledger):
        seen = commits_from_here(ledger)
        futures = [ledger.submit_turn(a_turn(f"message {number}")) for number in range(20)]
    for future in futures:
        future.result(10)
    assert len(seen) <= 2
    assert ledger.counts()["exchanges"] == 20


def test_a_group_is_bounded(ledger: Ledger) -> None:
    with held(ledger):
        seen = commits_from_here(ledger)
        futures = [ledger.submit_turn(a_turn(f"message {number}")) for number in range(GROUP_MAX + 5)]
    for future in futures:
        future.result(10)
    # The held job, the full group, the rest.
    assert len(seen) == 3


def test_a_job_that_fails_fails_alone(ledger: Ledger) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO tombstones (scope, sha256, memory_id, at) VALUES ('s', 'x', 'm', 'now')"
        )
        raise RefusedError("no")

    with held(ledger):
        before, failed, after = (
            ledger.submit_turn(a_turn("one")),
            ledger._writer.submit(fail),
            ledger.submit_turn(a_turn("two", thread_id="thr-2")),
        )
    assert before.result(10).new_message_ids
    assert after.result(10).new_message_ids
    with pytest.raises(RefusedError, match="no"):
        failed.result(10)
    with ledger._readers.snapshot() as connection:
        assert connection.execute("SELECT count(*) FROM tombstones").fetchone()[0] == 0


def test_what_sqlite_utils_writes_in_a_job_is_undone_with_the_job(ledger: Ledger) -> None:
    """Before version 4 it committed by itself, in the middle of whatever was under way."""

    def insert_and_fail(connection: sqlite3.Connection) -> None:
        row = {"scope": "s", "sha256": "x", "memory_id": "m", "at": "now"}
        sqlite_utils.Database(connection).table("tombstones").insert(row)
        sqlite_utils.Database(connection).table("tombstones").upsert(row, pk=("scope", "sha256"))
        raise RefusedError("no")

    with pytest.raises(RefusedError):
        ledger._writer.run(insert_and_fail)
    with ledger._readers.snapshot() as connection:
        assert connection.execute("SELECT count(*) FROM tombstones").fetchone()[0] == 0


def test_even_a_programmers_mistake_reaches_its_caller_and_leaves_the_writer_alive(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError):
        ledger._writer.run(lambda _: 1 // 0)
    assert ledger.record_turn(a_turn("hello")).new_message_ids


def test_a_full_queue_refuses_at_once_and_says_so(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, queue_max=2)
    with held(ledger):
        taken = [ledger.submit_turn(a_turn(f"message {number}")) for number in range(2)]
        with pytest.raises(LedgerBusyError, match=r"2 writes are waiting already.*ltmld status"):
            ledger.submit_turn(a_turn("one too many"))
    assert all(future.result(10).new_message_ids for future in taken)
    assert ledger.record_turn(a_turn("later")).new_message_ids
    ledger.close()


def test_a_waiter_that_gives_up_does_not_take_its_exchange_with_it(ledger: Ledger) -> None:
    with held(ledger):
        future = ledger.submit_turn(a_turn("hello"))
        assert not future.cancel()
    assert future.result(10).new_message_ids


def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    with held(ledger):
        futures = [ledger.submit_turn(a_turn(f"message {number}")) for number in range(100)]
        closing = threading.Thread(target=ledger.close)
        closing.start()
    closing.join(10)
    assert all(future.done() for future in futures)
    reopened = a_ledger(tmp_path)
    assert reopened.counts()["exchanges"] == 100
    reopened.close()


def test_a_closed_ledger_says_that_it_is_closed(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="was closed"):
        ledger.record_turn(a_turn("hello"))
    with pytest.raises(LedgerError, match="was closed"):
        ledger.counts()


def limit_pages(ledger: Ledger, pages: int) -> None:
    """Make the disk full (or, with a large number, free again) as far as SQLite can tell."""
    ledger._writer.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}"), alone=True)


def test_a_full_disk_is_said_and_writing_goes_on_when_there_is_space_again(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("before"))
    limit_pages(ledger, 1)
    noise = "".join(chr(0x4E00 + number % 9_000) for number in range(10_000))
    with pytest.raises(LedgerError, match=r"ledger\.sqlite3: the disk is full.*Free some space"):
        ledger.record_turn(a_turn(noise, thread_id="thr-2"))
    limit_pages(ledger, 1_000_000)
    ledger.record_turn(a_turn(noise, thread_id="thr-2"))
    assert ledger.counts()["messages"] == 2
    assert ledger.integrity() == []


def test_on_a_full_disk_what_still_fits_is_written(ledger: Ledger) -> None:
    """SQLite gives up the whole transaction when the disk is full; the small jobs of the group must survive it."""
    ledger.record_turn(a_turn("before"))
    limit_pages(ledger, 1)
    noise = "".join(chr(0x4E00 + number % 9_000) for number in range(10_000))
    with held(ledger):
        small = [ledger.submit_turn(a_turn(f"small {number}")) for number in range(2)]
        large = ledger.submit_turn(a_turn(noise, thread_id="thr-2"))
        last = ledger.submit_turn(a_turn("small 3"))
    assert outcome(large) == "LedgerError"
    assert [outcome(future) for future in (*small, last)] == ["Recorded"] * 3
    assert ledger.counts()["exchanges"] == 4


def outcome(future: Future[Recorded]) -> str:
    error = future.exception(10)
    return type(error or future.result()).__name__


def test_a_read_only_file_is_said(ledger: Ledger) -> None:
    ledger._writer.run(lambda connection: connection.execute("PRAGMA query_only = ON"), alone=True)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite3 is read-only.*owner"):
        ledger.record_turn(a_turn("hello"))
    ledger._writer.run(lambda connection: connection.execute("PRAGMA query_only = OFF"), alone=True)
    assert ledger.record_turn(a_turn("hello")).new_message_ids


def test_a_lock_held_by_another_program_is_said_and_outlived(ledger: Ledger) -> None:
    ledger._writer.run(lambda connection: connection.execute("PRAGMA busy_timeout = 1"), alone=True)
    intruder = sqlite3.connect(ledger.path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked by another program"):
        ledger.record_turn(a_turn("hello"))
    intruder.execute("ROLLBACK")
    intruder.close()
    assert ledger.record_turn(a_turn("hello")).new_message_ids


def test_a_vacuum_waits_its_turn_between_the_groups(ledger: Ledger) -> None:
    with held(ledger):
        first = ledger.submit_turn(a_turn("one"))
        alone = ledger._writer.submit(lambda connection: connection.in_transaction, alone=True)
        second = ledger.submit_turn(a_turn("two", thread_id="thr-2"))
    assert alone.result(10) is False
    assert first.result(10).new_message_ids
    assert second.result(10).new_message_ids


def test_readers_see_what_is_committed_and_nothing_else(ledger: Ledger) -> None:
    seen: list[int] = []

    def look_meanwhile(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO tombstones (scope, sha256, memory_id, at) VALUES ('s', 'x', 'm', 'now')"
        )
        with ledger._readers.snapshot() as other:
            seen.append(other.execute("SELECT count(*) FROM tombstones").fetchone()[0])

    ledger._writer.run(look_meanwhile)
    with ledger._readers.snapshot() as connection:
        seen.append(connection.execute("SELECT count(*) FROM tombstones").fetchone()[0])
    assert seen == [0, 1]


def test_everything_read_in_one_snapshot_is_of_the_same_moment(ledger: Ledger) -> None:
    with ledger._readers.snapshot() as connection:
        before = connection.execute("SELECT count(*) FROM messages").fetchone()[0]
        ledger.record_turn(a_turn("hello", reply="hi"))
        after = connection.execute("SELECT count(*) FROM messages").fetchone()[0]
    assert (before, after) == (0, 0)
    assert ledger.counts()["messages"] == 2


def test_a_reader_cannot_write(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="read-only"), ledger._readers.snapshot() as connection:
        connection.execute("DELETE FROM outbox")


def test_more_readers_than_connections_take_turns(ledger: Ledger) -> None:
    ledger.record_turn(a_turn("hello", reply="hi"))
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(ledger.counts()["messages"])) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == [2] * 32


def test_the_writer_syncs_fully(ledger: Ledger) -> None:
    """FULL is 2: an exchange that the user has seen must survive a power cut."""
    settings = ("synchronous", "foreign_keys", "secure_delete", "auto_vacuum", "journal_mode")
    values = ledger._writer.run(
        lambda connection: [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in settings]
    )
    assert values == [2, 1, 1, 2, "wal"]


def test_a_writer_that_cannot_open_its_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be opened"):
        Writer(tmp_path / "nothing" / "ledger.sqlite3", queue_max=1)


def test_a_rollback_that_fails_costs_its_jobs_and_not_the_writer(ledger: Ledger) -> None:
    """SQLite's authorizer refuses to end the transaction either way, as a file gone bad does."""

    def refuse(action: int, operation: str | None, *_: str | None) -> int:
        ends = action == sqlite3.SQLITE_TRANSACTION and operation in ("COMMIT", "ROLLBACK")
        return sqlite3.SQLITE_DENY if ends else sqlite3.SQLITE_OK

    failed = ledger._writer.submit(lambda connection: connection.set_authorizer(refuse))
    with pytest.raises(LedgerError, match="not authorized"):
        failed.result(10)
    assert ledger.submit_turn(a_turn("hello")).result(10).new_message_ids
    with ledger._readers.snapshot() as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone()[0] == 1


def test_a_connection_that_is_gone_is_opened_again(ledger: Ledger) -> None:
    ledger._writer.run(lambda connection: connection.close(), alone=True)
    with pytest.raises(LedgerError):
        ledger.submit_turn(a_turn("hello")).result(10)
    assert ledger.submit_turn(a_turn("hello")).result(10).new_message_ids


@pytest.mark.parametrize("bad", [{"status": 2**63}, {"request_sha256": "\ud83d"}, {"status": 2j}])
def test_a_value_that_cannot_be_stored_is_a_ledger_error(ledger: Ledger, bad: dict[str, object]) -> None:
    with pytest.raises(LedgerError):
        ledger.submit_turn(replace(a_turn("hello"), **bad)).result(10)  # type: ignore[arg-type]  # bad on purpose
    assert ledger.record_turn(a_turn("hello")).new_message_ids


def test_a_token_count_beyond_all_bounds_costs_the_count_and_not_the_exchange(ledger: Ledger) -> None:
    usage = Usage(prompt_tokens=2**64 - 1, reply_tokens=7)
    recorded = ledger.record_turn(replace(a_turn("hello"), reply=Reply(text="hi", usage=usage)))
    shown = ledger.exchange(recorded.exchange_id)
    assert (shown["prompt_tokens"], shown["reply_tokens"]) == (None, 7)
