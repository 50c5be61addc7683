"""A gate that many pass together, or one alone: queries run side by side, and never while Chroma is taken apart.

Rules:
1. Whoever wants to be alone goes before those who come later: steady queries do not keep it waiting.
2. Nobody who is inside passes a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Gate:
    """Shared by many, or held by one."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._inside = 0
        self._alone_waiting = 0
        self._alone = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Be inside along with others, while nobody is alone in there."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._alone_waiting)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be inside with nobody else."""
        with self._changed:
            self._alone_waiting += 1
            self._changed.wait_for(lambda: not self._alone and not self._inside)
            self._alone_waiting -= 1
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
