"""The fingerprints that hold now: those that ship with ltmld, and a user's own beside them.

Rules:
1. The shipped ones always hold. A user's entry that is wrong is left out and said: in the log and in ``status``.
2. A file that changes is read again within ``FRESH_S``; until then a request costs no look at the disk.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ltmld.errors import SettingsError
from ltmld.wake.fingerprint import Fingerprint, read

if TYPE_CHECKING:
    from ltmld.core.ports import JsonObject

log = structlog.get_logger(__name__)

FILE = "fingerprints.toml"
# A person who edits the file tries it in the next minute; looking costs a few microseconds.
FRESH_S = 5.0
# Each costs every request a comparison: a thousand cost a tenth of a millisecond.
_ENTRIES_MAX = 1000
_BYTES_MAX = 1024 * 1024


class Fingerprints:
    """What background requests are known by; *own* is the user's file, which need not be there."""

    def __init__(self, own: Path | None = None, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._own = own
        self._seconds = seconds
        self._looked_at = float("-inf")
        self._stamp: tuple[int, int] | None = None
        self._mine: tuple[Fingerprint, ...] = ()
        self.problems: tuple[str, ...] = ()
        self.current()

    def current(self) -> tuple[Fingerprint, ...]:
        """Return those that hold now."""
        if self._own is not None and self._seconds() - self._looked_at >= FRESH_S:
            self._looked_at = self._seconds()
            self._look(self._own)
        return (*shipped(), *self._mine)

    def standing(self) -> JsonObject:
        """Return what ``status`` shows."""
        return {
            "shipped": len(shipped()),
            "own": len(self._mine),
            "file": str(self._own) if self._own else "",
            "problems": list(self.problems),
        }

    def _look(self, path: Path) -> None:
        stamp = _stamp(path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self._mine, self.problems = ((), ()) if stamp is None else _entries(path)
        for problem in self.problems:
            log.warning("fingerprints.wrong", file=str(path), problem=problem)
        if self._mine:
            log.info("fingerprints.own", file=str(path), count=len(self._mine))


@cache
def shipped() -> tuple[Fingerprint, ...]:
    """Return the fingerprints that ship with ltmld."""
    text = resources.files("ltmld.wake").joinpath(FILE).read_text("utf-8")
    entries = tomllib.loads(text)["fingerprint"]
    return tuple(read(entry, number=number) for number, entry in enumerate(entries, start=1))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size


def _entries(path: Path) -> tuple[tuple[Fingerprint, ...], tuple[str, ...]]:
    """Return the fingerprints of a user's file, and what is wrong with the others."""
    try:
        tree = tomllib.loads(_text(path))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, SettingsError) as error:
        return (), (f"{path} is not read: {error}. Mend it; ltmld reads it again by itself.",)
    listed = tree.pop("fingerprint", [])
    problems = [f"{key!r} is not known there. Entries begin with [[fingerprint]]." for key in tree]
    found = []
    if not isinstance(listed, list) or len(listed) > _ENTRIES_MAX:
        return (), (*problems, f"it must hold a list of at most {_ENTRIES_MAX} [[fingerprint]] entries.")
    for number, entry in enumerate(listed, start=1):
        try:
            found.append(read(entry, number=number))
        except SettingsError as error:
            problems.append(str(error))
    return tuple(found), tuple(problems)


def _text(path: Path) -> str:
    if path.stat().st_size > _BYTES_MAX:
        raise SettingsError(f"it is larger than {_BYTES_MAX} bytes")
    return path.read_text(encoding="utf-8")
