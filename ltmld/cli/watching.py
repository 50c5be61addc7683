"""A running cycle on the screen: one line per stage, with its counts, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ltmld.cli.paper import clean, remark, remarks

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Watcher(Protocol):
    """Whoever is shown a cycle again and again."""

    def see(self, cycle: dict[str, Any]) -> None:
        """Take note of how the cycle stands."""


@contextmanager
def watcher() -> Iterator[Watcher]:
    """Yield live bars on a terminal, a line per finished stage elsewhere."""
    target = remarks()
    if not target.is_terminal:
        lines = _Lines()
        yield lines
        lines.end()
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description:<10}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False, style="dim"),
    )
    with Progress(*columns, console=target) as progress:
        bars = _Bars(progress)
        yield bars
        bars.end()


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._waiting: TaskID | None = None

    def see(self, cycle: dict[str, Any]) -> None:
        self._show_waiting(waiting=cycle["state"] == "waiting")
        # One bar for each stage; a later scope's turn uses it again, and the note says whose turn it is.
        for step in cycle["stages"]:
            task = self._tasks.get(step["stage"])
            if task is None:
                self.end()
                task = self._progress.add_task(step["stage"], total=None, note="")
                self._tasks[step["stage"]] = task
            self._progress.update(
                task, completed=step["done"], total=step["total"] or None, note=clean(_remark(step))
            )

    def end(self) -> None:
        """Everything that was begun is done."""
        for task in self._tasks.values():
            shown = self._progress.tasks[task]
            done = max(shown.completed, 1)
            self._progress.update(task, completed=done, total=done)

    def _show_waiting(self, *, waiting: bool) -> None:
        if waiting and self._waiting is None:
            note = "someone is talking; sleep waits for them"
            self._waiting = self._progress.add_task("waiting", total=None, note=note)
        if self._waiting is not None:
            self._progress.update(self._waiting, visible=waiting)


class _Lines:
    def __init__(self) -> None:
        self._steps: list[dict[str, Any]] = []
        self._said = 0

    def see(self, cycle: dict[str, Any]) -> None:
        self._steps = cycle["stages"]
        # All but the last have ended; the last may still grow.
        self._say(len(self._steps) - 1)

    def end(self) -> None:
        self._say(len(self._steps))

    def _say(self, count: int) -> None:
        for step in self._steps[self._said : count]:
            remark(clean(f"{step['stage']:<10} {step['done']}/{step['total']}  {_remark(step)}".rstrip()))
        self._said = max(self._said, count)


def _remark(step: dict[str, Any]) -> str:
    counted = " ".join(f"{name} {count}" for name, count in step["counts"].items() if count)
    return ", ".join(part for part in (step["note"], counted) if part)
