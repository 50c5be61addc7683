"""How everything stands, for ``status`` and for those who watch a cycle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltmld import __version__
from ltmld.core.ports import JsonObject, StageProgress
from ltmld.daemon import probe, views
from ltmld.proxy.trust import trust_for

if TYPE_CHECKING:
    from ltmld.config import Settings
    from ltmld.daemon.sleeper import Sleeper
    from ltmld.ledger.ledger import Ledger

# The states of the contract in which a cycle has ended.
ENDED = frozenset({"completed", "rolled_back", "cancelled", "failed"})


def daemon(settings: Settings, *, now: datetime, started_at: datetime) -> JsonObject:
    """Return which process this is, and where it listens."""
    return {
        "version": __version__,
        "pid": os.getpid(),
        "uptime_s": round((now - started_at).total_seconds(), 1),
        "data_dir": str(settings.data_dir),
        "addresses": {
            "listen": settings.listen,
            "url": settings.listen_url,
            "admin_listen": settings.admin_listen,
        },
        "upstream": probe.upstream(
            settings.upstream_host,
            trust=trust_for(settings.upstream_host, settings.proxy.ca_file),
            source=settings.upstream_source,
        ),
    }


def ledger(books: Ledger, data_dir: Path) -> JsonObject:
    """Return the totals of the ledger, its size, and how far the index is behind."""
    files = sorted(data_dir.glob("ledger.sqlite3*"))
    return {
        **books.counts(),
        "outbox_depth": books.outbox_depth(),
        "size_bytes": sum(file.stat().st_size for file in files),
    }


def sleep(books: Ledger, sleeper: Sleeper) -> JsonObject:
    """Return the last cycle that ended, and the one that runs."""
    cycles = [cycle(row, sleeper) for row in books.cycles(limit=5)]
    return {
        "last": next((shown for shown in cycles if shown["state"] in ENDED), None),
        "running": next((shown for shown in cycles if shown["state"] not in ENDED), None),
    }


def cycle(row: Mapping[str, Any], sleeper: Sleeper) -> JsonObject:
    """Return one cycle: as the ledger has it, and as it shows itself while it runs."""
    live = sleeper.live()
    watched = live if live is not None and live.cycle_id == row["id"] else None
    stages = [views.progress(step) for step in list(watched.steps)] if watched else _past(row)
    state, report = str(row["state"]), row["report"]
    if state not in ENDED:
        broken = "" if watched else sleeper.broken(row["id"])
        state = watched.state if watched else "failed" if broken else "queued"
        report = {"error": broken} if broken else None
    return {
        "id": row["id"],
        "state": state,
        "scope": row["scope"],
        "depth": row["depth"],
        "trigger": row["trigger"],
        "model": row["model"],
        "dry_run": bool(row["dry_run"]),
        "started_at": row["started_at"],
        "ended_at": row["ended_at"],
        "progress": stages[-1] if watched and stages else None,
        "stages": stages,
        "report": report,
    }


def _past(row: Mapping[str, Any]) -> list[JsonObject]:
    """Return the stages of a cycle that does not run now, in the shape of those that do."""
    return [
        views.progress(
            StageProgress(
                cycle_id=row["id"],
                stage=stage["stage"],
                done=1,
                total=1,
                note=stage.get("scope", ""),
                counts=stage["counts"],
            )
        )
        for stage in row["report"].get("stages", row["stages"])
    ]
