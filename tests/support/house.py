"""A small house on one folder: the real ledger, index (full text alone, so that nothing is loaded), recall, sleeper."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltmld.admin.app import make_app
from ltmld.admin.token import load_or_make
from ltmld.config import Settings
from ltmld.daemon.clock import new_id, utc_now
from ltmld.daemon.control import LocalControl
from ltmld.daemon.sleeper import Sleeper
from ltmld.index.index import LocalIndex
from ltmld.ledger import Ledger
from ltmld.wake.feeder import Feeder
from ltmld.wake.recall import HybridRecall
from tests.support.control_plane import Caller, serving

# Nothing listens there: the discard port of loopback.
NO_OLLAMA = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallHouse:
    """The rooms behind a control."""

    ledger: Ledger
    index: LocalIndex
    sleeper: Sleeper
    control: LocalControl


@contextlib.contextmanager
def small_house(folder: Path, *, upstream: str = NO_OLLAMA) -> Iterator[SmallHouse]:
    """Open a house on *folder*; *upstream* is where its Ollama would be."""
    settings = Settings.load(data_dir=folder, upstream=upstream)
    ledger = Ledger.open(folder, clock=utc_now, new_id=new_id)
    index = LocalIndex(folder / "index", None)
    feeder = Feeder(ledger, index)
    recall = HybridRecall(
        ledger=ledger,
        index=index,
        settings=settings.wake,
        candidates=settings.index.candidates,
        clock=utc_now,
    )
    sleeper = Sleeper(
        ledger=ledger, index=index, feeder=feeder, settings=settings, clock=utc_now, new_id=new_id
    )
    control = LocalControl(ledger, index, feeder, recall, settings, utc_now, new_id, sleeper=sleeper)
    try:
        yield SmallHouse(ledger=ledger, index=index, sleeper=sleeper, control=control)
    finally:
        sleeper.close()
        index.close()
        ledger.close()


@contextlib.contextmanager
def small_daemon(folder: Path, house: SmallHouse) -> Iterator[Caller]:
    """Serve the control plane of *house*, found by the command line as a daemon is."""
    token = load_or_make(folder)
    with serving(make_app(house.control, token=token)) as port:
        card = {"pid": os.getpid(), "admin_listen": f"127.0.0.1:{port}"}
        (folder / "daemon.json").write_text(json.dumps(card))
        yield Caller(port, token)


def line(text: str, **changes: Any) -> bytes:
    """Return one NDJSON line of conversation ``talk``."""
    fields = {"thread": "talk", "at": "2026-01-31T18:00:00Z", "role": "user", "name": "Ann", "text": text}
    return json.dumps(fields | changes).encode() + b"\n"
