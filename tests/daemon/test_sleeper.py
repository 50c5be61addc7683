"""One cycle at a time, watched while it runs; what a process leaves unfinished the next one takes up first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ltmld.core.ports import SleepRequest, StageProgress
from ltmld.errors import BadInputError, RefusedError, UpstreamError
from tests.support.house import SmallHouse, line, small_house
from tests.support.ledgers import a_turn
from tests.support.slow_ollama import PATIENCE_S, SlowOllama

TALK = [
    line("My name is Ann and I moved to Bergen in May 2023.", ref="D1:1"),
    line("I am allergic to walnuts, so please never suggest them.", at="2026-01-31T18:01:00Z", ref="D1:2"),
]


@pytest.fixture
def ollama() -> Iterator[SlowOllama]:
    slow = SlowOllama()
    yield slow
    slow.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SmallHouse]:
    with small_house(tmp_path) as opened:
        opened.control.import_lines(iter(TALK))
        yield opened


def test_a_cycle_without_a_model_learns_by_rules_and_reports(house: SmallHouse) -> None:
    started = house.control.start_sleep(SleepRequest())
    assert house.sleeper.wait(PATIENCE_S)
    cycle = house.control.sleep(started["id"])
    assert (cycle["state"], cycle["model"], cycle["progress"]) == ("completed", "", None)
    assert cycle["report"]["messages"]["gathered"] == 2
    assert cycle["report"]["memories"]["learned"] >= 1
    assert cycle["started_at"] <= cycle["ended_at"]
    assert house.control.sleeps()["sleeps"] == [cycle]
    status = house.control.status()["sleep"]
    assert (status["last"]["id"], status["running"]) == (started["id"], None)
    assert "walnuts" in str(house.control.memories({"state": "active"}))


def test_sleep_never_asks_a_model_in_the_cloud_because_somebody_talked_to_it(house: SmallHouse) -> None:
    house.ledger.record_turn(a_turn("Hello there.", reply="Hi.", model="gpt-oss:120b-cloud"))
    assert house.ledger.last_model() == "gpt-oss:120b-cloud"
    # Ollama is away here, and a model that was talked to last is believed to be there.
    house.sleeper.run_now(SleepRequest())
    assert house.control.sleeps()["sleeps"][0]["model"] == ""


def test_a_dry_run_changes_nothing(house: SmallHouse) -> None:
    house.sleeper.run_now(SleepRequest(dry_run=True))
    assert house.control.memories({})["memories"] == []
    assert house.sleeper.run_now(SleepRequest())["memories"]["learned"] >= 1


def test_every_stage_is_shown_to_whoever_watches(house: SmallHouse) -> None:
    seen: list[StageProgress] = []
    house.sleeper.run_now(SleepRequest(), seen.append)
    stages = list(dict.fromkeys(step.stage for step in seen))
    assert stages[:3] == ["gather", "gate", "extract"]
    assert all(0 <= step.done <= max(step.total, step.done) for step in seen)


def test_a_second_cycle_is_refused_while_one_runs_and_its_progress_shows(
    tmp_path: Path, ollama: SlowOllama
) -> None:
    with small_house(tmp_path, upstream=ollama.url) as house:
        house.control.import_lines(iter(TALK))
        started = house.control.start_sleep(SleepRequest(model="slow"))
        assert ollama.asked.wait(PATIENCE_S)
        with pytest.raises(RefusedError, match=started["id"]):
            house.control.start_sleep(SleepRequest())
        running = house.control.sleep(started["id"])
        assert (running["state"], running["model"]) == ("running", "slow:latest")
        assert running["report"] is None
        assert running["progress"]["stage"] == "extract"
        assert [step["stage"] for step in running["stages"]] == ["gather", "gate", "extract"]
        assert house.control.status()["sleep"]["running"]["id"] == started["id"]
        ollama.let_go.set()
        assert house.sleeper.wait(PATIENCE_S)
        assert house.control.sleep(started["id"])["state"] == "completed"


def test_what_was_left_unfinished_is_taken_up_before_anything_new(tmp_path: Path, ollama: SlowOllama) -> None:
    with small_house(tmp_path, upstream=ollama.url) as house:
        house.control.import_lines(iter(TALK))
        left = house.control.start_sleep(SleepRequest(model="slow"))["id"]
        assert ollama.asked.wait(PATIENCE_S)
        closing = threading.Thread(target=house.sleeper.close)
        cycle = house.sleeper._cycle
        assert cycle is not None
        closing.start()
        # Told to stop: the completion in hand may end now, and the cycle may not go on after it.
        assert cycle._halt.wait(PATIENCE_S)
        ollama.let_go.set()
        closing.join()
        assert house.control.sleep(left)["state"] == "queued"
    with small_house(tmp_path) as house:
        assert house.control.start_sleep(SleepRequest(depth="nap"))["id"] == left
        assert house.sleeper.wait(PATIENCE_S)
        ended = house.control.sleep(left)
        assert (ended["state"], ended["depth"]) == ("completed", "light")


def test_a_model_that_was_asked_for_must_be_there(
    house: SmallHouse, tmp_path: Path, ollama: SlowOllama
) -> None:
    with pytest.raises(UpstreamError, match="ollama serve"):
        house.control.start_sleep(SleepRequest(model="any"))
    with (
        small_house(tmp_path / "other", upstream=ollama.url) as other,
        pytest.raises(BadInputError, match=r"no model 'any'; it has slow:latest"),
    ):
        other.control.start_sleep(SleepRequest(model="any"))
    assert house.control.sleeps()["sleeps"] == []


def test_a_nap_needs_no_model(house: SmallHouse) -> None:
    assert house.sleeper.run_now(SleepRequest(depth="nap", model="any"))["state"] == "completed"


def test_the_night_asks_ollamas_cloud_only_where_memories_may_go_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTMLD_MODELS__SLEEP_MODEL", "gpt-oss:120b")
    with small_house(tmp_path, upstream="https://api.ollama.com") as house:
        house.control.import_lines(iter(TALK))
        started = house.control.start_sleep(SleepRequest())
        assert house.sleeper.wait(PATIENCE_S)
        assert house.control.sleep(started["id"])["model"] == ""
