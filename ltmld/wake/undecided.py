"""An exchange with a model that is not known yet: recorded once it is known that the model is not in the cloud.

Rules:
1. The answer takes seconds, and so may the question what the model is: it is decided when there is something to write.
2. An answer's end waits for the decision no longer than it waits for the ledger. A later one is written down then.
3. Where Ollama never tells (it has no such route, or fails), the exchange is recorded: no word says "cloud", a record
   stays on this machine, and a memory that is lost without a word is the greater harm.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ltmld.models.cards import ModelCard
    from ltmld.wake.recorder import ExchangeRecording

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class UndecidedRecording:
    """Implements ``ltmld.core.ports.Recording`` around the *recording* of the exchange."""

    recording: ExchangeRecording
    card: Callable[[], Awaitable[ModelCard | None]]
    """Asks Ollama what the model is."""
    _cloud: bool | None = None

    def begin(self, *, status: int, content_type: str) -> None:
        """Learn the answer's status and form."""
        self.recording.begin(status=status, content_type=content_type)

    def feed(self, data: bytes) -> int:
        """Return how many held bytes may pass."""
        return self.recording.feed(data)

    @property
    def complete(self) -> bool:
        """Whether the terminator was seen."""
        return self.recording.complete

    def body_ended(self) -> None:
        """Take note that the body came to its own end."""
        self.recording.body_ended()

    async def commit(self) -> None:
        """Write the exchange, if it is known in time that it may be written (rule 2)."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.recording.deadline_s
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._decide()
        if self._cloud is False:
            self.recording.deadline_s = max(0.0, until - loop.time())
            await self.recording.commit()

    async def close(self, *, error: str = "") -> None:
        """Write what is not written yet, if it may be."""
        await self._decide()
        if self._cloud:
            log.info("exchange.withheld", exchange=self.recording.opening.exchange_id, why="cloud model")
        else:
            await self.recording.close(error=error)

    async def _decide(self) -> None:
        if self._cloud is None:
            card = await self.card()
            self._cloud = card is not None and card.cloud
