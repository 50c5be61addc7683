"""One exchange in flight: watch its reply go by, and put it into the ledger before its end is passed on.

Rules:
1. No method raises and none waits longer than the commit deadline: a stuck ledger costs a memory, never an answer.
2. A turn is submitted once. What ``commit`` gave up may still reach the ledger; it is counted as late, not lost.
3. An answer that broke off is recorded as what it is: the user's words whole, the reply as far as it came.
4. An answer that goes on from words of the assistant that the client sent last is recorded with them, as one.
   After a message that is no part of the conversation (a client's own), the answer is a further one.
5. What Ollama refused (4xx) is not recorded: a web page that may not talk to Ollama may not write memories either.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from ltmld.core.chain import message_chain
from ltmld.core.exchange import Outcome, Turn
from ltmld.core.message import Message, Role
from ltmld.errors import LedgerError
from ltmld.wake.boilerplate import words

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ltmld.core.clock import Clock
    from ltmld.core.exchange import PathMessage, Recorded, Reply
    from ltmld.core.injection import Injection
    from ltmld.ledger.ledger import Ledger
    from ltmld.wake.identity import Identity
    from ltmld.wake.injector import Place
    from ltmld.wire.dialects import Capture, Request

log = structlog.get_logger(__name__)

_REFUSED_MIN, _REFUSED_MAX = 400, 499


@dataclass(slots=True)
class RecordingStats:
    """What became of exchanges, counted since the start."""

    recorded: int = 0
    unrecorded: int = 0
    refused: int = 0
    late: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Everything about an exchange that is known before its reply."""

    exchange_id: str
    request: Request
    identity: Identity
    place: Place
    client: str
    started_at: datetime
    request_sha256: str
    injections: tuple[Injection, ...] = ()
    reply_ref: str = ""


@dataclass(slots=True)
class ExchangeRecording:
    """Implements ``ltmld.core.ports.Recording`` for one exchange."""

    opening: Opening
    capture: Capture
    ledger: Ledger
    clock: Clock
    stats: RecordingStats
    deadline_s: float
    recorded: Callable[[], None] = field(default=lambda: None)
    _status: int = 0
    _whole: bool = False
    _submitted: bool = False

    def begin(self, *, status: int, content_type: str) -> None:
        """Learn the answer's status and form."""
        self._status = status
        self.capture.begin(status=status, content_type=content_type)

    def feed(self, data: bytes) -> int:
        """Return how many held bytes may pass."""
        return self.capture.feed(data)

    @property
    def complete(self) -> bool:
        """Whether the terminator was seen."""
        return self.capture.complete

    def body_ended(self) -> None:
        """Learn that the whole body has come."""
        self._whole = True

    async def commit(self) -> None:
        """Record the finished exchange; wait until it is durable, or for the deadline."""
        await self._submit(Outcome.COMPLETED)

    async def close(self, *, error: str = "") -> None:
        """Record an exchange whose terminator never came."""
        if self._submitted:
            return
        self.capture.end()
        if self._whole and self.capture.unfinished:
            error = error or "Ollama ended its answer before it was finished"
        if self.capture.complete and not error:
            await self._submit(Outcome.COMPLETED)
            return
        failed = error or self._status >= 400 or self.capture.reply().error
        await self._submit(Outcome.FAILED if failed else Outcome.CUT_SHORT, error=error)

    async def _submit(self, outcome: Outcome, *, error: str = "") -> None:
        if self._submitted:
            return
        self._submitted = True
        if _REFUSED_MIN <= self._status <= _REFUSED_MAX:
            # Ollama would not have it (no such model, a page of another origin): nobody has talked here.
            self.stats.refused += 1
            return
        turn = self._turn(outcome, error=error)
        try:
            future = asyncio.wrap_future(self.ledger.submit_turn(turn))
            await asyncio.wait_for(asyncio.shield(future), self.deadline_s)
        except TimeoutError:
            self.stats.late += 1
            log.warning("exchange.late", exchange=turn.exchange_id, waited_s=self.deadline_s)
            future.add_done_callback(_consume)
        except LedgerError as error_:
            self.stats.unrecorded += 1
            self.stats.last_error = str(error_)
            log.warning("exchange.unrecorded", exchange=turn.exchange_id, error=str(error_))
        else:
            self.stats.recorded += 1
            log.info(
                "exchange.recorded",
                exchange=turn.exchange_id,
                scope=turn.scope,
                outcome=outcome.value,
                reply_chars=len(turn.reply.text),
            )
            self.recorded()

    def _turn(self, outcome: Outcome, *, error: str) -> Turn:
        opening = self.opening
        identity, place = opening.identity, opening.place
        path, reply = place.path, self._reply(error)
        if opening.request.messages[-1].role is Role.ASSISTANT:
            path, reply = _continued(path, reply)
        answer = Message(role=Role.ASSISTANT, text=reply.text, tool_calls=reply.tool_calls)
        return Turn(
            exchange_id=opening.exchange_id,
            scope=place.scope,
            thread_id=place.thread_id,
            thread_key=place.thread_key,
            dialect=opening.request.dialect,
            path=path,
            reply=reply,
            reply_chain=message_chain(path[-1].chain, answer),
            outcome=outcome,
            status=self._status,
            model=opening.request.model,
            client=opening.client,
            started_at=opening.started_at,
            finished_at=self.clock(),
            reply_name=identity.assistant_name,
            reply_ref=opening.reply_ref,
            reply_at=identity.at,
            request_sha256=opening.request_sha256,
            injections=opening.injections,
        )

    def _reply(self, error: str) -> Reply:
        reply = self.capture.reply()
        # Thinking inside the words, or a block that was broken off: clients do not send it back, and nobody said it.
        reply = replace(reply, text=words(reply.text, Role.ASSISTANT))
        if not error or reply.error:
            return reply
        return replace(reply, error=error)


def _continued(path: tuple[PathMessage, ...], reply: Reply) -> tuple[tuple[PathMessage, ...], Reply]:
    """Return *path* without the beginning of the answer that the client wrote, and the answer with it."""
    begun = path[-1].message
    if begun.role is not Role.ASSISTANT or begun.tool_calls or len(path) == 1:
        return path, reply
    if not reply.text and not reply.tool_calls:
        return path[:-1], reply
    return path[:-1], replace(reply, text=begun.text + reply.text)


def _consume(future: asyncio.Future[Recorded]) -> None:
    """Take a late result, so that its error is not reported as never retrieved."""
    if not future.cancelled():
        future.exception()
