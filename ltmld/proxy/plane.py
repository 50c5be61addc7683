"""What all connections of one data plane share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from ltmld.config import ProxySettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.core.ports import Attendant
from ltmld.proxy.address import answer_reader, reader
from ltmld.proxy.guard import Guard
from ltmld.proxy.stats import Stats
from ltmld.proxy.upstream import Pool
from ltmld.proxy.way import Way

if TYPE_CHECKING:
    from ltmld.proxy.client import Client


class Plane:
    """Settings, the pool, the counters, the attendant, and the tasks that somebody must wait for."""

    def __init__(self, *, upstream: OllamaHost, settings: ProxySettings) -> None:
        self.settings = settings
        self.target = upstream
        """Where Ollama is."""
        self.way = Way(upstream, settings)
        self.pool = Pool(self.way, settings)
        self.read = reader(upstream, headers_max=settings.headers_max)
        """Reads a request's head, addressed to where Ollama is."""
        self.read_answer = answer_reader(upstream)
        """Reads an answer's head, addressed to who asked here."""
        self.guard: Guard | None = None
        """Checks the hosts of requests; ``None``: the listener takes all, as Ollama's would."""
        self.stats = Stats()
        self.attendant: Attendant | None = None
        self.connections_max = settings.connections_max
        """Most clients served at a time; fewer than set where the system allows fewer."""
        self.draining = False
        self.now = 0.0
        """The loop's time at the latest sweep: exact enough to tell what is idle, and free to ask."""
        self.clients: set[Client] = set()
        self.empty = asyncio.Event()
        """Set when the last client has left while the plane drains."""
        self.tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work* as a task that ``Proxy.stop`` waits for; what it raises is counted, and told to the loop."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def left(self, client: Client) -> None:
        """Take note that *client* has gone."""
        self.clients.discard(client)
        if self.draining and not self.clients:
            self.empty.set()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.stats.defects += 1
            told = "ltmld: an exchange went on without memory, or without its record"
            task.get_loop().call_exception_handler({"message": told, "exception": error, "task": task})
