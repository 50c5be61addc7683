"""``ltmld serve``: the data plane at once, memory as soon as it is warm, one TaskGroup around it all.

Rules:
1. The data plane answers before anything heavy is imported; until memory is warm everything passes through.
2. A ledger or an index that cannot be used costs memory, never an answer: the reason is logged and shown by
   ``ltmld status``. What a person must mend before anything can run (folder, ports) ends the start with a message.
3. Stopping lets open streams end for a while, then closes rooms in the reverse order of their opening.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from ltmld import __version__
from ltmld.admin import token as tokens
from ltmld.config import split_address
from ltmld.daemon import heap, logs
from ltmld.daemon.listener import bound_socket
from ltmld.daemon.lock import FolderLock
from ltmld.errors import LtmldError
from ltmld.proxy.server import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from ltmld.config import Settings
    from ltmld.daemon.memory_side import MemorySide

log = structlog.get_logger(__name__)

# A command that looked while no daemon ran is done in a second or two; another daemon stays.
_LOCK_WAIT_S = 5.0


def run(settings: Settings) -> None:
    """Run ``serve`` to its end, on uvloop where there is one.

    Raises:
        LtmldError: as ``serve``.
    """
    heap.bound()
    try:
        import uvloop  # noqa: PLC0415 - not made for every platform
    except ImportError:
        asyncio.run(serve(settings))
    else:
        uvloop.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Run both planes until SIGTERM or SIGINT.

    Raises:
        PortInUseError: one of the two addresses is taken.
        FolderInUseError: another ltmld works on the data folder.
        LedgerError: the data folder cannot be written.
    """
    logs.set_up(settings.log_level)
    lock = FolderLock(settings.data_dir, wait_s=_LOCK_WAIT_S)
    try:
        await _serve_locked(settings, lock)
    finally:
        lock.release()


async def _serve_locked(settings: Settings, lock: FolderLock) -> None:
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    # Bound before anything slow: a taken port is said at once, and the command line waits here while memory warms.
    door = bound_socket(*split_address(settings.admin_listen))
    proxy = Proxy(upstream=settings.upstream_host, settings=settings.proxy)
    try:
        await proxy.start(*split_address(settings.listen))
        card = _card(settings)
        log.info(
            "proxy.listening",
            address=settings.listen_url,
            upstream=settings.upstream,
            upstream_from=settings.upstream_source,
            version=__version__,
        )
        try:
            await _serve_both(settings, lock, proxy, door, stopping)
        finally:
            if card:
                card.unlink(missing_ok=True)
    finally:
        await proxy.stop()
        door.close()


async def _serve_both(
    settings: Settings, lock: FolderLock, proxy: Proxy, door: socket.socket, stopping: asyncio.Event
) -> None:
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_remember(settings, lock, proxy, door, stopping))
            await stopping.wait()
            log.info("daemon.stopping")
            await proxy.stop()
    except BaseExceptionGroup as group:
        # The one task failed: what it raised is the answer, without the group around it.
        raise group.exceptions[0] from None


async def _remember(
    settings: Settings, lock: FolderLock, proxy: Proxy, door: socket.socket, stopping: asyncio.Event
) -> None:
    """Open memory, hand it to the proxy, prepare the rest, serve the control plane, put it all away at the end."""
    memory = await asyncio.to_thread(_memory, settings, lock, proxy)
    preparing = asyncio.ensure_future(asyncio.to_thread(memory.prepare))
    try:
        await memory.serve(door, stopping)
    finally:
        await proxy.stop()
        await preparing
        if memory.attendant:
            await memory.attendant.close()
        await asyncio.to_thread(memory.close)


def _memory(settings: Settings, lock: FolderLock, proxy: Proxy) -> MemorySide:
    # Imported in a thread, after the data plane listens: Chroma, FastAPI and onnxruntime take seconds.
    from ltmld.daemon.doorway import waiting  # noqa: PLC0415 - see above
    from ltmld.wake.waiting import WAKING  # noqa: PLC0415 - see above

    # Light, and first: who asks memory something meanwhile is told that it is waking up.
    proxy.attendant = waiting(settings, WAKING)
    from ltmld.daemon.memory_side import MemorySide  # noqa: PLC0415 - see above

    return MemorySide.opened(settings, lock=lock, proxy=proxy)


def _stop_on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError):  # not in the main thread: tests
            loop.add_signal_handler(number, stopping.set)


def _card(settings: Settings) -> Path | None:
    """Write what commands need to find this daemon; a full disk costs them, never the data plane."""
    try:
        tokens.load_or_make(settings.data_dir)
        return write_card(settings)
    except (OSError, LtmldError) as error:
        remedy = "free the disk or mend the file, then start ltmld again"
        log.error("control.off", error=str(error), remedy=remedy)  # noqa: TRY400 - the message says it all
        return None


def write_card(settings: Settings) -> Path:
    """Write ``daemon.json``: how the command line finds this daemon."""
    card = {
        "pid": os.getpid(),
        "version": __version__,
        "listen": settings.listen,
        "url": settings.listen_url,
        "admin_listen": settings.admin_listen,
        "upstream": settings.upstream,
        "started_at": datetime.now(UTC).isoformat(),
    }
    path = settings.data_dir / "daemon.json"
    unfinished = path.with_suffix(".json.new")
    unfinished.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)
    return path
