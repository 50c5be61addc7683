"""Without a daemon a command opens the folder itself, alone, and says so when it cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ltmld.daemon.lock import FolderLock
from tests.support.daemon import Daemon
from tests.support.house import NO_OLLAMA, line, small_house
from tests.support.slow_ollama import PATIENCE_S, SlowOllama


@pytest.fixture
def folder(tmp_path: Path, models_folder: Path) -> Path:
    """Return a data folder whose embedder was exported before."""
    made = tmp_path / "data"
    made.mkdir()
    (made / "models").symlink_to(models_folder)
    return made


@pytest.fixture
def ollama() -> Iterator[SlowOllama]:
    slow = SlowOllama()
    yield slow
    slow.close()


def command(
    folder: Path, *words: str, upstream: str = NO_OLLAMA, stdin: bytes = b""
) -> subprocess.Popen[str]:
    """Start ltmld on *folder* in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ltmld", *words],
        env={**os.environ, "LTMLD_DATA_DIR": str(folder), "LTMLD_UPSTREAM": upstream},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(stdin.decode())
    process.stdin.close()
    process.stdin = None
    return process


def run(folder: Path, *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run ltmld on *folder* to its end; return exit code and both outputs."""
    process = command(folder, *words, stdin=stdin)
    out, err = process.communicate(timeout=PATIENCE_S * 2)
    return process.returncode, out, err


def test_a_folder_is_enough_to_import_sleep_and_be_asked(folder: Path) -> None:
    said = line("I moved to Bergen in May 2023.") + line(
        "I am allergic to walnuts.", at="2026-01-31T18:01:00Z"
    )
    assert run(folder, "import", "-", stdin=said)[0] == 0
    code, out, err = run(folder, "sleep-now", "--json")
    assert (code, json.loads(out)["state"]) == (0, "completed"), err
    code, out, _ = run(folder, "search", "What must Ann not eat?", "--json")
    assert "walnuts" in json.loads(out)["hits"][0]["text"]
    code, out, _ = run(folder, "status")
    assert "not serving (start it: ltmld serve)" in out
    assert "2 messages" in out


def test_a_folder_in_use_is_refused_with_the_process_that_holds_it(folder: Path) -> None:
    lock = FolderLock(folder)
    code, out, err = run(folder, "inspect")
    lock.release()
    assert (code, out) == (1, "")
    assert str(os.getpid()) in err
    assert len(err.splitlines()) <= 2


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for words in (["remember", "Ann likes tea."], ["serve"]):
        code, out, err = run(tmp_path / "file" / "data", *words)
        assert (code, out) == (1, "")
        assert "cannot be written" in err
        assert "LTMLD_DATA_DIR" in err
        assert "Traceback" not in err


def test_an_interrupted_night_goes_on_with_the_next(folder: Path, ollama: SlowOllama) -> None:
    with small_house(folder) as house:
        house.control.import_lines(iter([line("I moved to Bergen in May 2023.")]))
    night = command(folder, "sleep-now", "--model", "slow", upstream=ollama.url)
    assert ollama.asked.wait(PATIENCE_S)
    night.send_signal(signal.SIGINT)
    out, err = night.communicate(timeout=PATIENCE_S)
    assert (night.returncode, out) == (130, "")
    assert "not lost" in err
    assert "Traceback" not in err
    ollama.let_go.set()

    taken_up = json.loads(run(folder, "sleep-now", "--depth", "nap", "--json")[1])
    assert (taken_up["state"], taken_up["depth"]) == ("completed", "light")
    with small_house(folder) as house:
        assert [night["id"] for night in house.control.sleeps()["sleeps"]] == [taken_up["id"]]


def test_a_daemon_takes_up_the_night_that_a_crash_interrupted(folder: Path) -> None:
    with small_house(folder) as house:
        house.control.import_lines(iter([line("I moved to Bergen in May 2023.")]))
        left = house.ledger.begin_cycle(scope="", depth="light", trigger="nightly", model="", dry_run=False)
    with Daemon(folder, upstream=NO_OLLAMA) as daemon:
        while (cycle := daemon.call("GET", f"/api/sleeps/{left}")[1])["state"] in ("queued", "running"):
            threading.Event().wait(0.05)
    assert (cycle["state"], cycle["report"]["messages"]["gathered"]) == ("completed", 1)


def test_a_command_catches_the_index_up_before_it_answers(folder: Path) -> None:
    assert run(folder, "remember", "The vault opens with a green key.")[0] == 0
    for file in (folder / "index").glob("fulltext.sqlite3*"):
        file.write_bytes(b"damaged " * 1000)
    code, found, said = run(folder, "search", "vault")
    assert code == 0, said
    assert "green key" in found


def test_words_that_are_not_utf8_are_refused_in_a_sentence(folder: Path) -> None:
    command = [sys.executable.encode(), b"-m", b"ltmld", b"remember", b"bad \xff word"]
    env = {**os.environ, "LTMLD_DATA_DIR": str(folder), "LTMLD_UPSTREAM": NO_OLLAMA}
    done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert b"UTF-8" in done.stderr


def test_a_scope_is_paused_on_the_folder_and_stays_so(folder: Path) -> None:
    assert "Memory is off for scope me" in command(folder, "pause", "--scope", "me").communicate()[1]
    assert json.loads(command(folder, "status", "--json").communicate()[0])["paused"].keys() == {"me"}
    assert "Memory is on again" in command(folder, "resume", "--scope", "me").communicate()[1]
