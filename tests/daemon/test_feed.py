"""Promise: the thread that feeds the index outlives whatever fails in it, and carries the rows when it is over."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ltmld.daemon.clock import new_id, utc_now
from ltmld.daemon.feed import FeedThread
from ltmld.errors import IndexBrokenError
from ltmld.index.index import LocalIndex
from ltmld.ledger import Ledger
from ltmld.wake.feeder import Feeder
from tests.support.embedders import WordEmbedder
from tests.support.ledgers import a_line

PATIENCE_S = 20.0


class MoodyEmbedder(WordEmbedder):
    """Fails as nobody expects it, until it is healed."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure: Exception | None = failure
        self.failed = threading.Event()

    def embed(self, texts: Sequence[str]) -> Any:
        if self.failure is not None:
            self.failed.set()
            raise self.failure
        return super().embed(texts)


@pytest.mark.parametrize(
    "failure", [AttributeError("no attribute 'bindings'"), IndexBrokenError("the disk is full")]
)
def test_no_failure_ends_the_feeding(tmp_path: Path, failure: Exception) -> None:
    embedder = MoodyEmbedder(failure)
    ledger = Ledger.open(tmp_path, clock=utc_now, new_id=new_id)
    index = LocalIndex(tmp_path / "index", embedder)
    ledger.import_messages([a_line("I live in Lisbon.")])
    feed = FeedThread(Feeder(ledger, index), pause_s=0.01)
    feed.start()
    assert embedder.failed.wait(PATIENCE_S)
    embedder.failure = None
    rounds, tick = 0, threading.Event()
    while ledger.outbox_depth() and rounds < 400:
        feed.wake()
        tick.wait(0.05)
        rounds += 1
    assert ledger.outbox_depth() == 0
    feed.stop()
    index.close()
    ledger.close()
