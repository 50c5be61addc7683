"""What one request has sent to Ollama so far, kept while it might have to be sent again."""

from __future__ import annotations

from ltmld.config import ProxySettings
from ltmld.proxy.head import Framing, Request
from ltmld.proxy.upstream import Upstream

UNSENT_BYTES_MAX = 64 * 1024
"""Most bytes that wait for a connection to Ollama before the client waits."""


class Upload:
    """The bytes of one request: waiting for a connection, sent, and kept for a repetition."""

    # Defaults on the class: one upload sets few of them, and there is one upload a request.
    ended = False
    """All of the request has come from the client."""
    upstream: Upstream | None = None
    whole = False
    """All of the request is held, however large: it can be repeated."""
    _size = 0
    _sent: list[bytes] | None
    _unsent_bytes = 0

    def __init__(self, limits: ProxySettings) -> None:
        self._limits = limits
        self._sent = []
        self._unsent: list[bytes] = []

    def send(self, data: bytes) -> None:
        """Send *data*, or keep it until there is a connection."""
        if self._sent is not None:
            self._sent.append(data)
            self._size += len(data)
            if self._size > UNSENT_BYTES_MAX and not self.whole and self._size > self._kept_bytes_max:
                self._sent = None
        if self.upstream is None:
            self._unsent.append(data)
            self._unsent_bytes += len(data)
        else:
            self.upstream.write(data)

    def attach(self, upstream: Upstream) -> None:
        """Send what has waited, in one write, and from now on everything."""
        self.upstream = upstream
        unsent = self._unsent
        if unsent:
            self._unsent, self._unsent_bytes = [], 0
            upstream.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))

    def adopt(self, upstream: Upstream, *, sent: bytes) -> None:
        """Take over a connection that all of the request has been sent on."""
        self.upstream = upstream
        self.ended = True
        self._sent = [sent]
        self._size = len(sent)

    def detach(self) -> Upstream | None:
        """Let go of the connection, and return it."""
        upstream, self.upstream = self.upstream, None
        return upstream

    def settle(self) -> None:
        """Give up the copy: an answer has begun, or none is wanted any more."""
        self._sent = None

    def rewind(self) -> bool:
        """Make ready to send everything again; return whether that is possible."""
        if self._sent is None:
            return False
        self._unsent = self._sent.copy()
        self._unsent_bytes = self._size
        return True

    def repeatable(self, request: Request) -> bool:
        """Tell whether this upload could be repeated however much of it is still to come."""
        if self.whole:
            return True
        return request.framing is not Framing.CHUNKED and request.length <= self._limits.repeat_bytes_max

    @property
    def choked(self) -> bool:
        """Whether Ollama, or the way to it, takes no more."""
        if self.upstream is not None:
            return self.upstream.full
        return self._unsent_bytes > UNSENT_BYTES_MAX

    @property
    def _kept_bytes_max(self) -> int:
        return self._limits.head_bytes_max + self._limits.repeat_bytes_max
