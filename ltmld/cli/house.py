"""Where a command finds memory: in the running daemon when there is one, else in the folder itself.

Rules:
1. A daemon counts as running when ``daemon.json`` names a process and ``/healthz`` answers with that very process:
   a file left behind by a crash, or another ltmld on the same port, leads nowhere.
2. Without a daemon the folder is opened under its lock, so that two programs never write it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltmld.admin.token import read
from ltmld.cli.client import RemoteControl
from ltmld.config import Settings, split_address
from ltmld.errors import DaemonAbsentError

if TYPE_CHECKING:
    from ltmld.core.ports import Control

DAEMON_FILE = "daemon.json"


@contextmanager
def open_control(settings: Settings) -> Iterator[Control]:
    """Yield what answers: the daemon, or the folder opened for the time of one command.

    Raises:
        FolderInUseError: another ltmld owns the folder and does not answer.
        LedgerError: the folder cannot be opened.
    """
    remote = running(settings)
    if remote is not None:
        yield remote
        return
    from ltmld.daemon import logs
    from ltmld.daemon.house import House

    # Events belong to a daemon's log; beside a command's answer only what went wrong does.
    logs.set_up("warning")
    house = House.open(settings)
    try:
        if house.ledger.outbox_depth():
            # What a crash, a damaged index or a killed import left behind: an answer without it would be wrong.
            house.control.catch_up()
        yield house.control
    finally:
        house.close()


def running(settings: Settings) -> RemoteControl | None:
    """Return the daemon of this data folder, or ``None`` when none runs."""
    facts = _facts(settings.data_dir)
    if facts is None:
        return None
    try:
        host, port = split_address(str(facts["admin_listen"]))
        remote = RemoteControl(host, port, token=read(settings.data_dir))
        return remote if remote.pid() == facts["pid"] else None
    except (DaemonAbsentError, KeyError, ValueError):
        return None


def _facts(data_dir: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads((data_dir / DAEMON_FILE).read_text())
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None
