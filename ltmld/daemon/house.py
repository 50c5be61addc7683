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
from ltmld.daemon.rebuilding import Rebuilding
from ltmld.daemon.sleeper import Sleeper
from ltmld.index.building import choice
from ltmld.index.chroma import ChromaServer
from ltmld.index.index import LocalIndex
from ltmld.ledger.ledger import Ledger
from ltmld.models.deferred import DeferredEmbedder
from ltmld.models.embedders import AnyEmbedder, Embedders
from ltmld.proxy.trust import trust_for
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
    embedder: AnyEmbedder | DeferredEmbedder
    index: LocalIndex
    feeder: Feeder
    recall: HybridRecall
    sleeper: Sleeper
    control: LocalControl
    rebuilding: Rebuilding
    unfinished: str = ""
    """The embedder whose vectors were being built when ltmld last stopped."""
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
        embedders, chosen = _embedders(settings), choice(folder / "index")
        named = embedders.make(chosen.in_use(settings.models.embedder))
        embedder = DeferredEmbedder(named) if deferred else named
        index = _index(settings, embedder, ledger)
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
        rebuilding = Rebuilding(index, feeder, embedders, setting=settings.models.embedder)
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
        control.rebuilding = rebuilding
        if isinstance(embedder, DeferredEmbedder):
            control.embedder = lambda: _standing(index, embedder)
            control.readiness = lambda: "ready" if embedder.settled.is_set() else "preparing"
        return cls(
            ledger=ledger,
            embedder=embedder,
            index=index,
            feeder=feeder,
            recall=recall,
            sleeper=sleeper,
            control=control,
            rebuilding=rebuilding,
            unfinished=chosen.to_build(settings.models.embedder),
            lock=own,
        )

    def close(self) -> None:
        """Close every room, the latest opened first."""
        self.sleeper.close()
        self.recall.close()
        self.index.close()
        self.rebuilding.close()
        self.embedder.close()
        self.ledger.close()
        if self.lock:
            self.lock.release()


def _standing(index: LocalIndex, first: DeferredEmbedder) -> str:
    """Name the embedder in use, or say why there is none: the first one, or what it was changed to."""
    used = index.in_use
    return first.standing if used is None or used is first else used.name


def _embedders(settings: Settings) -> Embedders:
    return Embedders(
        folder=settings.data_dir / "models",
        threads=settings.models.threads,
        ollama_url=settings.upstream,
        ollama_timeout_s=settings.models.embedding_timeout_s,
        trust=lambda: trust_for(settings.upstream_host, settings.proxy.ca_file),
    )


def _index(settings: Settings, embedder: AnyEmbedder | DeferredEmbedder, ledger: Ledger) -> LocalIndex:
    index = LocalIndex(
        settings.data_dir / "index",
        embedder,
        place=_place(settings),
        deadline_s=settings.index.deadline_ms / 1000,
    )
    if index.broken:
        log.warning("index.broken", reason=index.broken)
        if index.stale:
            # A command that ends soon makes up for what was lost before it answers, as the feeder does in the daemon.
            ledger.outbox_refill()
    return index


def _place(settings: Settings) -> ChromaServer | None:
    """Return the Chroma server of the settings, if there is one."""
    if not settings.index.url:
        return None
    secret, header = settings.index.token, settings.index.token_header
    token = secret.get_secret_value() if secret else ""
    if token and header.lower() == "authorization" and " " not in token:
        token = f"Bearer {token}"
    return ChromaServer(
        url=settings.index.url, folder=settings.data_dir / "index", header=header, token=token
    )
