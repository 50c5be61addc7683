"""What the tests of the index stand on: real SQLite and Chroma, and an embedder that costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ltmld.index.index import LocalIndex
from tests.support.embedders import WordEmbedder


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def index(tmp_path: Path, embedder: WordEmbedder) -> Iterator[LocalIndex]:
    made = LocalIndex(tmp_path / "index", embedder)
    made.refilled()
    yield made
    made.close()
