"""Promise: what is in the ledger comes into the index, whatever breaks between the two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from ltmld.core.hit import Unit
from ltmld.core.memory import Source
from ltmld.core.proposal import Learn, Supersede
from ltmld.errors import IndexBrokenError
from ltmld.index.index import LocalIndex
from ltmld.ledger import ImportLine, Ledger
from ltmld.wake.feeder import Feeder
from tests.support.embedders import WordEmbedder
from tests.support.ledgers import EPOCH, a_ledger, a_memory, a_turn


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = a_ledger(tmp_path)
    yield made
    made.close()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[LocalIndex]:
    made = LocalIndex(tmp_path / "index", WordEmbedder())
    yield made
    made.close()


def drained(ledger: Ledger, index: LocalIndex) -> Feeder:
    feeder = Feeder(ledger, index)
    while feeder.drain():
        pass
    return feeder


def lines(count: int, *, scope: str = "default") -> list[ImportLine]:
    return [
        ImportLine(
            scope=scope,
            thread="t",
            at=EPOCH + timedelta(minutes=number),
            role="user",
            text=f"bicycle number {number}",
        )
        for number in range(count)
    ]


def found(index: LocalIndex, query: str, scope: str = "default") -> list[str]:
    return [unit.unit_id for unit in index.lexical(query, scope=scope, limit=100)]


def test_what_is_said_is_found_after_a_drain(ledger: Ledger, index: LocalIndex) -> None:
    ledger.record_turn(a_turn("I own a red bicycle.", reply="A fine colour."))
    drained(ledger, index)
    assert len(found(index, "bicycle")) == len(found(index, "colour")) == 1
    assert ledger.outbox_depth() == 0


def test_a_drain_takes_no_more_than_its_limit(ledger: Ledger, index: LocalIndex) -> None:
    ledger.import_messages(lines(10))
    feeder = Feeder(ledger, index)
    assert [feeder.drain(limit=4) for _ in range(4)] == [4, 4, 2, 0]
    assert len(found(index, "bicycle")) == 10


class CrashingIndex(LocalIndex):
    """Loses power once, after the units went in."""

    crashes = 1

    def upsert(self, units: Sequence[Unit]) -> None:
        super().upsert(units)
        if self.crashes:
            self.crashes -= 1
            raise IndexBrokenError("power cut")


def test_a_crash_between_index_and_outbox_repeats_and_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    index = CrashingIndex(tmp_path / "crashing", WordEmbedder())
    ledger.import_messages(lines(5))
    feeder = Feeder(ledger, index)
    with pytest.raises(IndexBrokenError):
        feeder.drain()
    assert ledger.outbox_depth() >= 5
    while feeder.drain():
        pass
    assert (len(found(index, "bicycle")), index.count("default")) == (5, 5)
    index.close()


def test_a_superseded_memory_leaves_the_index_and_a_learned_one_enters(
    ledger: Ledger, index: LocalIndex
) -> None:
    said = ledger.record_turn(a_turn("I moved to Porto.")).new_message_ids[0]
    sources = (Source(message_id=said, quote="I moved to Porto."),)
    cycle = ledger.begin_cycle(scope="default", depth="light", trigger="test", model="", dry_run=False)
    ledger.apply(
        cycle, "extract", [Learn(memory=a_memory("Ada lives in Lisbon.", id="mem-old", sources=sources))], {}
    )
    drained(ledger, index)
    assert found(index, "Lisbon") == ["mem-old"]
    newer = Learn(memory=a_memory("Ada lives in Porto.", id="mem-new", sources=sources))
    ledger.apply(
        cycle, "reconcile", [newer, Supersede(memory_id="mem-old", by="mem-new", valid_to=EPOCH)], {}
    )
    drained(ledger, index)
    assert found(index, "Lisbon") == []
    assert "mem-new" in found(index, "Porto")


def test_a_memory_that_was_superseded_meanwhile_never_enters(ledger: Ledger, index: LocalIndex) -> None:
    said = ledger.record_turn(a_turn("I moved to Porto.")).new_message_ids[0]
    drained(ledger, index)
    sources = (Source(message_id=said, quote="I moved to Porto."),)
    cycle = ledger.begin_cycle(scope="default", depth="light", trigger="test", model="", dry_run=False)
    old, new = (
        Learn(memory=a_memory(f"Ada lives in {town}.", id=f"mem-{town}", sources=sources))
        for town in ("Lisbon", "Porto")
    )
    ledger.apply(cycle, "extract", [old, new], {})
    ledger.apply(cycle, "reconcile", [Supersede(memory_id="mem-Lisbon", by="mem-Porto", valid_to=EPOCH)], {})
    feeder = Feeder(ledger, index)
    while feeder.drain(limit=1):
        assert found(index, "Lisbon") == []


def test_a_regenerated_answer_leaves_the_index(ledger: Ledger, index: LocalIndex) -> None:
    ledger.record_turn(a_turn("Name a fruit.", reply="Banana", exchange="exc-1"))
    drained(ledger, index)
    assert len(found(index, "banana")) == 1
    ledger.record_turn(a_turn("Name a fruit.", reply="Cherry", exchange="exc-2"))
    drained(ledger, index)
    assert (found(index, "banana"), len(found(index, "cherry"))) == ([], 1)


def test_a_rebuilt_index_answers_like_the_grown_one(
    ledger: Ledger, index: LocalIndex, tmp_path: Path
) -> None:
    for number in range(6):
        ledger.record_turn(
            a_turn(f"The {number}th bicycle is red.", reply="I see.", thread_id=f"thr-{number}")
        )
        drained(ledger, index)
    rebuilt = LocalIndex(tmp_path / "rebuilt", WordEmbedder())
    drained(ledger, rebuilt)
    for half in ("lexical", "semantic"):
        grown, new = (
            {
                unit.unit_id: round(unit.score, 4)
                for unit in getattr(one, half)("red bicycle", scope="default", limit=50)
            }
            for one in (index, rebuilt)
        )
        assert grown == new
    rebuilt.close()


def test_a_damaged_chroma_folder_is_filled_again_from_the_ledger(ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    ledger.import_messages(lines(8))
    index = LocalIndex(folder, WordEmbedder())
    drained(ledger, index)
    index.close()
    (folder / "chroma" / "chroma.sqlite3").write_bytes(b"no database at all" * 500)
    index = LocalIndex(folder, WordEmbedder())
    assert "chroma.broken-1" in index.broken
    drained(ledger, index)
    assert len(index.semantic("bicycle number 3", scope="default", limit=20)) == 8
    assert (index.broken, index.stale) == ("", False)
    index.close()


def test_tool_output_is_not_recalled(ledger: Ledger, index: LocalIndex) -> None:
    ledger.record_turn(a_turn("Look it up.", "Calling.", "tool: bicycle database", reply="Done."))
    drained(ledger, index)
    assert found(index, "bicycle") == []
