"""What commands print on: tables by rich for people, JSON for programs.

Rules:
1. Standard output holds the answer and nothing else; remarks and progress go to standard error.
2. Nothing that matters is cut: on a terminal long text folds, in a pipe a row is one line as long as it needs.
3. Words from memories are data: control characters in them are shown, not obeyed, and markup in them is text.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

# Wide enough for the longest message that is kept whole; rich needs a number.
PIPE_COLUMNS = 100_000

# C0 and C1 controls and the marks that turn the direction of text: none may reach a terminal from a memory.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def console() -> Console:
    """Return the console of standard output."""
    from rich.console import Console

    piped = not sys.stdout.isatty()
    return Console(highlight=False, markup=False, emoji=False, width=PIPE_COLUMNS if piped else None)


def remarks() -> Console:
    """Return the console of standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def show(*parts: RenderableType) -> None:
    """Print the answer."""
    target = console()
    if target.is_terminal:
        for part in parts:
            target.print(part)
        return
    # In a pipe a cell's padding would fill the line to the width of the widest row.
    with target.capture() as captured:
        for part in parts:
            target.print(part)
    sys.stdout.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def show_json(value: Any) -> None:
    """Print *value* as JSON, keys in their order."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def remark(message: str) -> None:
    """Say something beside the answer, on standard error."""
    sys.stderr.write(message + "\n")


def table(*columns: str, numbers: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """Return an empty table; *numbers* align right, *whole* columns never fold."""
    from rich.table import Table

    tty = sys.stdout.isatty()
    made = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in numbers else "left",
            no_wrap=not tty or name in whole or name in numbers,
            overflow="fold",
        )
    return made


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Return a table of names and values."""
    from rich.table import Table

    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, words(value))
    return made


def words(value: object, *, style: str = "") -> Text:
    """Return *value* as text that a terminal shows and never obeys; in a pipe on one line."""
    from rich.text import Text

    text = clean(str(value))
    return Text(text if sys.stdout.isatty() else " ".join(text.split()), style=style)


def clean(text: str) -> str:
    """Return *text* with every control character made visible."""
    return _CONTROLS.sub("�", text)


def moment(value: str | None) -> str:
    """Return an RFC 3339 time as local date and minute; empty for none."""
    if not value:
        return ""
    return datetime.fromisoformat(value).astimezone().strftime("%Y-%m-%d %H:%M")


def length(seconds: float) -> str:
    """Return a length of time in the two units that matter: ``3 d 4 h``, ``2 min 5 s``, ``0.4 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    left, parts = int(seconds), []
    for name, size in units:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])
