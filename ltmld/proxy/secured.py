"""A connection to Ollama inside TLS.

The bytes are sealed and opened here, above a plain transport, and not by the event loop's TLS: so both loops behave
alike, the write buffer and the paused reading are those of the socket itself, and an answer that lies in the
socket behind a failed write can still be opened.

Rules:
1. Whoever uses the connection sees plain bytes only, and nothing before the handshake is done.
2. Never half-closed, as without TLS: Ollama's close_notify closes both directions.
3. An end without close_notify is a broken connection, not a closed one: anybody on the way could have made it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

from ltmld.proxy.upstream import Upstream

if TYPE_CHECKING:
    from ltmld.proxy.upstream import Pool

_RECORD_BYTES = 16 * 1024
_PIECE_BYTES = 256 * 1024


class SecuredUpstream(Upstream):
    """One connection to Ollama, encrypted."""

    __slots__ = ("_broken", "_closed_by_peer", "_incoming", "_outgoing", "_tls", "secured")

    def __init__(self, pool: Pool, trust: ssl.SSLContext, name: str) -> None:
        super().__init__(pool)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trust.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._closed_by_peer = False
        self._broken: Exception | None = None
        self.secured: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the handshake is, with its failure where it failed."""

    def write(self, data: bytes) -> None:
        """Seal *data* and send it, in one write."""
        if self.closed or self._closed_by_peer:
            return
        view = memoryview(data)
        try:
            while view:
                view = view[self._tls.write(view[:_RECORD_BYTES]) :]
        except ssl.SSLError as error:
            self._break(error)
            return
        self._flush()

    def finish(self) -> None:
        """Close both directions after what is unsent has gone, and say so."""
        if not self.closed:
            with contextlib.suppress(
                ssl.SSLError
            ):  # it wants the peer's close_notify, which nobody waits for
                self._tls.unwrap()
            self._flush()
        super().finish()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        super().connection_made(transport)
        self._shake()

    def data_received(self, data: bytes) -> None:
        """Ollama has sent something sealed."""
        self._incoming.write(data)
        if not self.secured.done():
            self._shake()
        if self.secured.done() and not self.closed:
            plain = self._opened()
            if plain:
                super().data_received(plain)
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has gone."""
        if not self.secured.done():
            self.secured.set_exception(exc or ConnectionResetError("closed during the TLS handshake"))
        if exc is None and not self._closed_by_peer:
            exc = self._broken or ConnectionResetError("it ended without TLS' close_notify")
        super().connection_lost(exc)

    def _unread(self) -> bytes:
        self._incoming.write(super()._unread())
        return self._opened()

    # --- TLS ---

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._flush()  # the alert that tells the peer why
            if not self.secured.done():
                self.secured.set_exception(error)
            super().finish()
        else:
            self._flush()
            if not self.secured.done():
                self.secured.set_result(None)

    def _opened(self) -> bytes:
        """Return all plain bytes that have come."""
        pieces = []
        try:
            while piece := self._tls.read(_PIECE_BYTES):
                pieces.append(piece)
            self._closed_by_peer = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._closed_by_peer = True
        except ssl.SSLError as error:
            self._broken = error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _end(self) -> None:
        """Answer what TLS itself wants answered, and close what the peer, or a defect, has closed."""
        if self.closed:
            return
        if self._broken is not None:
            self.transport.abort()
        elif self._closed_by_peer:
            self.pool.forget(self)
            self.transport.close()
        elif self._outgoing.pending:
            self._flush()

    def _break(self, error: Exception) -> None:
        self._broken = error
        self.transport.abort()

    def _flush(self) -> None:
        sealed = self._outgoing.read()
        if sealed:
            self.transport.write(sealed)
