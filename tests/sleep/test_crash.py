"""Promise: a night killed at any stage and resumed ends in the ledger of an undisturbed night, asking nothing twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ltmld.core.proposal import Proposal
from ltmld.ledger import Ledger
from ltmld.sleep.stages import STAGES
from tests.support.ledgers import CountedIds, MovedClock
from tests.support.nights import Bedroom, PlayedModel, careful


class PlugPulledError(BaseException):
    """The machine lost power: nothing in the program may catch it."""


class FrailLedger(Ledger):
    """A ledger whose machine loses power at one stage, before or after its transaction."""

    dies_at = ""
    committed = False

    def apply(
        self, cycle_id: str, stage: str, proposals: Sequence[Proposal], payload: Mapping[str, Any]
    ) -> dict[str, int]:
        dying = bool(self.dies_at) and stage.startswith(self.dies_at)
        if dying and not self.committed:
            raise PlugPulledError
        counts = super().apply(cycle_id, stage, proposals, payload)
        if dying:
            raise PlugPulledError
        return counts


def a_room(folder: Path) -> tuple[Bedroom, FrailLedger]:
    clock = MovedClock()
    ledger = FrailLedger.open(folder, clock=clock, new_id=CountedIds())
    assert isinstance(ledger, FrailLedger)
    room = Bedroom(folder, ledger=ledger, clock=clock)
    room.talk("I live in Lisbon.", "Nice.", "I collect maps.", "Oh.")
    clock.move(days=2)
    room.talk("I live in Lisbon.", "Yes.", "I moved to Porto.", "Oh!")
    return room, ledger


def beliefs(room: Bedroom) -> set[tuple[Any, ...]]:
    memories, _ = room.ledger.memories(limit=500)
    return {
        (memory.text, memory.state, memory.frequency, memory.strength, memory.sources, memory.version)
        for memory in memories
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[tuple[Any, ...]], dict[str, Any], int]:
    room, _ = a_room(tmp_path_factory.mktemp("undisturbed"))
    model = PlayedModel(careful)
    report = room.sleep(model)
    found = beliefs(room), report, len(model.asked)
    room.close()
    return found


@pytest.mark.parametrize("committed", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_night_killed_at_any_stage_ends_like_an_undisturbed_one(
    tmp_path: Path,
    undisturbed: tuple[set[tuple[Any, ...]], dict[str, Any], int],
    stage: str,
    *,
    committed: bool,
) -> None:
    room, ledger = a_room(tmp_path)
    model = PlayedModel(careful)
    ledger.dies_at, ledger.committed = stage, committed
    with pytest.raises(PlugPulledError):
        room.sleep(model)
    ledger.dies_at = ""
    unfinished = ledger.unfinished_cycle()
    assert unfinished is not None
    report = room.sleep(model, cycle_id=unfinished["id"])
    believed, calm, questions = undisturbed
    assert beliefs(room) == believed
    assert len(model.asked) == questions
    for name in ("memories", "messages", "learned", "superseded", "gamma"):
        assert report[name] == calm[name], name
    assert ledger.ungathered("default") == []
    room.close()


def test_a_ledger_that_fails_in_the_night_ends_it_with_a_report(tmp_path: Path) -> None:
    room, ledger = a_room(tmp_path)
    asked = PlayedModel(careful)
    ledger.dies_at = "gate"
    with pytest.raises(PlugPulledError):
        room.sleep(asked)
    # The lease of the dead night runs out, and another night begins and does all of it.
    ledger.dies_at = ""
    room.clock.move(hours=1)
    assert room.sleep(asked)["memories"]["learned"] >= 2
    room.close()
