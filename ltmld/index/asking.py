"""Asking what may keep one waiting: an answer by the deadline, or none; never more askers than ``ASKERS_MAX``.

Rules:
1. Who is not answered in time goes on without: the late answer is thrown away.
2. While all askers wait, further questions are not asked at all.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

# The data plane recalls for four requests at a time.
ASKERS_MAX = 4

Answer = TypeVar("Answer")


class Asking:
    """A few threads that wait so that others need not."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._free = BoundedSemaphore(ASKERS_MAX)
        self._threads = ThreadPoolExecutor(max_workers=ASKERS_MAX, thread_name_prefix="asking")

    def ask(self, question: Callable[[], Answer]) -> Answer | None:
        """Return the answer, or ``None`` where there is none in time. What it raises is raised."""
        if not self._free.acquire(blocking=False):
            return None
        try:
            asked = self._threads.submit(question)
        except RuntimeError:  # closed meanwhile
            self._free.release()
            return None
        asked.add_done_callback(lambda _: self._free.release())
        try:
            return asked.result(self._deadline_s)
        except TimeoutError:
            return None

    def close(self) -> None:
        """Let the threads go, each once it has its answer."""
        self._threads.shutdown(wait=False, cancel_futures=True)
