"""The promise: a ledger opens, is brought up to date, or says why it cannot be, and is never half migrated."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ltmld.errors import LedgerError, LedgerSchemaError
from ltmld.ledger import Ledger, schema
from tests.support.ledgers import a_ledger, a_path, a_turn


def test_what_was_recorded_is_there_after_reopening(tmp_path: Path) -> None:
    first = a_ledger(tmp_path)
    first.record_turn(a_turn("hello", reply="hi"))
    first.close()
    second = a_ledger(tmp_path)
    assert [message.text for message in second.thread_messages("thr-1")] == ["hello", "hi"]
    second.close()


def test_a_ledger_of_a_newer_ltmld_is_refused_and_left_alone(tmp_path: Path) -> None:
    a_ledger(tmp_path).close()
    path = tmp_path / schema.FILE_NAME
    newest = schema.migrations()[-1][0]
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {newest + 2}")
    connection.close()
    before = path.read_bytes()
    message = rf"newer ltmld \(schema {newest + 2}; this build knows {newest}\)\. Upgrade ltmld"
    with pytest.raises(LedgerSchemaError, match=message):
        a_ledger(tmp_path)
    assert path.read_bytes() == before


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    a_ledger(tmp_path).close()
    connection = schema.writing(tmp_path / schema.FILE_NAME)
    with pytest.raises(sqlite3.Error):
        schema._apply(
            connection, 99, "CREATE TABLE half (id TEXT) STRICT; INSERT INTO nowhere (id) VALUES (1);"
        )
    tables = {row["name"] for row in connection.execute("SELECT name FROM sqlite_schema")}
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    assert "half" not in tables
    assert version == schema.migrations()[-1][0]


def test_migrations_are_numbered_one_after_the_other() -> None:
    numbers = [number for number, _ in schema.migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_table_is_strict(ledger: Ledger) -> None:
    with ledger._readers.snapshot() as connection:
        rows = connection.execute(
            "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
        )
        loose = [row["name"] for row in rows if not row["strict"] and not row["name"].startswith("sqlite_")]
    assert loose == []


def test_only_the_owner_may_read_the_ledger(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path / "data")
    ledger.record_turn(a_turn("hello"))
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in (tmp_path / "data").iterdir()}
    ledger.close()
    assert set(modes.values()) == {"0o600"}
    assert oct((tmp_path / "data").stat().st_mode & 0o777) == "0o700"


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(LedgerError, match=r"cannot be written.*LTMLD_DATA_DIR"):
        a_ledger(tmp_path / "data")


def test_a_file_that_is_no_database_is_said_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / schema.FILE_NAME
    path.write_bytes(b"my holiday photographs" * 100)
    with pytest.raises(LedgerError, match=r"is no SQLite database.*Move it aside"):
        a_ledger(tmp_path)
    assert path.read_bytes() == b"my holiday photographs" * 100


def test_a_ledger_that_vanished_is_an_error_and_not_an_empty_ledger(tmp_path: Path) -> None:
    a_ledger(tmp_path).close()
    (tmp_path / schema.FILE_NAME).unlink()
    with pytest.raises(sqlite3.OperationalError):
        schema.reading(tmp_path / schema.FILE_NAME)


def test_what_an_older_ltmld_recorded_goes_on_in_the_newest(tmp_path: Path) -> None:
    path = tmp_path / schema.FILE_NAME
    path.touch()
    connection = schema.writing(path)
    (first, text), *_ = schema.migrations()
    schema._apply(connection, first, text)
    at = "2026-03-01T09:00:00.000000+00:00"
    hello, hi = a_path("hello", "hi")
    exchange = (
        "INSERT INTO exchanges VALUES ('exc-old','default','thr-1','ollama.chat','m','','completed',200,'','','','',"
        "'msg-1','msg-2','',NULL,NULL,NULL,NULL,?,?,?)"
    )
    message = "INSERT INTO messages VALUES (?,'default','thr-1','exc-old',?,?,?,?,'x',?,'[]','[]','',?,'')"
    connection.execute("BEGIN")
    connection.execute("INSERT INTO threads VALUES ('thr-1', 'default', '', ?, ?)", (at, at))
    connection.execute(exchange, (at, at, at))
    connection.execute(message, ("msg-1", None, 0, hello.chain, "user", "hello", at))
    connection.execute(message, ("msg-2", "msg-1", 1, hi.chain, "assistant", "hi", at))
    connection.execute("COMMIT")
    connection.close()
    ledger = a_ledger(tmp_path)
    ledger.record_turn(a_turn("hello", "hi", "I have a dog", reply="lovely"))
    assert [said.text for said in ledger.thread_messages("thr-1")] == [
        "hello",
        "hi",
        "I have a dog",
        "lovely",
    ]
    assert [said["backfilled"] for said in ledger.exchange("exc-old")["messages"]] == [False, False]
    ledger.close()
