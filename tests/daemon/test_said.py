"""A person's word makes a memory with a source, makes it stronger when repeated, and corrects it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ltmld.core.memory import MemoryKind, MemoryState
from ltmld.daemon.clock import utc_now
from ltmld.daemon.said import Said
from ltmld.errors import BadInputError, NotFoundError, RefusedError
from ltmld.ledger.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    numbers = count(1)
    opened = Ledger.open(tmp_path, clock=utc_now, new_id=lambda prefix: f"{prefix}-{next(numbers):06}")
    yield opened
    opened.close()


@pytest.fixture
def said(ledger: Ledger) -> Said:
    numbers = count(1)
    return Said(ledger, clock=utc_now, new_id=lambda prefix: f"{prefix}-said{next(numbers)}")


def test_what_was_said_stands_behind_the_memory(said: Said, ledger: Ledger) -> None:
    memory = said.remember(text="  Ann is\nallergic to nuts. ", kind="fact", scope="ann", pinned=True)
    (source,) = memory.sources
    (message,) = ledger.messages([source.message_id])
    assert memory.text == message.text == source.quote == "Ann is allergic to nuts."
    assert (memory.kind, memory.scope, memory.pinned) == (MemoryKind.FACT, "ann", True)


def test_the_same_words_again_strengthen_and_do_not_double(said: Said, ledger: Ledger) -> None:
    first = said.remember(text="Ann likes tea.", kind="preference", scope="ann", pinned=False)
    again = said.remember(text="ann LIKES tea.", kind="fact", scope="ann", pinned=True)
    assert again.id == first.id
    assert again.frequency == 2
    assert again.strength > first.strength
    assert again.pinned
    assert len(ledger.all_memories("ann")) == 1


def test_the_same_words_of_somebody_else_are_another_memory(said: Said) -> None:
    first = said.remember(text="I like tea.", kind="fact", scope="ann", pinned=False)
    assert said.remember(text="I like tea.", kind="fact", scope="ben", pinned=False).id != first.id


def test_what_was_forgotten_and_is_said_again_is_new(said: Said, ledger: Ledger) -> None:
    first = said.remember(text="Ann likes tea.", kind="fact", scope="ann", pinned=False)
    ledger.forget(first.id, hard=False, cause="user")
    again = said.remember(text="Ann likes tea.", kind="fact", scope="ann", pinned=False)
    assert again.id != first.id
    assert again.state is MemoryState.ACTIVE


@pytest.mark.parametrize(
    ("text", "kind", "named"),
    [(" \n ", "fact", "text"), ("x", "rumor", "kind"), ("x" * 40_000, "fact", "text")],
)
def test_what_cannot_be_remembered_is_refused_by_name(said: Said, text: str, kind: str, named: str) -> None:
    with pytest.raises(BadInputError, match=f"^{named}: "):
        said.remember(text=text, kind=kind, scope="ann", pinned=False)


def test_a_correction_is_a_new_version_that_keeps_the_old(said: Said, ledger: Ledger) -> None:
    memory = said.remember(text="Ann has two dogs.", kind="fact", scope="ann", pinned=False)
    corrected = said.edit(memory.id, {"text": "Ann has three dogs.", "importance": 1})
    assert (corrected.text, corrected.importance, corrected.version) == ("Ann has three dogs.", 1.0, 2)
    assert ledger.history(memory.id)[-1]["before"]["text"] == "Ann has two dogs."


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"colour": "red"},
        {"text": "ok", "colour": "red"},
        {"text": " "},
        {"kind": "rumor"},
        {"state": "asleep"},
        {"pinned": "yes"},
        {"importance": 2},
        {"importance": True},
    ],
)
def test_a_senseless_correction_changes_nothing(said: Said, ledger: Ledger, body: dict[str, object]) -> None:
    memory = said.remember(text="Ann has two dogs.", kind="fact", scope="ann", pinned=False)
    with pytest.raises(BadInputError):
        said.edit(memory.id, body)
    assert ledger.memory(memory.id) == memory


def test_a_correction_never_forgets(said: Said) -> None:
    memory = said.remember(text="Ann has two dogs.", kind="fact", scope="ann", pinned=False)
    with pytest.raises(RefusedError, match="ltmld forget"):
        said.edit(memory.id, {"state": "forgotten"})


def test_what_is_not_there_cannot_be_corrected(said: Said) -> None:
    with pytest.raises(NotFoundError, match="mem-nowhere"):
        said.edit("mem-nowhere", {"pinned": True})
