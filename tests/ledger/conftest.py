"""A ledger on disk, and the clock it reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ltmld.ledger import Ledger
from tests.support.ledgers import MovedClock, a_ledger


@pytest.fixture
def clock() -> MovedClock:
    """Return the clock of the test's ledger."""
    return MovedClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: MovedClock) -> Iterator[Ledger]:
    """Return an empty ledger."""
    opened = a_ledger(tmp_path, clock=clock)
    yield opened
    opened.close()
