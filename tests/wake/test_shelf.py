"""The shelf bridges what the ledger does not have yet, for the same conversation and not for its double."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ltmld.wake.shelf import SAME_OPENING, Kept, Shelf

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def kept(thread: str, at: datetime = NOW) -> Kept:
    """Build an entry without an injection."""
    return Kept(thread_id=thread, at=at, injection=None)


def test_an_opening_is_the_same_conversation_only_for_a_while() -> None:
    shelf = Shelf()
    shelf.keep("s", "c1", kept("thr-1"))
    assert shelf.find("s", ["c1"], now=NOW + SAME_OPENING)
    assert not shelf.find("s", ["c1"], now=NOW + SAME_OPENING + timedelta(seconds=1))


def test_a_continued_conversation_is_found_however_late() -> None:
    shelf = Shelf()
    shelf.keep("s", "c1", kept("thr-1"))
    assert [one.thread_id for one in shelf.find("s", ["c1", "c2"], now=NOW + timedelta(days=2))] == ["thr-1"]


def test_scopes_do_not_meet_on_the_shelf() -> None:
    shelf = Shelf()
    shelf.keep("anna", "c1", kept("thr-1"))
    assert not shelf.find("bert", ["c1"], now=NOW)


def test_the_oldest_entries_go_first() -> None:
    shelf = Shelf(entries_max=2)
    for number in range(3):
        shelf.keep("s", f"c{number}", kept(f"thr-{number}"))
    assert [one.thread_id for one in shelf.find("s", ["c0", "c1", "c2"], now=NOW)] == ["thr-1", "thr-2"]
