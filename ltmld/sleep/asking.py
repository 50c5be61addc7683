"""Ask the model of sleep: patiently, once, and with one chance to repair a broken answer.

Rules:
1. No completion starts while a client's request is open; the wait is bounded.
2. The same question is never asked twice: an answer that could be read is kept for ever under the digest of
   model, system text, prompt and schema. One that could not is kept for this cycle only, so that a resumed
   cycle does not ask again and the next night does.
3. A broken answer is repaired at most once; then that item alone fails.
4. After the upstream broke off nothing more is asked in this cycle.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol, TypeVar

from ltmld.core.ports import Completer, Completion
from ltmld.errors import CompletionError, UpstreamError
from ltmld.sleep.prompts import load_prompt

BUSY_STEP_S = 0.25
BUSY_WAIT_MAX_S = 1800.0
"""How long one question waits for the clients to fall silent before it is put off to the next night."""

Answer = TypeVar("Answer")


class Shelf(Protocol):
    """Where answers are kept: the part of the ledger that this module needs."""

    def cached_completion(self, sha256: str) -> str | None:
        """Return the text kept under a digest."""

    def store_completion(
        self, sha256: str, *, model: str, text: str, prompt_tokens: int, reply_tokens: int
    ) -> None:
        """Keep a text under a digest."""


class Halted(Exception):  # noqa: N818 - no error: the person or the daemon asked the night to stop here
    """The cycle was told to stop; its checkpoint stays, and it can be resumed."""


@dataclass(slots=True)
class Tally:
    """What the model was asked in one cycle."""

    calls: int = 0
    cached: int = 0
    repaired: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    reply_tokens: int = 0
    took_ms: float = 0.0


@dataclass(slots=True, kw_only=True)
class Asker:
    """The way from a stage to the model; one per run of a cycle.

    ``pause(seconds)`` waits and tells whether the cycle is to stop; ``alive`` renews the cycle's lease.
    """

    completer: Completer
    shelf: Shelf
    cycle_id: str
    busy: Callable[[], bool]
    pause: Callable[[float], bool]
    alive: Callable[[], None]
    tally: Tally = field(default_factory=Tally)
    away: str = ""
    waiting: bool = False
    """Whether a completion is running: nobody can say for how long."""

    def ask(
        self, *, system: str, prompt: str, schema: Mapping[str, Any], read: Callable[[str], Answer]
    ) -> Answer:
        """Return what *read* makes of the model's answer.

        Raises:
            CompletionError: the model failed, or its answer was unreadable twice.
            UpstreamError: Ollama is away, or the clients were never silent.
            Halted: the cycle was told to stop.
        """
        try:
            return self._answer(system, prompt, schema, read)
        except CompletionError as error:
            repair = load_prompt("repair", placeholders=frozenset({"question", "fault"}))
            again = repair.filled({"question": prompt, "fault": str(error)})
        try:
            answer = self._answer(system, again, schema, read)
        except CompletionError:
            self.tally.failed += 1
            raise
        self.tally.repaired += 1
        return answer

    def _answer(
        self, system: str, prompt: str, schema: Mapping[str, Any], read: Callable[[str], Answer]
    ) -> Answer:
        digest = self._digest(system, prompt, schema)
        tonight = sha256(f"{digest} {self.cycle_id}".encode()).hexdigest()
        for key in (digest, tonight):
            kept = self.shelf.cached_completion(key)
            if kept is not None:
                self.tally.cached += 1
                return read(kept)
        completion = self._complete(system, prompt, schema)
        try:
            answer = read(completion.text)
        except CompletionError:
            self._keep(tonight, completion)
            raise
        self._keep(digest, completion)
        return answer

    def _complete(self, system: str, prompt: str, schema: Mapping[str, Any]) -> Completion:
        if self.away:
            raise UpstreamError(self.away)
        self._await_silence()
        self.alive()
        self.waiting = True
        try:
            completion = self.completer.complete(system=system, prompt=prompt, schema=schema)
        except UpstreamError as error:
            self.away = str(error)
            raise
        finally:
            self.waiting = False
        self.tally.calls += 1
        self.tally.prompt_tokens += completion.prompt_tokens
        self.tally.reply_tokens += completion.reply_tokens
        self.tally.took_ms += completion.took_ms
        return completion

    def _await_silence(self) -> None:
        waited_s = 0.0
        while True:
            if self.pause(0.0):
                raise Halted
            if not self.busy():
                return
            if waited_s >= BUSY_WAIT_MAX_S:
                self.away = f"clients kept the model busy for {BUSY_WAIT_MAX_S / 60:.0f} minutes"
                raise UpstreamError(self.away)
            self.pause(BUSY_STEP_S)
            waited_s += BUSY_STEP_S
            if waited_s % 60 < BUSY_STEP_S:
                self.alive()

    def _keep(self, digest: str, completion: Completion) -> None:
        self.shelf.store_completion(
            digest,
            model=self.completer.model,
            text=completion.text,
            prompt_tokens=completion.prompt_tokens,
            reply_tokens=completion.reply_tokens,
        )

    def _digest(self, system: str, prompt: str, schema: Mapping[str, Any]) -> str:
        question = json.dumps(
            [self.completer.model, system, prompt, schema], sort_keys=True, ensure_ascii=False
        )
        return sha256(question.encode("utf-8", "surrogatepass")).hexdigest()
