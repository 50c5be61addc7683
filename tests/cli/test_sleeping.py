"""A night can be watched from a terminal and from a pipe, and its report tells what it did and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from ltmld.cli.app import app
from ltmld.cli.report import show_report
from ltmld.cli.watching import watcher
from tests.support.house import SmallHouse, line, small_daemon, small_house

Run = Callable[..., Result]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SmallHouse]:
    with small_house(tmp_path) as opened:
        lines = [
            line("I moved to Bergen in May 2023."),
            line("I am allergic to walnuts.", at="2026-01-31T18:01:00Z"),
            line("Hi!", at="2026-01-31T18:02:00Z"),
        ]
        opened.control.import_lines(iter(lines))
        yield opened


@pytest.fixture
def run(house: SmallHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("LTMLD_DATA_DIR", str(tmp_path))
    # The daemon's log is caught: here it lives in the process of the command.
    with small_daemon(tmp_path, house), structlog.testing.capture_logs():
        yield lambda *command: CliRunner().invoke(app, list(command))


def test_a_night_is_watched_and_told(run: Run) -> None:
    night = run("sleep-now")
    assert night.exit_code == 0
    stages = [shown.split()[0] for shown in night.stderr.splitlines()]
    assert stages[:3] == ["gather", "gate", "extract"]
    assert "3 gathered" in night.stdout
    assert "learned (2)" in night.stdout
    assert "walnuts" in night.stdout
    assert "refused" in night.stdout

    assert "completed" in run("sleeps").stdout
    cycle_id = run("sleeps").stdout.splitlines()[1].split()[0]
    assert "learned (2)" in run("sleeps", cycle_id).stdout
    assert "completed" in run("status").stdout


def test_a_dry_run_says_so_and_leaves_nothing(run: Run) -> None:
    night = run("sleep-now", "--dry-run")
    assert "nothing was changed" in night.stdout
    assert "learned (2)" in night.stdout
    assert run("inspect").stdout == ""


def test_the_report_is_there_as_json(run: Run) -> None:
    night = run("sleep-now", "--json", "--scope", "default", "--depth", "nap")
    cycle = json.loads(night.stdout)
    assert (cycle["state"], cycle["depth"], cycle["scope"]) == ("completed", "nap", "default")
    assert cycle["report"]["messages"]["gathered"] == 3


def test_a_model_that_is_not_to_be_had_is_said_at_once(run: Run) -> None:
    refused = run("sleep-now", "--model", "llama3")
    assert refused.exit_code == 3
    assert "Ollama" in refused.stderr
    assert run("sleeps").stdout == ""


def _cycle(state: str, **report: object) -> dict[str, object]:
    head = {"id": "slp-1", "state": state, "scope": "", "depth": "light", "model": "m", "dry_run": False}
    return {**head, "stages": [], "progress": None, "report": report or None}


def test_a_failed_night_is_told_with_its_reason(run: Run, house: SmallHouse) -> None:
    house.index.close()
    night = run("sleep-now")
    assert night.exit_code == 1
    assert "failed" in night.stdout
    assert "ended failed: " in night.stderr
    assert "`ltmld sleep-now` again" in night.stderr
    assert "failed" in run("sleeps").stdout


def test_a_long_list_says_how_much_more_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_report(
        _cycle(
            "completed",
            took_s=61.0,
            messages={"gathered": 90, "reasons": {}},
            memories={"learned": 70},
            learned=["a fact"] * 50,
            model_calls={"calls": 3, "took_ms": 90_000.0},
            warnings=["One episode waits for the next night."],
        )
    )
    shown = capsys.readouterr().out
    assert "after 1 min 1 s" in shown
    assert "learned (70)" in shown
    assert "and 20 more" in shown
    assert "3 calls in 1 min 30 s" in shown
    assert "! One episode waits" in shown


def test_each_stage_of_each_scope_is_said_once_and_only_when_it_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = [
        {"stage": stage, "note": scope, "done": 1, "total": 1, "counts": {"seen": 2, "lost": 0}}
        for scope in ("ann", "ben")
        for stage in ("gather", "gate")
    ]
    with watcher() as watching:
        for count in (1, 2, 2, 3):
            watching.see(_cycle("running") | {"stages": steps[:count]})
        assert len(capsys.readouterr().err.splitlines()) == 2
        watching.see(_cycle("completed") | {"stages": steps})
    assert capsys.readouterr().err.splitlines() == [
        "gather     1/1  ben, seen 2",
        "gate       1/1  ben, seen 2",
    ]
