"""The report of a sleep cycle, told to a person: what was learned, reinforced, replaced, faded, refused, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltmld.cli.paper import moment, show, table, words

if TYPE_CHECKING:
    from rich.table import Table


def show_cycles(cycles: list[dict[str, Any]]) -> None:
    """Print the list of cycles."""
    made = table("id", "started", "depth", "scope", "model", "state", whole=("id", "started", "state"))
    for cycle in cycles:
        made.add_row(
            words(cycle["id"]),
            words(moment(cycle["started_at"])),
            words(cycle["depth"]),
            words(cycle["scope"] or "all"),
            words(cycle["model"] or "none (rules)"),
            words(cycle["state"]),
        )
    show(made)


def show_report(cycle: dict[str, Any]) -> None:
    """Print one cycle's report."""
    show(_counts(cycle["report"] or {}))


def _counts(report: dict[str, Any]) -> Table:
    made = table("what", "value")
    for name, value in report.items():
        made.add_row(words(name), words(value))
    return made
