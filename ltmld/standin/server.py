"""The stand-in as a server on a real socket, for tests, benchmarks and the demo."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from ltmld.errors import PortInUseError
from ltmld.standin.admission import Admission
from ltmld.standin.catalog import Catalog
from ltmld.standin.connection import Connection
from ltmld.standin.extraction import Fact, read_facts
from ltmld.standin.faults import Fault
from ltmld.standin.inference import Inference, Script
from ltmld.standin.response import Response
from ltmld.standin.routes import Routes
from ltmld.standin.seen import REQUESTS_MAX, SeenRequest


class StandIn:
    """A stand-in for Ollama: no model, only its manners.

    *facts* are files that play the extraction model. *script* says what to answer: by the exact last words
    of the user, or by a function of the conversation that returns ``None`` to leave it to the stand-in.
    *models* are names, or names with what each can do. *system* is the Modelfile's SYSTEM, one for all models or by
    name. *faults* are used up in order. *origins* are those of ``OLLAMA_ORIGINS``. *shown* is, by name, what
    ``/api/show`` says otherwise.
    """

    def __init__(  # noqa: PLR0913 - each is one thing that a test chooses, by name
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        facts: Sequence[Path] = (),
        script: Script | None = None,
        token_delay_s: float = 0.0,
        models: Sequence[str] | Mapping[str, Sequence[str]] = ("stand-in:latest",),
        system: str | Mapping[str, str] = "",
        faults: Iterable[Fault | str] = (),
        origins: Sequence[str] = (),
        shown: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.requests: deque[SeenRequest] = deque(maxlen=REQUESTS_MAX)
        self.aborted = 0
        known: list[Fact] = [fact for path in facts for fact in read_facts(path)]
        self.inference = Inference(
            facts=known,
            script=script,
            token_delay_s=token_delay_s,
            faults=deque(Fault(fault) for fault in faults),
        )
        self._routes = Routes(
            catalog=Catalog(models, system=system, shown=shown),
            inference=self.inference,
            admission=Admission(bound_to=host, origins=origins),
        )
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen.

        Raises:
            PortInUseError: another program listens there.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: Connection(self), self.host, self.port)
        except OSError as error:
            raise PortInUseError(
                f"the stand-in cannot listen on {self.host}:{self.port}: {error.strerror}. Choose another --port."
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is None:
            return
        self._server.close()
        for connection in tuple(self._connections):
            connection.close()
        await self._server.wait_closed()
        self._server = None

    def wait_for(self, happened: Callable[[], bool], *, timeout_s: float = 10.0) -> bool:
        """Block until *happened* (looked at after each request and each closed connection), or the time is up.

        From the stand-in's own loop it is awaited in a thread: ``await asyncio.to_thread(standin.wait_for, ...)``.
        """
        with self._changed:
            return self._changed.wait_for(happened, timeout_s)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- asked by connections -------------------------------------------------------------------------------

    def respond(self, request: SeenRequest) -> Response:
        """Answer one request."""
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        return self._routes.respond(request)

    def early(self, request: SeenRequest) -> Response | None:
        """Answer a request whose body need not come, if it is one."""
        return self._routes.early(request)

    def opened(self, connection: Connection) -> None:
        """Learn of a new connection."""
        self._connections.add(connection)

    def closed(self, connection: Connection, *, aborted: bool) -> None:
        """Learn that a connection is gone."""
        with self._changed:
            self._connections.discard(connection)
            self.aborted += aborted
            self._changed.notify_all()


@contextmanager
def running_standin(**options: Any) -> Iterator[StandIn]:
    """Run a stand-in in a thread of its own while the block lasts; options are those of ``StandIn``."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="stand-in", daemon=True)
    thread.start()
    standin = StandIn(**options)
    try:
        asyncio.run_coroutine_threadsafe(standin.start(), loop).result()
        yield standin
    finally:
        asyncio.run_coroutine_threadsafe(standin.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
