"""Connections to Ollama: opened on demand, kept alive, handed out latest first.

Rules:
1. A connection serves one relay at a time; the pool holds only connections that owe nothing to anybody.
2. Never half-closed: Ollama reads the end of a request's direction as "the client is gone" and aborts.
3. Opening is bounded by ``connect_timeout_s``; waiting for an answer is bounded by the client's patience only,
   because Ollama sends nothing, not even a head, while it loads a model (18 s were seen).
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING, Protocol, cast

from ltmld.config import ProxySettings

if TYPE_CHECKING:
    from ltmld.proxy.way import Way

_LEFTOVER_BYTES_MAX = 1024 * 1024


class Upstreamer(Protocol):
    """Whoever a connection works for at the moment: a relay."""

    def from_upstream(self, data: bytes) -> None:
        """Bytes have arrived."""

    def upstream_lost(self, error: Exception | None) -> None:
        """The connection is gone; ``None``: it was closed in good order."""

    def upstream_full(self) -> None:
        """Stop sending: the write buffer is over its mark."""

    def upstream_ready(self) -> None:
        """Go on sending."""


class Upstream(asyncio.Protocol):
    """One connection to Ollama."""

    __slots__ = ("_reading", "closed", "full", "idle_since", "pool", "transport", "user", "uses")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.user: Upstreamer | None = None
        self.uses = 0
        self.full = False
        self.closed = False
        self.idle_since = 0.0
        self._reading = True

    def write(self, data: bytes) -> None:
        """Send *data*, in one write."""
        if not self.closed:
            self.transport.write(data)

    def pause(self) -> None:
        """Stop reading: the client cannot take more."""
        if self._reading and not self.closed:
            self._reading = False
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._reading and not self.closed:
            self._reading = True
            self.transport.resume_reading()

    def drop(self) -> None:
        """Close at once, both directions; what is unsent is lost."""
        self.user = None
        if not self.closed:
            self.closed = True
            self.transport.abort()

    def finish(self) -> None:
        """Close both directions after what is unsent has gone."""
        self.user = None
        if not self.closed:
            self.closed = True
            self.transport.close()

    @property
    def flushed(self) -> bool:
        """Whether everything written has left."""
        return self.transport.get_write_buffer_size() == 0

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self.transport: asyncio.Transport = cast(
            "asyncio.Transport", transport
        )  # a TCP connection has no other kind

    def data_received(self, data: bytes) -> None:
        """Ollama has sent something."""
        if self.user is None:
            self.pool.forget(self)  # an answer that nobody asked for: nothing after it can be trusted
            self.drop()
        else:
            self.user.from_upstream(data)

    def eof_received(self) -> bool:
        """Ollama has closed; close too (rule 2)."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has gone."""
        user, self.user = self.user, None
        self.closed = True
        if user is not None and exc is not None:
            # An early answer followed by a reset: the write fails first, and the answer still lies in the socket.
            data = self._unread()
            if data:
                user.from_upstream(data)
        self.pool.forget(self)
        if user is not None:
            user.upstream_lost(exc)

    def _unread(self) -> bytes:
        """Return what has come, but has not been read."""
        return _leftover(self.transport)

    def pause_writing(self) -> None:
        """Ollama takes no more for now."""
        self.full = True
        if self.user is not None:
            self.user.upstream_full()

    def resume_writing(self) -> None:
        """Ollama takes more again."""
        self.full = False
        if self.user is not None:
            self.user.upstream_ready()


class Pool:
    """Idle connections to one Ollama."""

    def __init__(self, way: Way, settings: ProxySettings) -> None:
        self._way = way
        self._settings = settings
        self._idle: deque[Upstream] = deque()
        self._closed = False

    @property
    def url(self) -> str:
        """Where Ollama is, for messages."""
        return self._way.target.url

    def take(self) -> Upstream | None:
        """Return an idle connection, the latest used, or ``None``."""
        while self._idle:
            upstream = self._idle.pop()
            if not upstream.closed and not upstream.transport.is_closing():
                return upstream
        return None

    async def connect(self) -> Upstream:
        """Open a connection.

        Raises:
            UpstreamError: nobody answers at the address, or not in time, or not who should.
        """
        return await self._way.connect(self)

    def give(self, upstream: Upstream, *, now: float) -> None:
        """Take back a connection that owes nothing."""
        upstream.user = None
        if self._closed or upstream.closed or len(self._idle) >= self._settings.upstream_idle_max:
            upstream.drop()
            return
        upstream.resume()
        upstream.idle_since = now
        self._idle.append(upstream)

    def forget(self, upstream: Upstream) -> None:
        """Take a connection out, wherever it is."""
        if upstream in self._idle:
            self._idle.remove(upstream)

    def sweep(self, *, now: float) -> None:
        """Close what has been idle for too long."""
        while self._idle and now - self._idle[0].idle_since > self._settings.idle_timeout_s:
            self._idle.popleft().drop()

    def close(self) -> None:
        """Close all idle connections, and take none back."""
        self._closed = True
        while self._idle:
            self._idle.popleft().drop()


def _leftover(transport: asyncio.Transport) -> bytes:
    """Return what lies unread in the socket of a connection whose write has failed."""
    peer = transport.get_extra_info("socket")
    pieces: list[bytes] = []
    try:
        number = -1 if peer is None else peer.fileno()
        while number >= 0 and sum(map(len, pieces)) < _LEFTOVER_BYTES_MAX:
            data = os.read(number, 64 * 1024)
            if not data:
                break
            pieces.append(data)
    except OSError:  # empty, or closed: there is no more
        pass
    return b"".join(pieces)
