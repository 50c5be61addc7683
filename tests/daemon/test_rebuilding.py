"""Promise: the embedder changes while ltmld serves, by one command; what cannot be one changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ltmld.config import ModelsSettings, Settings
from ltmld.daemon.feed import FeedThread
from ltmld.daemon.house import House
from ltmld.errors import BadInputError, EmbedderError
from ltmld.standin.server import StandIn, running_standin
from tests.support.ledgers import a_line

ONE, TWO = "ollama:one-embed", "ollama:two-embed"


@pytest.fixture
def ollama() -> Iterator[StandIn]:
    with running_standin(models=("one-embed:latest", "two-embed:latest")) as running:
        yield running


def opened(folder: Path, ollama: StandIn, *, embedder: str) -> House:
    return House.open(
        Settings(data_dir=folder, upstream=ollama.url, models=ModelsSettings(embedder=embedder))
    )


def settled(house: House) -> None:
    while house.feeder.drain() or house.feeder.fill():
        pass


@pytest.fixture
def house(tmp_path: Path, ollama: StandIn) -> Iterator[House]:
    made = opened(tmp_path, ollama, embedder=ONE)
    made.embedder.embed(["ready"])
    made.ledger.import_messages(
        [a_line(f"The {word} is red.", minute=n) for n, word in enumerate(("kite", "boat"))]
    )
    settled(made)
    yield made
    made.close()


def test_an_embedder_of_ollama_finds_what_was_said(house: House) -> None:
    found = house.index.semantic("The kite is red.", scope="default", limit=1)
    assert found[0].score == pytest.approx(1.0, abs=1e-3)
    assert house.control.status()["index"]["building"] is None


def test_the_command_changes_it_and_the_choice_outlives_a_restart(
    house: House, ollama: StandIn, tmp_path: Path
) -> None:
    before = house.index.in_use
    assert before is not None
    house.control.reindex(TWO)
    used = house.index.in_use
    assert used is not None
    assert used.name.startswith(TWO)
    assert house.index.semantic("The boat is red.", scope="default", limit=1)
    house.close()
    again = opened(tmp_path, ollama, embedder=ONE)
    assert again.embedder.name == used.name
    assert not again.index.stale
    again.close()
    changed = opened(tmp_path, ollama, embedder=TWO)
    assert changed.embedder.name == used.name
    changed.close()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a b", BadInputError), ("ollama:no-such-model", EmbedderError), ("/no/such/folder", EmbedderError)],
)
def test_what_cannot_be_an_embedder_changes_nothing(house: House, name: str, kind: type[Exception]) -> None:
    before = house.index.in_use
    with pytest.raises(kind):
        house.control.reindex(name)
    assert house.index.in_use is before
    assert house.index.standing()["building"] is None


def test_the_feeding_thread_builds_and_swaps(house: House) -> None:
    feed = FeedThread(house.feeder)
    house.rebuilding.wake = feed.wake
    feed.start()
    try:
        assert house.control.reindex(TWO)["broken"] == ""
        while (used := house.index.in_use) is None or not used.name.startswith(TWO):
            feed.wake()
    finally:
        feed.stop()


def test_an_index_folder_that_cannot_be_made_leaves_the_ledger(tmp_path: Path, ollama: StandIn) -> None:
    (tmp_path / "index").write_text("a file in its place", "utf-8")
    house = opened(tmp_path, ollama, embedder=ONE)
    house.ledger.import_messages([a_line("The kite is red.")])
    assert "cannot be made" in house.control.status()["index"]["broken"]
    (tmp_path / "index").unlink()
    house.embedder.embed(["ready"])
    settled(house)
    assert house.control.status()["index"]["broken"] == ""
    assert house.index.lexical("kite", scope="default", limit=1)
    house.close()
