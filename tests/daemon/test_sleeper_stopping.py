"""Promise: a cycle that ends, stops or is stopped touches nothing but itself, and is left where it can go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ltmld.config import Settings
from ltmld.core.ports import SleepRequest
from ltmld.daemon.clock import new_id, utc_now
from ltmld.daemon.sleeper import Sleeper
from ltmld.errors import RefusedError
from ltmld.index.index import LocalIndex
from ltmld.ledger import Ledger
from ltmld.wake.feeder import BATCH, Feeder
from tests.support.embedders import WordEmbedder
from tests.support.house import NO_OLLAMA, line, small_house
from tests.support.ledgers import a_line
from tests.support.slow_ollama import PATIENCE_S, SlowOllama

TALK = [
    line("My name is Ann.", ref="1"),
    line("I am allergic to walnuts.", at="2026-01-31T18:01:00Z", ref="2"),
]


class SlowEmbedder(WordEmbedder):
    """Waits in every batch until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()
        self.batches = 0

    def embed(self, texts: Sequence[str]) -> Any:
        self.batches += 1
        self.begun.set()
        self.go.wait(PATIENCE_S)
        return super().embed(texts)


@contextmanager
def a_sleeper(
    folder: Path, *, embedder: WordEmbedder | None = None, **models: str
) -> Iterator[tuple[Sleeper, Ledger]]:
    settings = Settings.load(data_dir=folder, upstream=NO_OLLAMA, models=models)
    ledger = Ledger.open(folder, clock=utc_now, new_id=new_id)
    index = LocalIndex(folder / "index", embedder)
    sleeper = Sleeper(
        ledger=ledger,
        index=index,
        feeder=Feeder(ledger, index),
        settings=settings,
        clock=utc_now,
        new_id=new_id,
        embedder=embedder,
    )
    try:
        yield sleeper, ledger
    finally:
        sleeper.close()
        index.close()
        ledger.close()


def thread_of(cycle_id: str) -> threading.Thread | None:
    return next((one for one in threading.enumerate() if one.name == f"sleep {cycle_id}"), None)


def test_a_cycle_that_ends_does_not_wipe_the_one_that_began_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ollama = SlowOllama()
    with small_house(tmp_path, upstream=ollama.url) as house:
        house.control.import_lines(iter(TALK))
        ended, sleeper, began = house.ledger.end_cycle, house.sleeper, list[str]()

        def end(cycle_id: str, **how: Any) -> None:
            ended(cycle_id, **how)
            monkeypatch.undo()
            # Whoever polls sees "completed" here and asks for the next sleep, before this thread is done.
            starting = threading.Thread(
                target=lambda: began.append(sleeper.start(SleepRequest(model="slow")))
            )
            starting.start()
            starting.join(PATIENCE_S)

        monkeypatch.setattr(house.ledger, "end_cycle", end)
        first = sleeper.start(SleepRequest(depth="nap"))
        assert ollama.asked.wait(PATIENCE_S)
        if thread := thread_of(first):
            thread.join(PATIENCE_S)
        live = sleeper.live()
        assert live is not None
        assert [live.cycle_id] == began
        with pytest.raises(RefusedError, match=began[0]):
            sleeper.start(SleepRequest())
        ollama.let_go.set()
        assert sleeper.wait(PATIENCE_S)
        assert sleeper.live() is None
        assert house.ledger.cycle(began[0])["state"] == "completed"
    ollama.close()


def test_a_stop_in_a_long_step_waits_for_the_batch_in_hand_and_leaves_the_cycle_at_its_checkpoint(
    tmp_path: Path,
) -> None:
    embedder = SlowEmbedder()
    with a_sleeper(tmp_path, embedder=embedder) as (sleeper, ledger):
        ledger.import_messages(
            [a_line(f"I saw bird {number}.", minute=number) for number in range(BATCH * 3)]
        )
        left = sleeper.start(SleepRequest(depth="nap"))
        assert embedder.begun.wait(PATIENCE_S)
        closing = threading.Thread(target=sleeper.close)
        closing.start()
        assert sleeper._closing.wait(PATIENCE_S)
        embedder.go.set()
        closing.join(PATIENCE_S)
        assert thread_of(left) is None
        assert embedder.batches == 1
        assert (ledger.cycle(left)["state"], ledger.cycle(left)["ended_at"]) == ("running", None)
    with a_sleeper(tmp_path, embedder=WordEmbedder()) as (sleeper, ledger):
        assert sleeper.resume() == left
        assert sleeper.wait(PATIENCE_S)
        assert ledger.cycle(left)["state"] == "completed"


def test_a_stop_while_the_cycle_is_being_made_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_sleeper(tmp_path) as (sleeper, ledger):
        ledger.import_messages([a_line("I live in Lisbon.")])
        made, making = sleeper._made, threading.Event()

        def slowly(*words: Any) -> Any:
            making.set()
            assert sleeper._closing.wait(PATIENCE_S)
            return made(*words)

        monkeypatch.setattr(sleeper, "_made", slowly)
        left = sleeper.start(SleepRequest(depth="nap"))
        assert making.wait(PATIENCE_S)
        sleeper.close()
        assert thread_of(left) is None
        assert (ledger.cycle(left)["ended_at"], ledger.checkpoint(left)) == (None, None)


def test_nothing_begins_after_the_stop(tmp_path: Path) -> None:
    with a_sleeper(tmp_path) as (sleeper, ledger):
        sleeper.close()
        with pytest.raises(RefusedError, match="stopping"):
            sleeper.start(SleepRequest(depth="nap"))
        with pytest.raises(RefusedError, match="stopping"):
            sleeper.run_now(SleepRequest(depth="nap"))
        assert sleeper.resume() == ""
        assert ledger.cycles() == []


def test_what_cannot_be_taken_up_now_stops_nobody(tmp_path: Path) -> None:
    with a_sleeper(tmp_path) as (sleeper, ledger):
        ledger.close()
        assert sleeper.resume() == ""


def test_while_ollama_is_away_its_model_keeps_its_work_for_the_next_night(tmp_path: Path) -> None:
    with a_sleeper(tmp_path, sleep_model="any") as (sleeper, ledger):
        ledger.import_messages([a_line("I am allergic to walnuts.")])
        report = sleeper.run_now(SleepRequest())
        assert (report["state"], report["messages"]["left"]) == ("completed", 1)
        assert [memory.text for memory in ledger.all_memories("default")]
        assert any("ollama serve" in words for words in report["warnings"])
        assert len(ledger.ungathered("default", limit=9)) == 1
