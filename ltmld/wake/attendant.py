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
from functools import partial
from typing import TYPE_CHECKING

import structlog

from ltmld.core.injection import Injection, InjectionKind
from ltmld.core.ports import Plan
from ltmld.core.tokens import estimate
from ltmld.errors import WireError
from ltmld.wake.identity import Identity, identify, path_of, thread_key_of, with_refs
from ltmld.wake.injector import Injector, Place, with_injection
from ltmld.wake.policy import decide
from ltmld.wake.recorder import ExchangeRecording, Opening, RecordingStats
from ltmld.wake.replay import replayed
from ltmld.wire.dialect import dialect_for, error_body
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

# Requests that change models: what is known about them must be asked anew.
_MODEL_PATHS = ("/api/create", "/api/pull", "/api/copy", "/api/delete")
# Ledger reads take well under a millisecond; four lookups at a time keep up with any number of chats.
_THREADS = 4
# Parsing a megabyte takes 5 to 90 ms (many messages, or one image): from here on it is done beside the event loop.
_ASIDE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What goes upstream, and what of memory stands in it."""

    body: bytes
    injections: tuple[Injection, ...] = ()


@dataclass(slots=True)
class AttendStats:
    """What wake did with requests, counted since the start."""

    looked_into: int = 0
    passed: int = 0
    injected: int = 0
    recall_timeouts: int = 0
    failures: int = 0
    last_failure: str = ""


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
        # Apart from each other: searches that outlive their deadline must not keep others from their place.
        self._places = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="place")
        self._recalls = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="recall")

    async def close(self) -> None:
        """Let connections and threads go."""
        await self._cards.close()
        for pool in (self._places, self._recalls):
            pool.shutdown(wait=False, cancel_futures=True)

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
        return error_body(head.path, f"ltmld: {message}")

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
        plain, request = await self._read(dialect, body, coding)
        identity = identify(head, trusted_peers=self._settings.trusted_peers)
        decision = decide(request, mode=identity.mode, settings=self._settings)
        self.stats.looked_into += 1
        if decision.hands_off:
            self.stats.passed += 1
            return Plan(body=body)
        deadline = asyncio.get_running_loop().time() + self._settings.recall_deadline_ms / 1000
        place = await self._placed(request, identity)
        sent = Sent(body=plain)
        if decision.inject:
            sent = await self._injected(dialect, request, place, deadline)
        if sent.injections:
            self.stats.injected += 1
        rewritten = sent.body is not plain
        return Plan(
            body=sent.body if rewritten else body,
            recording=self._recording(head, dialect, request, identity, place, sent.injections, plain)
            if decision.record
            else None,
            drop_headers=frozenset({b"content-encoding"}) if rewritten and coding else frozenset(),
        )

    async def _read(self, dialect: Dialect, body: bytes, coding: str) -> tuple[bytes, Request]:
        """Decode and parse; a large body aside, so that the event loop goes on."""

        def read() -> tuple[bytes, Request]:
            plain = decoded(body, coding, self._body_bytes_max, takes_zstd=dialect.takes_zstd)
            return plain, dialect.parse(plain)

        if len(body) <= _ASIDE_BYTES:
            return read()
        return await asyncio.get_running_loop().run_in_executor(self._places, read)

    async def _placed(self, request: Request, identity: Identity) -> Place:
        """Find the conversation; reading a few rows has threads and a deadline of its own."""

        def place() -> Place:
            return self._injector.place(
                scope=identity.scope,
                thread_key=thread_key_of(identity, request),
                path=path_of(request, identity),
                context_sha256=request.context_sha256,
            )

        async with asyncio.timeout(self._settings.commit_deadline_ms / 1000):
            return await asyncio.get_running_loop().run_in_executor(self._places, place)

    async def _injected(self, dialect: Dialect, request: Request, place: Place, deadline: float) -> Sent:
        """Return the body with everything the thread was given, and with what was found for it now."""
        card = await self._card(request.model, deadline)
        if card is not None and card.cloud and not self._settings.cloud:
            return Sent(body=request.body)
        new = await self._found(request, place, card, deadline)
        self._injector.keep(place, new)
        place = with_injection(place, new)
        replay = replayed(request, place, card)
        write = partial(
            dialect.inject, request, block=replay.block, base_system=replay.base_system, notes=replay.notes
        )
        if not replay.block and not replay.notes:
            return Sent(body=request.body)
        if len(request.body) <= _ASIDE_BYTES:
            return Sent(body=write(), injections=replay.injections)
        aside = asyncio.get_running_loop().run_in_executor(self._places, write)
        return Sent(body=await aside, injections=replay.injections)

    async def _card(self, model: str, deadline: float) -> ModelCard | None:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._cards.card(model)
        except TimeoutError:
            return None

    async def _found(
        self, request: Request, place: Place, card: ModelCard | None, deadline: float
    ) -> Injection | None:
        """Search for something new to tell, while there is time; of a model that is not known, nothing."""
        if card is None:
            return None
        try:
            async with asyncio.timeout_at(deadline):
                search = partial(self._new_injection, request, place, card)
                return await asyncio.get_running_loop().run_in_executor(self._recalls, search)
        except TimeoutError:
            self.stats.recall_timeouts += 1
            log.warning("recall.timeout", deadline_ms=self._settings.recall_deadline_ms)
            return None
        except Exception as error:  # a broken index costs what it would have found, never the record
            self.stats.failures += 1
            self.stats.last_failure = f"{type(error).__name__}: {error}"
            log.exception("recall.failed", error=type(error).__name__)
            return None

    def _new_injection(self, request: Request, place: Place, card: ModelCard) -> Injection | None:
        context = card.context_tokens or self._settings.context_tokens
        prompt = sum(estimate(message.text) for message in request.messages)
        prompt += sum(injection.tokens for injection in place.given)
        new = self._injector.write(place, prompt_tokens=prompt, context_tokens=context)
        if new is None:
            return None
        if new.kind is InjectionKind.WAKE_BLOCK and request.system is None and not card.takes_system:
            # The model's own system text would be lost: the same words go before the user's first message.
            new = replace(new, kind=InjectionKind.RECALL_NOTE, chain=place.path[-1].chain)
        base = card.system if request.system is None else ""
        return replace(new, model=request.model, base_system=base)

    def _recording(
        self,
        head: RequestHead,
        dialect: Dialect,
        request: Request,
        identity: Identity,
        place: Place,
        injections: tuple[Injection, ...],
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
            injections=injections,
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
