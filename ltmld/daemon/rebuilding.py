"""Changing the embedder while everything goes on: get it ready, build its vectors beside the others, swap.

Rules:
1. One change at a time. Getting ready (an export, a model that Ollama loads) happens before anything is promised: what
   cannot be an embedder is refused, and nothing has changed.
2. The building itself is the feeder's work, after whatever is new; here it is only begun, watched and finished.
3. A change that a crash interrupted goes on at the next start, from what is built already.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from ltmld.core.embedder_key import embedder_key
from ltmld.errors import BadInputError, EmbedderError, RefusedError

if TYPE_CHECKING:
    from ltmld.core.ports import JsonObject
    from ltmld.index.index import LocalIndex
    from ltmld.models.embedders import AnyEmbedder, Embedders
    from ltmld.wake.feeder import Feeder

log = structlog.get_logger(__name__)


class Rebuilding:
    """The change of embedders of one index."""

    def __init__(self, index: LocalIndex, feeder: Feeder, embedders: Embedders, *, setting: str) -> None:
        self._index, self._feeder, self._embedders, self._setting = index, feeder, embedders, setting
        self._lock = threading.Lock()
        self._made: list[AnyEmbedder] = []
        self.wake: Callable[[], None] | None = None
        """Wakes the thread that feeds the index; without one the work is done by the caller."""

    def begin(self, name: str) -> JsonObject:
        """Begin to change to the embedder that is called *name*.

        Raises:
            BadInputError: it cannot be an embedder's name.
            EmbedderError: there is no such embedder, or it cannot be made ready.
            RefusedError: another change is being prepared.
        """
        try:
            key = embedder_key(name)
        except ValueError as error:
            raise BadInputError(f"embedder: {name[:80]!r} {error}.") from error
        if not self._lock.acquire(blocking=False):
            raise RefusedError("Another embedder is being prepared. Try again when it is.")
        try:
            embedder = self._embedders.make(key)
            self._made.append(embedder)
            embedder.load()
            self._index.build_beside(embedder, key=key, over=self._setting)
            log.info("embedder.building", embedder=embedder.name)
        finally:
            self._lock.release()
        if self.wake is None:
            while self._feeder.drain() or self._feeder.fill():
                pass
        else:
            self.wake()
        return self._index.standing()

    def go_on(self, key: str) -> None:
        """Go on with a change that was interrupted; one that can no longer be is given up, and said in the log."""
        embedder = self._embedders.make(key)
        self._made.append(embedder)
        try:
            embedder.load()
            self._index.build_beside(embedder, key=key, over=self._setting)
        except EmbedderError as error:
            log.warning("embedder.change_waits", embedder=key, error=str(error), remedy="start ltmld again")

    def close(self) -> None:
        """Close the connections of embedders that have some."""
        for embedder in self._made:
            embedder.close()
