"""Wake as the proxy sees it: look, decide, place, recall, inject, record.

Rules:
1. The client comes first: ``attend`` never raises and ends within its deadlines; at worst the body passes untouched.
2. Ledger and index are asked in threads of their own, so that a slow disk never stops the event loop.
3. What a thread was given before is replayed even when there is no time to search for more.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import structlog

from ltmld.core.injection import Injection, InjectionKind
from ltmld.core.ports import Plan
from ltmld.core.tokens import estimate
from ltmld.errors import WireError
from ltmld.wake.identity import Identity, identify, path_of, with_refs
from ltmld.wake.injector import Injector, Place, with_injection
from ltmld.wake.policy import decide
from ltmld.wake.recorder import ExchangeRecording, Opening, RecordingStats
from ltmld.wire.dialect import dialect_for
from ltmld.wire.encoding import decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltmld.config import WakeSettings
    from ltmld.core.clock import Clock, NewId
    from ltmld.core.ports import Recall, RequestHead
    from ltmld.ledger.ledger import Ledger
    from ltmld.models.cards import ModelCard, ModelCards
    from ltmld.wire.dialect import Dialect, Request

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

# Requests that change models: what is known about them must be asked anew.
_MODEL_PATHS = ("/api/create", "/api/pull", "/api/copy", "/api/delete")
# Ledger reads take well under a millisecond; four lookups at a time keep up with any number of chats.
_THREADS = 4


@dataclass(slots=True)
class AttendStats:
    """What wake did with requests, counted since the start."""

    looked_into: int = 0
    passed: int = 0
    injected: int = 0
    recall_timeouts: int = 0
    failures: int = 0


class WakeAttendant:
    """Implements ``ltmld.core.ports.Attendant``."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        recall: Recall,
        cards: ModelCards,
        settings: WakeSettings,
        body_bytes_max: int,
        clock: Clock,
        new_id: NewId,
        recorded: Callable[[], None] = lambda: None,
    ) -> None:
        self.stats = AttendStats()
        self.recordings = RecordingStats()
        self._ledger = ledger
        self._cards = cards
        self._settings = settings
        self._body_bytes_max = body_bytes_max
        self._clock = clock
        self._new_id = new_id
        self._recorded = recorded
        self._injector = Injector(ledger=ledger, recall=recall, settings=settings, clock=clock, new_id=new_id)
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="wake")

    async def close(self) -> None:
        """Let connections and threads go."""
        await self._cards.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def looks_into(self, head: RequestHead) -> bool:
        """Tell whether the request is one of the dialects, and memory is not off for it."""
        if head.path in _MODEL_PATHS:
            self._cards.forget()
            return False
        if dialect_for(head.method, head.path) is None:
            return False
        return (head.get(b"x-ltmld-memory") or b"").strip().lower() != b"off"

    def unavailable(self, head: RequestHead, message: str) -> bytes:
        """Return the body of a 502 in the shape of the request's dialect."""
        dialect = dialect_for("POST", head.path)
        if dialect is None:
            dialect = dialect_for(
                "POST", "/v1/chat/completions" if head.path.startswith("/v1/") else "/api/chat"
            )
        assert dialect is not None  # noqa: S101 - both fixed paths are registered
        return dialect.error(message)

    async def attend(self, head: RequestHead, body: bytes) -> Plan:
        """Look into one request; whatever goes wrong, it passes as it came."""
        try:
            return await self._attend(head, body)
        except WireError as error:
            self.stats.passed += 1
            log.debug("request.not_understood", path=head.path, error=str(error))
        except TimeoutError:
            self.recordings.unrecorded += 1
            self.recordings.last_error = "the ledger did not answer in time"
            log.warning("request.without_memory", path=head.path, error="ledger too slow")
        except Exception as error:  # the injector's fallback: no memory, never no answer
            self.stats.failures += 1
            log.exception("request.without_memory", path=head.path, error=type(error).__name__)
        return Plan(body=body)

    async def _attend(self, head: RequestHead, body: bytes) -> Plan:
        dialect = dialect_for(head.method, head.path)
        assert dialect is not None  # noqa: S101 - looks_into said so
        coding = (head.get(b"content-encoding") or b"").decode("latin-1")
        plain = decoded(body, coding, bytes_max=self._body_bytes_max)
        request = dialect.parse(plain)
        identity = identify(head, trusted_peers=self._settings.trusted_peers)
        decision = decide(request, mode=identity.mode, settings=self._settings)
        self.stats.looked_into += 1
        if decision.hands_off:
            self.stats.passed += 1
            return Plan(body=body)
        deadline = asyncio.get_running_loop().time() + self._settings.recall_deadline_ms / 1000
        place = await self._placed(request, identity, deadline)
        new, sent = None, plain
        if decision.inject:
            place, new = await self._recalled(request, place, deadline)
            sent = await self._written(dialect, request, place, plain)
        if sent is not plain:
            self.stats.injected += 1
        return Plan(
            body=body if sent is plain else sent,
            recording=self._recording(head, dialect, request, identity, place, new, plain)
            if decision.record
            else None,
            drop_headers=frozenset({b"content-encoding"}) if sent is not plain and coding else frozenset(),
        )

    async def _placed(self, request: Request, identity: Identity, deadline: float) -> Place:
        path = path_of(request, identity)
        return await self._soon(
            lambda: self._injector.place(
                scope=identity.scope,
                thread_key=identity.thread_key,
                path=path,
                context_sha256=request.context_sha256,
            ),
            deadline,
        )

    async def _recalled(
        self, request: Request, place: Place, deadline: float
    ) -> tuple[Place, Injection | None]:
        """Return the place with its new injection, if time allowed to find one."""
        try:
            async with asyncio.timeout_at(deadline):
                card = await self._cards.card(request.model)
            if card and card.cloud and not self._settings.cloud:
                return replace(place, given=()), None
            new = await self._soon(lambda: self._new_injection(request, place, card), deadline)
        except TimeoutError:
            self.stats.recall_timeouts += 1
            log.warning("recall.timeout", deadline_ms=self._settings.recall_deadline_ms)
            return place, None
        return with_injection(place, new), new

    def _new_injection(self, request: Request, place: Place, card: ModelCard | None) -> Injection | None:
        context = (card and card.context_tokens) or self._settings.context_tokens
        prompt = sum(estimate(message.text) for message in request.messages)
        prompt += sum(injection.tokens for injection in place.given)
        new = self._injector.write(place, prompt_tokens=prompt, context_tokens=context)
        if new and new.kind is InjectionKind.WAKE_BLOCK and not _takes_block(request, card):
            # The model's own system text would be lost: the same words go before the user's first message.
            return replace(new, kind=InjectionKind.RECALL_NOTE, chain=place.path[-1].chain)
        return new

    async def _written(self, dialect: Dialect, request: Request, place: Place, plain: bytes) -> bytes:
        """Return the body with everything the thread was given; the very same bytes when that is nothing."""
        notes = _notes(request, place)
        block, base = place.block.text if place.block else "", ""
        if block and request.system is None:
            # Without a deadline of its own: the card was read a moment ago, or Ollama is away and says so at once.
            card = await self._cards.card(request.model)
            if card is None:
                block = ""  # the author's SYSTEM is not known, and must not be lost
            else:
                base = card.system
        if not block and not notes:
            return plain
        return dialect.inject(request, block=block, base_system=base, notes=notes)

    def _recording(
        self,
        head: RequestHead,
        dialect: Dialect,
        request: Request,
        identity: Identity,
        place: Place,
        new: Injection | None,
        plain: bytes,
    ) -> ExchangeRecording:
        path, reply_ref = with_refs(place.path, known=len(place.known_ids), refs=identity.refs)
        opening = Opening(
            exchange_id=self._new_id("exc"),
            request=request,
            identity=identity,
            place=replace(place, path=path),
            client=(head.get(b"user-agent") or b"").decode("latin-1"),
            started_at=self._clock(),
            request_sha256=hashlib.sha256(plain).hexdigest(),
            injections=(new,) if new else (),
            reply_ref=reply_ref,
        )
        return ExchangeRecording(
            opening=opening,
            capture=dialect.capture(bytes_max=self._settings.capture_bytes_max),
            ledger=self._ledger,
            clock=self._clock,
            stats=self.recordings,
            deadline_s=self._settings.commit_deadline_ms / 1000,
            recorded=self._recorded,
        )

    async def _soon(self, work: Callable[[], _T], deadline: float) -> _T:
        """Run *work* in a thread; raise ``TimeoutError`` when it is not done at *deadline* (loop time)."""
        async with asyncio.timeout_at(deadline):
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _takes_block(request: Request, card: ModelCard | None) -> bool:
    return request.system is not None or (card is not None and card.takes_system)


def _notes(request: Request, place: Place) -> dict[int, str]:
    """Return the recall notes of the thread by the index of their message in the request."""
    by_chain = {
        injection.chain: injection.text
        for injection in place.given
        if injection.kind is InjectionKind.RECALL_NOTE
    }
    if not by_chain:
        return {}
    indices = [
        index for index, message in enumerate(request.messages) if message.role not in ("system", "developer")
    ]
    return {
        index: by_chain[item.chain]
        for index, item in zip(indices, place.path, strict=True)
        if item.chain in by_chain
    }
