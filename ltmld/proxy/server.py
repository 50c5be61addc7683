"""The data plane as a whole: it listens, serves, and stops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from typing import Any

from ltmld.config import ProxySettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.core.ports import Attendant
from ltmld.errors import PortInUseError, SettingsError
from ltmld.proxy.client import Client
from ltmld.proxy.guard import Guard, on_loopback
from ltmld.proxy.plane import Plane
from ltmld.proxy.sockets import room_for
from ltmld.proxy.stats import Stats
from ltmld.proxy.trust import Identity

_BACKLOG = 512
_SWEEP_S = 5.0
_SHUT_S = 1.0


class Proxy:
    """A byte-faithful proxy from one address to one Ollama."""

    def __init__(
        self, *, upstream: OllamaHost, settings: ProxySettings, attendant: Attendant | None = None
    ) -> None:
        self._plane = Plane(upstream=upstream, settings=settings)
        self._plane.attendant = attendant
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._identity: Identity | None = None
        self.port = 0
        """The port listened on, once started."""

    @property
    def attendant(self) -> Attendant | None:
        """Who looks into requests; ``None``: everything passes."""
        return self._plane.attendant

    @attendant.setter
    def attendant(self, attendant: Attendant | None) -> None:
        self._plane.attendant = attendant

    @property
    def stats(self) -> Stats:
        """The counters."""
        return self._plane.stats

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one.

        Raises:
            PortInUseError: another program listens there.
            SettingsError: the address cannot be listened on at all, or not with that certificate.
        """
        loop = asyncio.get_running_loop()
        secrets = self._secrets()
        try:
            self._server = await loop.create_server(
                lambda: Client(self._plane), host, port, backlog=_BACKLOG, **secrets
            )
        except OSError as error:
            raise _refusal(error, host, port) from error
        self._plane.now = loop.time()
        self._plane.connections_max = room_for(self._plane.settings.connections_max)
        places = [listener.getsockname()[:2] for listener in self._server.sockets]
        self._plane.way.own = tuple(places)
        self.port = places[0][1]
        if all(on_loopback(place[0]) for place in places):
            target = self._plane.target
            self._plane.guard = Guard(defers=target.loopback and not target.rewrites_host)
        self._sweeping = loop.call_later(_SWEEP_S, self._sweep_again)

    async def stop(self) -> None:
        """Accept nothing more, let open answers end for ``grace_s``, then close everything."""
        plane = self._plane
        plane.draining = True
        if self._server is not None:
            self._server.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for client in [client for client in plane.clients if client.idle]:
            client.shut()
        await self._emptied(plane.settings.grace_s)
        for client in list(plane.clients):
            client.shut()
        await self._emptied(_SHUT_S)  # the closed connections tell their relays, which close their recordings
        plane.pool.close()
        if plane.tasks:
            _, stuck = await asyncio.wait(plane.tasks, timeout=plane.settings.grace_s)
            for task in stuck:
                task.cancel()

    def _secrets(self) -> dict[str, Any]:
        """Return what the listener needs for TLS, where it has a certificate."""
        settings = self._plane.settings
        if settings.tls_certificate is None or settings.tls_key is None:
            return {}
        self._identity = Identity(settings.tls_certificate, settings.tls_key)
        return {
            "ssl": self._identity.context,
            "ssl_handshake_timeout": settings.head_timeout_s,
            # Until then a slow reader gets the rest of an answer; one that has it all closes by itself.
            "ssl_shutdown_timeout": settings.idle_timeout_s,
        }

    async def _emptied(self, seconds: float) -> None:
        if self._plane.clients:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._plane.empty.wait(), seconds)

    def _sweep_again(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep(now=loop.time())
        self._sweeping = loop.call_later(_SWEEP_S, self._sweep_again)

    def _sweep(self, *, now: float) -> None:
        """End what is idle or takes too long, and what its client has left while it was not read from."""
        self._plane.now = now
        self._plane.pool.sweep(now=now)
        for client in list(self._plane.clients):
            client.sweep(now=now)
        if self._identity is not None:
            try:
                self._identity.refresh()
            except SettingsError as error:
                told = f"ltmld: the certificate that clients see stays the one before: {error}"
                asyncio.get_running_loop().call_exception_handler({"message": told})


def _refusal(error: OSError, host: str, port: int) -> Exception:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            f"{address} is in use by another program, perhaps another ltmld. "
            "Stop it, or listen elsewhere with LTMLD_LISTEN=host:port."
        )
    reason = (error.strerror or str(error)).lower()
    return SettingsError(
        f"ltmld cannot listen on {address}: {reason}. Set LTMLD_LISTEN to an address of this machine."
    )
