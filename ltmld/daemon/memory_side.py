"""Memory as the daemon runs it: the house, the attendant at the proxy, the feeder's thread, the control plane."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

import structlog
import uvicorn

from ltmld.admin import token as tokens
from ltmld.admin.app import make_app
from ltmld.config import config_dir
from ltmld.daemon.absent import AbsentControl
from ltmld.daemon.chat_commands import ChatCommands
from ltmld.daemon.clock import new_id, utc_now
from ltmld.daemon.doorway import doorway, waiting
from ltmld.daemon.feed import FeedThread
from ltmld.daemon.house import House
from ltmld.daemon.nightly import Nightly
from ltmld.errors import EmbedderError, IndexBrokenError, LedgerError, LtmldError
from ltmld.models.cards import ModelCards
from ltmld.models.deferred import DeferredEmbedder
from ltmld.proxy.trust import trust_for
from ltmld.wake import fingerprints
from ltmld.wake.attendant import WakeAttendant
from ltmld.wake.clerk import Clerk
from ltmld.wake.fingerprints import Fingerprints

if TYPE_CHECKING:
    from ltmld.config import Settings
    from ltmld.core.ports import Control, JsonObject
    from ltmld.daemon.lock import FolderLock
    from ltmld.proxy.server import Proxy

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class MemorySide:
    """Everything beside the data plane."""

    settings: Settings
    proxy: Proxy
    control: Control
    house: House | None = None
    attendant: WakeAttendant | None = None
    feed: FeedThread | None = None

    @classmethod
    def opened(cls, settings: Settings, *, lock: FolderLock, proxy: Proxy) -> Self:
        """Open the house and hand the attendant to the proxy; without a usable ledger, say so and go on."""
        started_at = utc_now()
        try:
            house = House.open(
                settings,
                lock=lock,
                proxy_stats=lambda: _proxy_stats(proxy),
                busy=lambda: proxy.stats.inference_open > 0,
                deferred=True,
            )
        except (LedgerError, IndexBrokenError) as error:
            log.error("memory.off", error=str(error))  # noqa: TRY400 - the message says it all, and what to do
            control = AbsentControl(
                str(error), started_at=started_at, proxy_stats=lambda: _proxy_stats(proxy)
            )
            proxy.attendant = waiting(settings, str(error))
            return cls(settings=settings, proxy=proxy, control=control)
        feed = FeedThread(house.feeder)
        attendant = _attendant(settings, house, feed)
        house.control.wake_stats = lambda: {
            **asdict(attendant.stats),
            **asdict(attendant.hearing.stats),
            **asdict(attendant.recordings),
            "fingerprints": attendant.fingerprints.standing(),
        }
        proxy.attendant = attendant
        log.info("memory.records")
        return cls(
            settings=settings, proxy=proxy, control=house.control, house=house, attendant=attendant, feed=feed
        )

    def prepare(self) -> None:
        """Load the embedder (at first start: make it), then let the index catch up; recording goes on meanwhile."""
        if self.house is None or self.feed is None:
            return
        started_at = utc_now()
        try:
            if isinstance(self.house.embedder, DeferredEmbedder):
                self.house.embedder.prepare()
        except EmbedderError as error:
            log.error("embedder.absent", error=str(error))  # noqa: TRY400 - the message says it all
        self.house.rebuilding.wake = self.feed.wake
        self.feed.start()
        log.info("memory.ready", took_s=round((utc_now() - started_at).total_seconds(), 2))
        if self.house.unfinished:
            self.house.rebuilding.go_on(self.house.unfinished)

    async def serve(self, door: socket.socket, stopping: asyncio.Event) -> None:
        """Serve the control plane on the listening socket *door* until *stopping* is set."""
        try:
            token = tokens.load_or_make(self.settings.data_dir)
        except LtmldError:
            # Said at the start; the data plane goes on without a control plane.
            await stopping.wait()
            return
        app = make_app(self.control, token=token, settings=self.settings.admin)
        server = uvicorn.Server(
            uvicorn.Config(
                app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2
            )
        )
        log.info("control.listening", address=self.settings.admin_listen)
        # The daemon owns the signals: `serve` is `_serve` plus handlers that would take them away.
        serving = asyncio.ensure_future(server._serve(sockets=[door]))  # noqa: SLF001 - see above
        nightly = asyncio.ensure_future(self._nightly())
        try:
            await stopping.wait()
        finally:
            nightly.cancel()
            server.should_exit = True
            await serving

    async def _nightly(self) -> None:
        if self.house is not None:
            # What a crash left unfinished comes first.
            await asyncio.to_thread(self.house.sleeper.resume)
            await Nightly(self.house.sleeper, at=self.settings.sleep.nightly_at).run()

    def close(self) -> None:
        """Put everything away: what is queued is written, what runs is left at its checkpoint."""
        if self.feed:
            self.feed.stop()
        if self.house:
            self.house.close()


def _attendant(settings: Settings, house: House, feed: FeedThread) -> WakeAttendant:
    cards = ModelCards(
        settings.upstream,
        timeout_s=settings.proxy.connect_timeout_s,
        trust=trust_for(settings.upstream_host, settings.proxy.ca_file),
    )
    cards.prepare()
    return WakeAttendant(
        ledger=house.ledger,
        recall=house.recall,
        cards=cards,
        settings=settings.wake,
        body_bytes_max=settings.proxy.look_bytes_max,
        clock=utc_now,
        new_id=new_id,
        recorded=feed.wake,
        clerk=_clerk(settings, house),
        fingerprints=Fingerprints(config_dir() / fingerprints.FILE),
    )


def _clerk(settings: Settings, house: House) -> Clerk:
    control = house.control
    commands = ChatCommands(control, house.ledger, settings, readiness=control.readiness)
    return Clerk(
        commands,
        doorway=doorway(settings),
        deadline_s=settings.wake.command_deadline_ms / 1000,
        clock=utc_now,
    )


def _proxy_stats(proxy: Proxy) -> JsonObject:
    return dict(proxy.stats.as_dict())
