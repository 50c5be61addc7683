"""The house: ledger, embedder, index, recall, sleeper and control, each built once and closed in order.

Rules:
1. Opening needs the folder's lock: one process owns a ledger and its index.
2. The ledger must open, or nothing does; everything else may fail to "less memory" and says so in ``status``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import structlog

from ltmld.daemon.clock import new_id, utc_now
from ltmld.daemon.control import LocalControl
from ltmld.daemon.lock import FolderLock
from ltmld.daemon.sleeper import Sleeper
from ltmld.errors import IndexBrokenError
from ltmld.index.index import LocalIndex
from ltmld.ledger.ledger import Ledger
from ltmld.models.deferred import DeferredEmbedder
from ltmld.models.embedder import MiniLmEmbedder
from ltmld.wake.feeder import Feeder
from ltmld.wake.recall import HybridRecall

if TYPE_CHECKING:
    from ltmld.config import Settings
    from ltmld.core.clock import Clock, NewId
    from ltmld.core.ports import JsonObject

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class House:
    """Everything that memory is made of, built once."""

    ledger: Ledger
    embedder: MiniLmEmbedder | DeferredEmbedder
    index: LocalIndex
    feeder: Feeder
    recall: HybridRecall
    sleeper: Sleeper
    control: LocalControl
    lock: FolderLock | None = None

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        lock: FolderLock | None = None,
        proxy_stats: Callable[[], JsonObject] | None = None,
        busy: Callable[[], bool] = lambda: False,
        deferred: bool = False,
        clock: Clock = utc_now,
        make_id: NewId = new_id,
    ) -> Self:
        """Build everything on ``settings.data_dir``; *lock* is the folder's lock, where it is already held.

        The embedder loads at its first use; *deferred*, it refuses until ``prepare`` was called (the daemon's way).

        Raises:
            FolderInUseError: another ltmld works on the folder.
            LedgerError: the folder cannot be written, or the ledger cannot be opened.
        """
        own = None if lock else FolderLock(settings.data_dir)
        try:
            return cls._built(
                settings,
                own=own,
                proxy_stats=proxy_stats,
                busy=busy,
                deferred=deferred,
                clock=clock,
                make_id=make_id,
            )
        except BaseException:
            if own:
                own.release()
            raise

    @classmethod
    def _built(
        cls,
        settings: Settings,
        *,
        own: FolderLock | None,
        proxy_stats: Callable[[], JsonObject] | None,
        busy: Callable[[], bool],
        deferred: bool,
        clock: Clock,
        make_id: NewId,
    ) -> Self:
        folder = settings.data_dir
        ledger = Ledger.open(folder, clock=clock, new_id=make_id, queue_max=settings.ledger.queue_max)
        # Nothing is loaded yet: a command that embeds nothing pays nothing, and the daemon prepares it aside.
        minilm = MiniLmEmbedder(folder / "models", threads=settings.models.threads)
        embedder = DeferredEmbedder(minilm) if deferred else minilm
        try:
            index = LocalIndex(folder / "index", embedder)
        except IndexBrokenError:
            ledger.close()
            raise
        feeder = Feeder(
            ledger, index, opened=embedder.settled if isinstance(embedder, DeferredEmbedder) else None
        )
        recall = HybridRecall(
            ledger=ledger,
            index=index,
            settings=settings.wake,
            candidates=settings.index.candidates,
            clock=clock,
        )
        if index.broken:
            log.warning("index.broken", reason=index.broken)
            ledger.outbox_refill()
        sleeper = Sleeper(
            ledger=ledger,
            index=index,
            feeder=feeder,
            settings=settings,
            clock=clock,
            new_id=make_id,
            busy=busy,
            embedder=embedder,
        )
        control = LocalControl(
            ledger, index, feeder, recall, settings, clock, make_id, sleeper=sleeper, proxy_stats=proxy_stats
        )
        if isinstance(embedder, DeferredEmbedder):
            control.embedder = lambda: embedder.standing
            control.readiness = lambda: "ready" if embedder.settled.is_set() else "preparing"
        return cls(
            ledger=ledger,
            embedder=embedder,
            index=index,
            feeder=feeder,
            recall=recall,
            sleeper=sleeper,
            control=control,
            lock=own,
        )

    def close(self) -> None:
        """Close every room, the latest opened first."""
        self.sleeper.close()
        self.recall.close()
        self.index.close()
        self.ledger.close()
        if self.lock:
            self.lock.release()
