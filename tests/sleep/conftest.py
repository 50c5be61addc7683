"""A bedroom per test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.nights import Bedroom


@pytest.fixture
def bedroom(tmp_path: Path) -> Iterator[Bedroom]:
    """Return an empty ledger and index to sleep in."""
    room = Bedroom(tmp_path)
    yield room
    room.close()


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Let the machine stand in UTC, so that days are the same wherever the tests run; call it to move elsewhere."""

    def moved(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    moved("UTC")
    yield moved
    monkeypatch.undo()
    time.tzset()
