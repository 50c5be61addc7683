"""What is no HTTP at all goes to Ollama as it came, so that its sender reads Ollama's own answer.

So does what Ollama is to refuse itself (``guard``), as long as it does.

Rules:
1. Only bytes pass that no parser takes for a request of ours (``head`` tells which), and nothing behind them:
   whatever else comes from their sender is read and dropped.
2. They travel on a connection of their own, which serves nobody before and nobody after.
3. Ollama's answer is bounded in bytes and in time. Without one, ltmld's own refusal is the answer.
4. Its sender's connection is closed after the answer; when its sender goes first, so does the connection to Ollama.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ltmld.errors import UpstreamError
from ltmld.proxy.guard import forbidden, is_refusal, is_whole
from ltmld.proxy.head import PREFACE
from ltmld.proxy.plane import Plane
from ltmld.proxy.upstream import Upstream

if TYPE_CHECKING:
    from ltmld.proxy.client import Client

ANSWER_BYTES_MAX = 16 * 1024
"""Most bytes of Ollama's answer that are passed on; the recorded ones have 103."""

ANSWER_TIMEOUT_S = 5.0
"""How long Ollama may take; it answers in 0.3 ms, but a server of another kind may wait for more to come."""

_PREFACE_REST = b"SM\r\n\r\n"


def passes(said: bytes, *, behind: bytes) -> bool:
    """Tell whether *said*, what ``head`` let through of a refused head, may go to Ollama with *behind* behind it."""
    if said == PREFACE:
        return not behind or behind.startswith(_PREFACE_REST)
    return bool(said) and behind in (b"", said)


def ask(plane: Plane, client: Client, question: bytes) -> None:
    """Let Ollama refuse *question*, which ltmld refuses in any case."""
    Passage(plane, client, said=question, otherwise=forbidden(close=True), whole=is_whole, fits=is_refusal)


class Passage(asyncio.Protocol):
    """One stranger's bytes on their way; its connection speaks to the passage until there is an answer."""

    def __init__(
        self,
        plane: Plane,
        client: Client,
        *,
        said: bytes,
        otherwise: bytes,
        whole: Callable[[bytes], bool] = lambda _: False,
        fits: Callable[[bytes], bool] = bool,
    ) -> None:
        """Send *said*; the answer is over when it is *whole*, and *otherwise* is told where it does not fit."""
        self._client = client
        self._otherwise = otherwise
        self._whole = whole
        self._fits = fits
        self._answer = b""
        self._answered = asyncio.Event()
        client.transport.set_protocol(self)
        self._task = plane.spawn(self._pass(plane, said))

    # --- from the stranger ---

    def data_received(self, data: bytes) -> None:
        """Drop what comes behind (rule 1)."""

    def eof_received(self) -> bool:
        """Wait for the answer all the same: who says one line and then no more is waiting for it."""
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave everything."""
        self._task.cancel()
        self._client.connection_lost(exc)

    # --- from Ollama ---

    def from_upstream(self, data: bytes) -> None:
        """Gather the answer."""
        self._answer += data[: ANSWER_BYTES_MAX - len(self._answer)]
        if len(self._answer) >= ANSWER_BYTES_MAX or self._whole(self._answer):
            self._answered.set()

    def upstream_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - what has come is the answer
        """The answer is whole."""
        self._answered.set()

    def upstream_full(self) -> None:
        """All that there is to send is sent."""

    def upstream_ready(self) -> None:
        """There is no more to send."""

    async def _pass(self, plane: Plane, said: bytes) -> None:
        upstream: Upstream | None = None
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                upstream = await plane.pool.connect()
                upstream.user = self
                upstream.write(said)
                await self._answered.wait()
        except (TimeoutError, UpstreamError):  # what has come until now is the answer, or the refusal is
            pass
        finally:
            if upstream is not None:
                upstream.user = None
                upstream.drop()
        self._client.transport.set_protocol(self._client)
        self._client.refuse(self._answer if self._fits(self._answer) else self._otherwise)
