"""Full text that could not be opened: every use of it is refused with the reason."""

from __future__ import annotations

from typing import NoReturn

from ltmld.errors import IndexBrokenError


class Absent:
    """Stands where ``FullText`` would, until that can be opened."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def close(self) -> None:
        """There is nothing to close."""

    def __getattr__(self, name: str) -> NoReturn:
        raise IndexBrokenError(self._reason)
