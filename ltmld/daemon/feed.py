"""The thread that keeps the index in step with the ledger: woken after every record, and now and then anyway."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

from ltmld.daemon import heap

if TYPE_CHECKING:
    from ltmld.wake.feeder import Feeder

log = structlog.get_logger(__name__)

# A row that was missed (a crash, an index that was away) is met again at the latest after this time.
PATROL_S = 5.0
# After a failure the index is given time: the rows wait in the outbox.
PAUSE_S = 2.0


class FeedThread:
    """Drains the outbox whenever it is woken; whatever fails, it pauses and goes on."""

    def __init__(self, feeder: Feeder, *, pause_s: float = PAUSE_S) -> None:
        self._feeder = feeder
        self._pause_s = pause_s
        self._taken = 0
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin, with whatever an earlier run left in the outbox."""
        self._woken.set()
        self._thread.start()

    def wake(self) -> None:
        """There may be something to index."""
        self._woken.set()

    def stop(self) -> None:
        """End after the batch in work; what is left stays in the outbox."""
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()

    def _drain(self) -> None:
        # What was said just now comes before what only lacks its vectors.
        while not self._stopping.is_set() and (rows := self._feeder.drain() or self._feeder.fill()):
            self._taken += rows
        if heap.settle(self._taken):
            self._taken = 0

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait(PATROL_S)
            self._woken.clear()
            try:
                self._drain()
            except Exception as error:  # noqa: BLE001 - memory fails to "found later": nobody else starts this thread
                log.warning("index.behind", error=str(error), kind=type(error).__name__)
                self._stopping.wait(self._pause_s)
