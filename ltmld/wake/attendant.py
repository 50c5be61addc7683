"""Wake as the proxy sees it: hear, decide, place, recall, inject, record; and answer what is asked of ltmld itself.

Rules:
1. The client comes first: ``attend`` never raises and ends within its deadlines; at worst the body passes untouched.
2. Ledger and index are asked in threads of their own, so that a slow disk never stops the event loop.
3. What a thread was given before is replayed even when there is no time to search for more. Of a model that Ollama
   has not described in time nothing is known, not even that it is here: it gets nothing, old or new.
4. Where a person paused memory, nothing is given, replayed or recorded, and what was said is not recorded later.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from ltmld.core.account import Account, Silence
from ltmld.core.ports import Plan
from ltmld.errors import LedgerError, WireError
from ltmld.wake.accounts import Accounts
from ltmld.wake.clerk import FAILED
from ltmld.wake.commands import spoken_aside
from ltmld.wake.finder import Finder, Found
from ltmld.wake.fingerprints import Fingerprints
from ltmld.wake.hearing import Heard, Hearing
from ltmld.wake.identity import path_of, thread_key_of, with_refs
from ltmld.wake.injector import Injector, Place, with_injection
from ltmld.wake.model_change import ModelChange, changes_models
from ltmld.wake.recorder import ExchangeRecording, Opening, RecordingStats
from ltmld.wake.replay import replayed
from ltmld.wake.undecided import UndecidedRecording
from ltmld.wire.dialects import error_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltmld.config import WakeSettings
    from ltmld.core.clock import Clock, NewId
    from ltmld.core.exchange import PathMessage
    from ltmld.core.injection import Injection
    from ltmld.core.ports import Recall, Recording, RequestHead
    from ltmld.ledger.ledger import Ledger
    from ltmld.models.cards import ModelCard, ModelCards
    from ltmld.wake.clerk import Clerk
    from ltmld.wake.commands import Command
    from ltmld.wire.dialects import Request

log = structlog.get_logger(__name__)

# Why the policy lets nothing be put into a request, in the words of an account.
_SILENCES = {
    "cloud model": Silence.CLOUD,
    "already injected": Silence.CARRIED,
    "continues by context": Silence.BY_CONTEXT,
}
# Ledger reads take well under a millisecond; four lookups at a time keep up with any number of chats.
_THREADS = 4
_OFF, _READ = "off", "read"


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
    commands: int = 0
    recall_timeouts: int = 0
    failures: int = 0
    last_failure: str = ""


class WakeAttendant:
    """Implements ``ltmld.core.ports.Attendant``."""

    def __init__(  # noqa: PLR0913 - the composition root names each part once
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
        clerk: Clerk | None = None,
        fingerprints: Fingerprints | None = None,
    ) -> None:
        self.fingerprints = fingerprints or Fingerprints()
        self.stats = AttendStats()
        self.recordings = RecordingStats()
        self.hearing = Hearing(settings, body_bytes_max=body_bytes_max)
        self._ledger = ledger
        self._cards = cards
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self._recorded = recorded
        self._clerk = clerk
        self._accounts = Accounts()
        self._injector = Injector(ledger=ledger, recall=recall, settings=settings, clock=clock, new_id=new_id)
        self._finder = Finder(self._injector, settings=settings)
        # Apart from each other: searches that outlive their deadline must not keep others from their place.
        self._places = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="place")
        self._recalls = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="recall")

    async def close(self) -> None:
        """Let connections and threads go."""
        await self._cards.close()
        self.hearing.close()
        for pool in (self._places, self._recalls):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._clerk is not None:
            self._clerk.close()

    def looks_into(self, head: RequestHead) -> bool:
        """Tell whether the request is one of the dialects; with memory off it is read too, to be left out later.

        One that changes models is only watched for its end.
        """
        if changes_models(head):
            self._cards.forget()
            return True
        return self.hearing.admits(head)

    def unavailable(self, head: RequestHead, message: str) -> bytes:
        """Return the body of a 502 in the shape of the request's dialect."""
        return error_body(head.path, f"ltmld: {message}")

    async def attend(self, head: RequestHead, body: bytes) -> Plan:
        """Look into one request; whatever goes wrong, it passes as it came."""
        passing = Plan(body=body)
        if changes_models(head):
            return replace(passing, recording=ModelChange(ended=self._cards.forget))
        try:
            heard = await self.hearing.hear(head, body, fingerprints=self.fingerprints.current())
            if heard.identity.mode == _OFF:
                heard = replace(heard, passing=passing, command=None)
            passing = heard.passing
            self.stats.looked_into += 1
            if heard.command is not None:
                return await self._answered(head, heard, heard.command)
            return await self._attended(head, heard)
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
        return passing

    async def _answered(self, head: RequestHead, heard: Heard, command: Command) -> Plan:
        """Answer a command; where Ollama would not have let its sender in, let Ollama say so."""
        if self._clerk is None or not self._clerk.may_answer(head):
            self.stats.passed += 1
            return heard.passing
        self.stats.commands += 1
        try:
            text = await self._clerk.done(command, heard.identity.scope, partial(self._account, heard))
        except Exception as error:  # a defect is told to the person, who has not talked to the model
            self.stats.failures += 1
            self.stats.last_failure = f"{type(error).__name__}: {error}"
            log.exception("command.failed", verb=command.verb.value, error=type(error).__name__)
            text = FAILED
        return replace(heard.passing, answer=self._clerk.said(head, heard.request, text))

    def _account(self, heard: Heard) -> Account:
        """Return what the last answer of this conversation was given: placed as the next message would be."""
        aside = spoken_aside(heard.request.messages)
        last = len(heard.request.messages) - 1
        kept = [said for at, said in enumerate(heard.request.messages) if at == last or at not in aside]
        place = self._place(replace(heard.request, messages=tuple(kept)), heard, newest=2)
        return self._accounts.of(replace(place, path=place.path[:-1]))

    async def _attended(self, head: RequestHead, heard: Heard) -> Plan:
        request, decision = heard.request, heard.decision
        scope = heard.identity.scope
        off = self._off(heard)
        if off is not None:
            return await self._left_alone(heard, off)
        if decision.hands_off:
            self.stats.passed += 1
            if decision.talk:
                self._keep_silence(scope, path_of(request, heard.identity), _silence(decision.why))
            return heard.passing
        deadline = asyncio.get_running_loop().time() + self._settings.recall_deadline_ms / 1000
        card = await self._card(request.model, deadline)
        if card is not None and card.cloud and not self._settings.cloud:
            # A name without "cloud" in it that Ollama sends there all the same: as for one with it, neither way.
            self.stats.passed += 1
            self._keep_silence(scope, path_of(request, heard.identity), Silence.CLOUD)
            return heard.passing
        place = await self._placed(heard)
        sent = Sent(body=heard.plain)
        if decision.inject:
            sent = await self._injected(heard, place, card, deadline)
        else:
            self._keep_silence(scope, place.path, _silence(decision.why))
        if sent.injections:
            self.stats.injected += 1
        if not decision.record:
            await self._unrecorded(heard, place)
            return heard.plan(sent.body)
        recording = self._recording(head, heard, place, sent.injections)
        return replace(heard.plan(sent.body), recording=self._decided(recording, card))

    def _decided(self, recording: ExchangeRecording, card: ModelCard | None) -> Recording:
        """Return *recording*, or what withholds it until it is known where the model is."""
        if card is not None or self._settings.cloud:
            return recording
        return UndecidedRecording(recording, partial(self._cards.card, recording.opening.request.model))

    async def _left_alone(self, heard: Heard, silence: Silence) -> Plan:
        """Pass a request that memory is off for."""
        self.stats.passed += 1
        place = await self._placed(heard)
        self._keep_silence(place.scope, place.path, silence)
        await self._set_aside(place)
        return heard.passing

    async def _unrecorded(self, heard: Heard, place: Place) -> None:
        """Leave what is only read for out of the record for good, too."""
        if heard.identity.mode == _READ:
            await self._set_aside(place)

    def _off(self, heard: Heard) -> Silence | None:
        """Say whether memory is off for a request that is talk, and by whose word."""
        if not heard.decision.talk:
            return None
        if heard.identity.mode == _OFF:
            return Silence.SWITCHED_OFF
        return Silence.PAUSED if self._ledger.pauses.since(heard.identity.scope) is not None else None

    async def _set_aside(self, place: Place) -> None:
        """Keep the hash of what was said with memory off, so that it is not recorded later as history."""
        if not place.marks:
            return
        # A ledger that cannot take it costs the secrecy of one message, and not the answer.
        with suppress(LedgerError, TimeoutError):
            queued = self._ledger.pauses.aside(place.scope, place.marks, thread_id=place.thread_id)
            kept = asyncio.wrap_future(queued)
            await asyncio.wait_for(kept, self._settings.commit_deadline_ms / 1000)

    def _keep_silence(self, scope: str, path: tuple[PathMessage, ...], silence: Silence | None) -> None:
        if path:
            self._accounts.keep(scope, path[-1].chain, silence)

    async def _placed(self, heard: Heard) -> Place:
        """Find the conversation; reading a few rows has threads and a deadline."""
        place = partial(self._place, heard.request, heard)
        async with asyncio.timeout(self._settings.commit_deadline_ms / 1000):
            return await asyncio.get_running_loop().run_in_executor(self._places, place)

    def _place(self, request: Request, heard: Heard, *, newest: int = 1) -> Place:
        return self._injector.place(
            scope=heard.identity.scope,
            thread_key=thread_key_of(heard.identity, request),
            path=path_of(request, heard.identity),
            context_sha256=request.context_sha256,
            newest=newest,
        )

    async def _injected(self, heard: Heard, place: Place, card: ModelCard | None, deadline: float) -> Sent:
        """Return the body with everything the thread was given, and with what was found for it now."""
        request = heard.request
        found = await self._found(request, place, card, deadline)
        self._keep_silence(place.scope, place.path, found.silence)
        self._injector.keep(place, found.new)
        place = with_injection(place, found.new)
        replay = replayed(request, place, card, cloud=self._settings.cloud)
        write = partial(
            heard.dialect.inject,
            request,
            block=replay.block,
            base_system=replay.base_system,
            notes=replay.notes,
        )
        if not replay.block and not replay.notes:
            return Sent(body=heard.plain)
        return Sent(body=await self.hearing.written(request, write), injections=replay.injections)

    async def _card(self, model: str, deadline: float) -> ModelCard | None:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._cards.card(model)
        except TimeoutError:
            return None

    async def _found(self, request: Request, place: Place, card: ModelCard | None, deadline: float) -> Found:
        """Search for something new to tell, while there is time; of a model that is not known, nothing."""
        if card is None:
            return Found(silence=Silence.MODEL_UNKNOWN)
        try:
            async with asyncio.timeout_at(deadline):
                search = partial(self._finder.found, request, place, card)
                return await asyncio.get_running_loop().run_in_executor(self._recalls, search)
        except TimeoutError:
            self.stats.recall_timeouts += 1
            log.warning("recall.timeout", deadline_ms=self._settings.recall_deadline_ms)
            return Found(silence=Silence.LATE)
        except Exception as error:  # a broken index costs what it would have found, never the record
            self.stats.failures += 1
            self.stats.last_failure = f"{type(error).__name__}: {error}"
            log.exception("recall.failed", error=type(error).__name__)
            return Found(silence=Silence.BROKEN)

    def _recording(
        self,
        head: RequestHead,
        heard: Heard,
        place: Place,
        injections: tuple[Injection, ...],
    ) -> ExchangeRecording:
        path, reply_ref = with_refs(place.path, known=len(place.known_ids), refs=heard.identity.refs)
        if place.again:
            self._ledger.pauses.said_again(place.scope, place.marks)
        opening = Opening(
            exchange_id=self._new_id("exc"),
            request=heard.request,
            identity=heard.identity,
            place=replace(place, path=path),
            client=(head.get(b"user-agent") or b"").decode("latin-1"),
            started_at=self._clock(),
            request_sha256=hashlib.sha256(heard.plain).hexdigest(),
            injections=injections,
            reply_ref=reply_ref,
        )
        return ExchangeRecording(
            opening=opening,
            capture=heard.dialect.capture(bytes_max=self._settings.capture_bytes_max),
            ledger=self._ledger,
            clock=self._clock,
            stats=self.recordings,
            deadline_s=self._settings.commit_deadline_ms / 1000,
            recorded=self._recorded,
        )


def _silence(why: str) -> Silence:
    return _SILENCES.get(why, Silence.SWITCHED_OFF)
