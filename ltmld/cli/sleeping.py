"""``ltmld sleep-now`` and ``ltmld sleeps``: run a cycle and watch it; look back at the nights."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ltmld.cli.options import DataDir, Json, Scope, load_settings
from ltmld.errors import LtmldError, RefusedError

if TYPE_CHECKING:
    from ltmld.cli.watching import Watcher
    from ltmld.core.ports import Control

# Stages of a small night end within a tenth of a second; more often would only cost the daemon.
GLANCE_S = 0.1
UNDER_WAY = frozenset({"queued", "waiting", "running"})


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("sleep-now")(sleep_now)
    app.command("sleeps")(sleeps)


def sleep_now(
    *,
    depth: Annotated[str, typer.Option(help="nap (no model), light or deep.")] = "light",
    model: Annotated[
        str, typer.Option(help="Ollama model to ask; empty: the one last talked to.", metavar="MODEL")
    ] = "",
    scope: Scope = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change; change nothing.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Learn from what was said since the last sleep, and report.

    Without a daemon the cycle runs in this process; with one it goes on when you stop watching.
    """
    from ltmld.cli.house import open_control
    from ltmld.cli.paper import remark, show_json
    from ltmld.cli.report import show_report
    from ltmld.cli.watching import watcher
    from ltmld.core.ports import SleepRequest

    _check_depth(depth)
    request = SleepRequest(depth=depth, model=model, scope=scope, dry_run=dry_run, trigger="manual")
    with open_control(load_settings(data_dir=data_dir)) as control:
        started = control.start_sleep(request)
        try:
            with watcher() as watching:
                cycle = _follow(control, started["id"], watching)
        except KeyboardInterrupt:
            remark(
                f"\nThe cycle {started['id']} is not lost: the daemon goes on with it, or the next sleep does."
            )
            raise
    if as_json:
        show_json(cycle)
    else:
        show_report(cycle)
    if cycle["state"] != "completed":
        raise _ended_badly(cycle)


def sleeps(
    cycle_id: Annotated[str, typer.Argument(help="One cycle, by its id.", metavar="[ID]")] = "",
    *,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List the sleep cycles, or show the report of one."""
    from ltmld.cli.house import open_control
    from ltmld.cli.paper import remark, show_json
    from ltmld.cli.report import show_cycles, show_report

    with open_control(load_settings(data_dir=data_dir)) as control:
        found = control.sleep(cycle_id) if cycle_id else control.sleeps()
    if as_json:
        show_json(found)
    elif cycle_id:
        show_report(found)
    elif not found["sleeps"]:
        remark("No sleep yet. Run `ltmld sleep-now`.")
    else:
        show_cycles(found["sleeps"])


def _check_depth(depth: str) -> None:
    if depth not in ("nap", "light", "deep"):
        raise typer.BadParameter(f"{depth!r} is none of nap, light, deep", param_hint="--depth")


def _follow(control: Control, cycle_id: str, watching: Watcher) -> dict[str, Any]:
    while (cycle := control.sleep(cycle_id))["state"] in UNDER_WAY:
        watching.see(cycle)
        time.sleep(GLANCE_S)
    watching.see(cycle)
    return cycle


def _ended_badly(cycle: dict[str, Any]) -> LtmldError:
    reason = (cycle["report"] or {}).get("error", "")
    because = f": {reason}" if reason else "."
    return RefusedError(
        f"The cycle {cycle['id']} ended {cycle['state'].replace('_', ' ')}{because} "
        "Nothing half-done stays in the ledger; run `ltmld sleep-now` again."
    )
