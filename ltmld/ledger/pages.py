"""Pages of a long list: bounded, and continued by a cursor that names the last row seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ltmld.errors import BadInputError

PAGE_ROWS_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The sort key of the last row of the page before: its time and its id."""

    at: str = ""
    id: str = ""

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the cursor spelled *text*, the start for an empty one.

        Raises:
            BadInputError: *text* is no cursor of ours.
        """
        if not text:
            return cls()
        at, mark, identity = text.partition("~")
        if not (at and mark and identity):
            raise BadInputError(f"{text!r} is no cursor. Use the one that came with the page before.")
        return cls(at=at, id=identity)


def bounded(limit: int) -> int:
    """Return *limit* within what one page may hold."""
    return max(1, min(limit, PAGE_ROWS_MAX))


def spelled(rows: Sequence[Mapping[str, Any]], *, at: str, limit: int) -> str:
    """Return the cursor after *rows*, '' when fewer came than were asked for; *at* names their time column."""
    if len(rows) < bounded(limit):
        return ""
    return f"{rows[-1][at]}~{rows[-1]['id']}"
