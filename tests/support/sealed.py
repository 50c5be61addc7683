"""One end of a TLS connection whose every record and every close is the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Self

from tests.support.raw_upstream import PATIENCE_S, Wire


class SocketWire(Wire):
    """A connection without buffers or callbacks: what is done to it is done at once."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def send(self, data: bytes) -> None:
        """Send *data* now."""
        await asyncio.get_running_loop().sock_sendall(self._connection, data)

    async def some(self) -> bytes:
        """Return what one read brings; empty at the end."""
        receiving = asyncio.get_running_loop().sock_recv(self._connection, 2**16)
        return await asyncio.wait_for(receiving, PATIENCE_S)


class Sealed:
    """TLS by hand, over a plain connection."""

    def __init__(self, wire: Wire, context: ssl.SSLContext, *, name: str | None = None) -> None:
        self.wire = wire
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=name is None, server_hostname=name
        )

    async def shake(self) -> Self:
        """Shake hands."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                self._incoming.write(await self.wire.some())
            else:
                await self._flush()
                return self

    def seal(self, data: bytes) -> bytes:
        """Return *data* as it goes over the wire."""
        self._tls.write(data)
        return self._outgoing.read()

    def farewell(self) -> bytes:
        """Return a close_notify as it goes over the wire."""
        with contextlib.suppress(ssl.SSLError):  # it waits for the other one's
            self._tls.unwrap()
        return self._outgoing.read()

    async def send(self, data: bytes) -> None:
        """Send *data* now."""
        await self.wire.send(self.seal(data))

    async def some(self) -> bytes:
        """Return what has come, opened; empty after a close_notify."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return self._tls.read(2**20)
                except ssl.SSLWantReadError:
                    data = await self.wire.some()
                    if not data:
                        raise ConnectionResetError("it ended without close_notify") from None
                    self._incoming.write(data)
                except ssl.SSLZeroReturnError:
                    return b""

    async def until(self, marker: bytes) -> bytes:
        """Return everything up to the read that brings *marker*."""
        seen = b""
        while marker not in seen:
            seen += await self.some()
        return seen

    async def _flush(self) -> None:
        sealed = self._outgoing.read()
        if sealed:
            await self.wire.send(sealed)
