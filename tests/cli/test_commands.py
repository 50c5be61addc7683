"""What a person types does what it says, through the daemon when one runs and on the folder when none does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ltmld.cli.app import app
from ltmld.cli.house import running
from ltmld.config import Settings
from tests.support.house import SmallHouse, line, small_daemon, small_house

Run = Callable[..., Result]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SmallHouse]:
    with small_house(tmp_path) as opened:
        yield opened


@pytest.fixture
def run(house: SmallHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Return a runner of commands while a daemon runs on the folder."""
    monkeypatch.setenv("LTMLD_DATA_DIR", str(tmp_path))

    def typed(*command: str, stdin: str | bytes = "") -> Result:
        return CliRunner().invoke(app, list(command), input=stdin)

    with small_daemon(tmp_path, house):
        yield typed


def test_a_sentence_is_remembered_shown_found_and_forgotten(run: Run) -> None:
    made = run("remember", "Ann is allergic to walnuts.", "--pin")
    memory_id = made.stdout.strip()
    assert made.exit_code == 0
    assert "Remembered: Ann is allergic" in made.stderr

    assert "walnuts" in run("inspect").stdout
    shown = run("inspect", memory_id).stdout
    assert "evidence" in shown
    assert "history" in shown
    assert "active, pinned" in shown
    assert "walnuts" in run("search", "walnuts allergic").stdout

    asked = run("forget", memory_id, stdin="n\n")
    assert asked.exit_code == 1
    assert run("inspect", memory_id[:-2], "--json").exit_code == 0
    assert run("forget", memory_id, stdin="y\n").exit_code == 0
    assert "forgotten" in run("inspect", memory_id).stdout


def test_nobody_to_ask_means_nothing_is_forgotten(run: Run) -> None:
    memory_id = run("remember", "Ann likes tea.").stdout.strip()
    refused = run("forget", memory_id)
    assert refused.exit_code == 1
    assert "--yes" in refused.stderr
    assert run("forget", memory_id, "--hard", "--yes").exit_code == 0
    assert "tea" not in run("inspect", memory_id, "--json").stdout


def test_a_memory_that_would_steer_the_terminal_is_shown_harmless(run: Run) -> None:
    run("remember", "Ann \x1b]0;owned\x07 says [bold]hi[/bold]")
    shown = run("inspect").stdout
    assert "\x1b" not in shown
    assert "[bold]hi[/bold]" in shown


def test_a_file_is_imported_once(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "talk.ndjson"
    file.write_bytes(line("I moved to Bergen.") + line("I have a dog.", at="2026-02-01T00:00:00Z").rstrip())
    assert "2 messages imported" in run("import", str(file)).stderr
    assert json.loads(run("import", "-", "--json", stdin=file.read_bytes()).stdout) == {
        "imported": 0,
        "skipped": 2,
    }


def test_a_bad_line_is_misuse_and_names_itself(run: Run) -> None:
    refused = run("import", "-", stdin=line("good") + b"{bad\n")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("ltmld: line 2 ")
    assert run("import", "/no/such/file").exit_code == 2


def test_every_table_has_its_json(run: Run) -> None:
    run("remember", "Ann likes tea.")
    for command in (["inspect"], ["search", "tea"], ["status"], ["sleeps"], ["config", "show"], ["reindex"]):
        result = run(*command, "--json")
        assert result.exit_code == 0, result.stderr
        assert isinstance(json.loads(result.stdout), dict)


def test_filters_narrow_what_is_shown(run: Run) -> None:
    run("remember", "Ann likes tea.", "--kind", "preference", "--scope", "ann")
    run("remember", "Ben likes coffee.", "--scope", "ben")
    assert "coffee" not in run("inspect", "--scope", "ann").stdout
    assert "coffee" not in run("inspect", "--kind", "preference").stdout
    assert "tea" not in run("inspect", "--text", "coffee").stdout
    assert "scope" in run("inspect").stdout.splitlines()[0]
    wrong = run("inspect", "--state", "asleep")
    assert wrong.exit_code == 2
    assert "active" in wrong.stderr


def test_nothing_remembered_is_said_with_what_to_do(run: Run) -> None:
    result = run("inspect")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "ltmld remember" in result.stderr
    assert "Nothing is remembered" in run("search", "anything").stderr


def test_status_says_what_serves_and_what_is_missing(run: Run) -> None:
    shown = run("status").stdout
    assert "serving for" in shown
    assert "does not answer" in shown
    assert "never (ltmld sleep-now)" in shown


def test_a_paused_scope_is_said_to_be_paused_until_it_is_resumed(run: Run) -> None:
    assert "Memory is off for scope me since" in run("pause", "--scope", "me").stderr
    assert "ltmld resume --scope me" in run("status").stdout
    assert json.loads(run("resume", "--scope", "me", "--json").stdout)["paused"] is False
    assert "PAUSED" not in run("status").stdout
    assert "was on for scope me already" in run("resume", "--scope", "me").stderr


def test_what_is_not_there_is_refused_and_what_makes_no_sense_is_misuse(run: Run) -> None:
    assert run("inspect", "mem-nowhere").exit_code == 1
    assert run("sleeps", "slp-nowhere").exit_code == 1
    assert run("remember", "  ").exit_code == 2
    assert run("search", "x", "--scope", "../etc").exit_code == 2


def test_a_daemon_that_died_is_not_asked(house: SmallHouse, tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path)
    with small_daemon(tmp_path, house):
        assert running(settings) is not None
    assert running(settings) is None
    (tmp_path / "daemon.json").write_text("{half")
    assert running(settings) is None


def test_another_program_on_the_port_is_not_taken_for_the_daemon(house: SmallHouse, tmp_path: Path) -> None:
    with small_daemon(tmp_path, house):
        card = json.loads((tmp_path / "daemon.json").read_text())
        (tmp_path / "daemon.json").write_text(json.dumps(card | {"pid": card["pid"] + 1}))
        assert running(Settings.load(data_dir=tmp_path)) is None
