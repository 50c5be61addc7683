"""A bedroom per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nights import Bedroom


@pytest.fixture
def bedroom(tmp_path: Path) -> Iterator[Bedroom]:
    """Return an empty ledger and index to sleep in."""
    room = Bedroom(tmp_path)
    yield room
    room.close()
