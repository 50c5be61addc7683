"""Sleep cycles: one at a time, each with a lease and a checkpoint after every stage.

Rules:
1. A cycle holds a lease of ``LEASE``, renewed by every stage and by ``renew``. Another cycle begins only
   when none holds a lease that still runs.
2. A stage's proposals, its payload and its checkpoint are written in one transaction; a stage that was
   applied is not applied again, so a resumed cycle repeats a stage, never half of one.
3. A dry run applies nothing.
4. Payloads are for resuming: when the cycle ends they are dropped, and the report stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlite_utils

from ltmld.core.proposal import Proposal
from ltmld.errors import NotFoundError, RefusedError
from ltmld.ledger import proposals as proposing
from ltmld.ledger.changes import Cause
from ltmld.ledger.pages import bounded
from ltmld.ledger.spelling import clean, dumped, loaded_object, stamp

# Longer than the slowest model call of a stage; shorter than a person waits before asking why nothing runs.
LEASE = timedelta(minutes=15)

RUNNING, FAILED = "running", "failed"

_UNFINISHED = "SELECT * FROM cycles WHERE ended_at IS NULL ORDER BY started_at DESC, id DESC LIMIT 1"

_BY_ID = "SELECT * FROM cycles WHERE id = ?"

_LATEST = "SELECT * FROM cycles ORDER BY started_at DESC, id DESC LIMIT ?"

_STAGES = "SELECT stage, counts, applied_at FROM cycle_stages WHERE cycle_id = ? ORDER BY position"

_STAGE = "SELECT counts FROM cycle_stages WHERE cycle_id = ? AND stage = ?"

_LAST_STAGE = "SELECT stage, payload FROM cycle_stages WHERE cycle_id = ? ORDER BY position DESC LIMIT 1"

_ADD_STAGE = """
    INSERT INTO cycle_stages (cycle_id, position, stage, counts, payload, applied_at)
    SELECT :cycle_id, coalesce(max(position), 0) + 1, :stage, :counts, :payload, :applied_at
    FROM cycle_stages WHERE cycle_id = :cycle_id
"""

_END = "UPDATE cycles SET state = ?, report = ?, ended_at = ?, lease_until = ? WHERE id = ?"

_DROP_PAYLOADS = "UPDATE cycle_stages SET payload = '{}' WHERE cycle_id = ?"


def begin(
    connection: sqlite3.Connection,
    *,
    cycle_id: str,
    scope: str,
    depth: str,
    trigger: str,
    model: str,
    dry_run: bool,
    now: datetime,
) -> str:
    """Begin a cycle and return its id; one whose lease ran out is ended as failed.

    Raises:
        RefusedError: another cycle is running.
    """
    unfinished = connection.execute(_UNFINISHED).fetchone()
    if unfinished is not None:
        if unfinished["lease_until"] > stamp(now):
            raise RefusedError(
                f"Sleep cycle {unfinished['id']} is running since {unfinished['started_at']}. "
                "Wait for it; `ltmld sleeps` shows how far it is."
            )
        report = {"error": "its lease ran out and another cycle began"}
        end(connection, unfinished["id"], state=FAILED, report=report, now=now)
    row = {
        "id": cycle_id,
        "scope": scope,
        "depth": depth,
        "trigger": trigger,
        "model": clean(model),
        "dry_run": int(dry_run),
        "state": RUNNING,
        "started_at": stamp(now),
        "lease_until": stamp(now + LEASE),
        "report": "{}",
    }
    sqlite_utils.Database(connection).table("cycles").insert(row)
    return cycle_id


def renew(connection: sqlite3.Connection, cycle_id: str, now: datetime) -> None:
    """Hold the lease for another while.

    Raises:
        NotFoundError: there is no such cycle.
        RefusedError: it has ended.
    """
    _open(connection, cycle_id)
    sqlite_utils.Database(connection).table("cycles").update(cycle_id, {"lease_until": stamp(now + LEASE)})


def checkpoint(connection: sqlite3.Connection, cycle_id: str) -> tuple[str, dict[str, Any]] | None:
    """Return the last stage that was applied and its payload, ``None`` before the first."""
    row = connection.execute(_LAST_STAGE, (cycle_id,)).fetchone()
    return None if row is None else (row["stage"], loaded_object(row["payload"]))


def apply(
    connection: sqlite3.Connection,
    cycle_id: str,
    stage: str,
    *,
    proposals: Sequence[Proposal],
    payload: Mapping[str, Any],
    now: datetime,
) -> dict[str, int]:
    """Write what a stage proposes together with its checkpoint; return counts per class of proposal.

    Raises:
        NotFoundError: there is no such cycle.
        RefusedError: it has ended.
        ValueError: it is a dry run.
    """
    cycle = _open(connection, cycle_id)
    if cycle["dry_run"]:
        raise ValueError(f"cycle {cycle_id} is a dry run: nothing of it may be applied")
    before = connection.execute(_STAGE, (cycle_id, stage)).fetchone()
    if before is not None:
        return loaded_object(before["counts"])
    cause = Cause(words=f"sleep {stage}", at=now, cycle_id=cycle_id)
    counts = proposing.apply(connection, proposals, cause)
    row = {
        "cycle_id": cycle_id,
        "stage": stage,
        "counts": dumped(counts),
        "payload": clean(dumped(payload)),
        "applied_at": stamp(now),
    }
    connection.execute(_ADD_STAGE, row)
    renew(connection, cycle_id, now)
    return counts


def end(
    connection: sqlite3.Connection, cycle_id: str, *, state: str, report: Mapping[str, Any], now: datetime
) -> None:
    """End a cycle with its report and give the lease back.

    Raises:
        NotFoundError: there is no such cycle.
        RefusedError: it has ended already.
    """
    _open(connection, cycle_id)
    connection.execute(_END, (state, clean(dumped(report)), stamp(now), stamp(now), cycle_id))
    connection.execute(_DROP_PAYLOADS, (cycle_id,))


def one(connection: sqlite3.Connection, cycle_id: str) -> dict[str, Any]:
    """Return a cycle with its report and the stages that were applied.

    Raises:
        NotFoundError: there is no such cycle.
    """
    return _described(connection, _found(connection, cycle_id))


def latest(connection: sqlite3.Connection, limit: int) -> list[dict[str, Any]]:
    """Return cycles, the latest first."""
    rows = connection.execute(_LATEST, (bounded(limit),)).fetchall()
    return [_described(connection, row) for row in rows]


def unfinished(connection: sqlite3.Connection) -> dict[str, Any] | None:
    """Return the cycle that has not ended, whether its lease still runs or not, ``None`` when all have."""
    row = connection.execute(_UNFINISHED).fetchone()
    return None if row is None else _described(connection, row)


def _found(connection: sqlite3.Connection, cycle_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(_BY_ID, (cycle_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"There is no sleep cycle {cycle_id}. `ltmld sleeps` shows the ones there are.")
    return row


def _open(connection: sqlite3.Connection, cycle_id: str) -> sqlite3.Row:
    row = _found(connection, cycle_id)
    if row["ended_at"] is not None:
        raise RefusedError(f"Sleep cycle {cycle_id} has ended ({row['state']}). Begin another one.")
    return row


def _described(connection: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    described = dict(row)
    described["dry_run"] = bool(row["dry_run"])
    described["report"] = loaded_object(row["report"])
    described["stages"] = [
        {"stage": stage["stage"], "applied_at": stage["applied_at"], "counts": loaded_object(stage["counts"])}
        for stage in connection.execute(_STAGES, (row["id"],))
    ]
    return described
