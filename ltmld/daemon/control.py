"""Everything that a person or a program may ask of memory, answered from the ledger, the index and the sleeper.

Rules:
1. Each method is one call of the contract; shapes are in ``views``, import lines in ``lines``.
2. Methods are thread-safe because their parts are; nothing here is held between two calls.
3. What a call changed is in the index before the call answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ltmld.core.memory import MemoryKind, MemoryState
from ltmld.core.ports import JsonObject, Recall, SleepRequest
from ltmld.core.scope import DEFAULT_SCOPE, is_scope
from ltmld.daemon import heap, standing, views
from ltmld.daemon.lines import import_lines, rfc3339
from ltmld.daemon.said import Said
from ltmld.errors import BadInputError, RefusedError

if TYPE_CHECKING:
    from ltmld.config import Settings
    from ltmld.core.clock import Clock, NewId
    from ltmld.daemon.rebuilding import Rebuilding
    from ltmld.daemon.sleeper import Sleeper
    from ltmld.index.index import LocalIndex
    from ltmld.ledger.ledger import Ledger
    from ltmld.wake.feeder import Feeder

PAGE = 50

Stats = Callable[[], JsonObject]


def _nothing() -> JsonObject:
    return {}


class LocalControl:
    """Implements ``ltmld.core.ports.Control`` on the rooms of one house."""

    def __init__(  # noqa: PLR0913 - the composition root names each part once
        self,
        ledger: Ledger,
        index: LocalIndex,
        feeder: Feeder,
        recall: Recall,
        settings: Settings,
        clock: Clock,
        new_id: NewId,
        *,
        sleeper: Sleeper,
        proxy_stats: Stats | None = None,
        started_at: datetime | None = None,
    ) -> None:
        self._ledger, self._index, self._feeder, self._recall = ledger, index, feeder, recall
        self._settings, self._clock, self._sleeper = settings, clock, sleeper
        self._said = Said(ledger, clock=clock, new_id=new_id)
        self._started_at = started_at or clock()
        self.proxy_stats: Stats = proxy_stats or _nothing
        """What the data plane counted since its start."""
        self.wake_stats: Stats = _nothing
        """What wake counted: ``recorded``, ``unrecorded``, ``injected``, ``last_error``, ..."""
        self.readiness: Callable[[], str] = lambda: "ready"
        """``ready``, or ``preparing`` while the embedder is being made or loaded."""
        self.embedder: Callable[[], str] = lambda: settings.models.embedder
        """The embedder's name, or why there is none (yet)."""
        self.rebuilding: Rebuilding | None = None
        """Changes the embedder."""

    def status(self) -> JsonObject:
        """Tell how everything stands."""
        return {
            **standing.daemon(self._settings, now=self._clock(), started_at=self._started_at),
            "memory": self.readiness(),
            "proxy": self.proxy_stats(),
            "wake": self.wake_stats(),
            "ledger": standing.ledger(self._ledger, self._settings.data_dir),
            "scopes": {scope: self._ledger.counts(scope) for scope in self._ledger.scopes()},
            "paused": {scope: views.moment(at) for scope, at in self._ledger.pauses.all().items()},
            "index": {"embedder": self.embedder(), **self._index.standing(), "url": self._settings.index.url},
            "sleep": standing.sleep(self._ledger, self._sleeper),
        }

    def import_lines(self, lines: Iterator[bytes]) -> JsonObject:
        """Record old conversations; answers once they are in the ledger and in both indexes.

        Raises:
            BadInputError: a line is malformed; nothing was imported.
        """
        checked = list(import_lines(lines))
        imported, skipped = self._ledger.import_messages(checked)
        self._index_all()
        return {"imported": imported, "skipped": skipped}

    def recall(self, body: JsonObject) -> JsonObject:
        """Find what memory holds about a text.

        Raises:
            BadInputError: there is no query, or the scope or time makes no sense.
        """
        query = str(body.get("query", "")).strip()
        if not query:
            raise BadInputError("query: it must hold at least one word.")
        found = self._recall.recall(
            query,
            scope=_scope(body),
            at=_at(body),
            budget_tokens=int(body.get("budget_tokens", self._settings.wake.budget_tokens)),
            k=int(body.get("k", self._settings.wake.k)),
        )
        return views.recollection(found)

    def memories(self, query: JsonObject) -> JsonObject:
        """List memories, the latest first.

        Raises:
            BadInputError: there is no such kind or state, or the cursor is none of ours.
        """
        for name, words in (("kind", MemoryKind), ("state", MemoryState)):
            if query.get(name) and query[name] not in set(words):
                raise BadInputError(f"{name}: {str(query[name])[:40]!r} is none of {', '.join(words)}.")
        found, cursor = self._ledger.memories(
            scope=query.get("scope", ""),
            kind=query.get("kind", ""),
            state=query.get("state", ""),
            text=query.get("q", ""),
            limit=query.get("limit", PAGE),
            cursor=query.get("cursor", ""),
        )
        return {"memories": [views.memory(memory) for memory in found], "cursor": cursor}

    def memory(self, memory_id: str) -> JsonObject:
        """Show one memory with its evidence.

        Raises:
            NotFoundError: there is none of that id.
        """
        memory = self._ledger.memory(memory_id)
        messages = self._ledger.messages([source.message_id for source in memory.sources])
        return views.memory_with_evidence(memory, messages)

    def memory_history(self, memory_id: str) -> JsonObject:
        """Show every change of a memory, the oldest first.

        Raises:
            NotFoundError: there is none of that id.
        """
        memory = self._ledger.memory(memory_id)
        return {"id": memory.id, "history": [views.event(row) for row in self._ledger.history(memory.id)]}

    def remember(self, body: JsonObject) -> JsonObject:
        """Keep what a person said; words that are known already are reinforced.

        Raises:
            BadInputError: there are no words, or the kind or scope makes no sense.
        """
        memory = self._said.remember(
            text=str(body.get("text", "")),
            kind=str(body.get("kind", "fact")),
            scope=_scope(body),
            pinned=bool(body.get("pinned")),
        )
        self._index_all()
        return self.memory(memory.id)

    def edit(self, memory_id: str, body: JsonObject) -> JsonObject:
        """Correct a memory.

        Raises:
            BadInputError: nothing was given, or a value makes no sense.
            NotFoundError: there is none of that id.
            RefusedError: its state cannot become the one asked for.
        """
        memory = self._said.edit(memory_id, body)
        self._index_all()
        return self.memory(memory.id)

    def forget(self, memory_id: str, *, hard: bool = False) -> JsonObject:
        """Forget a memory; *hard* erases its words as well.

        Raises:
            NotFoundError: there is none of that id.
        """
        memory = self._ledger.memory(memory_id)
        self._ledger.forget(memory.id, hard=hard, cause="user")
        self._index_all()
        return {"id": memory.id, "state": "forgotten", "hard": hard}

    def start_sleep(self, request: SleepRequest) -> JsonObject:
        """Begin a sleep cycle in the background.

        Raises:
            RefusedError: one runs already.
        """
        if request.scope and not is_scope(request.scope):
            raise _no_scope(request.scope)
        return {"id": self._sleeper.start(request)}

    def sleeps(self) -> JsonObject:
        """List sleep cycles, the latest first."""
        cycles = [standing.cycle(row, self._sleeper) for row in self._ledger.cycles(limit=PAGE)]
        return {"sleeps": cycles}

    def sleep(self, cycle_id: str) -> JsonObject:
        """Show one cycle.

        Raises:
            NotFoundError: there is none of that id.
        """
        return standing.cycle(self._ledger.cycle(cycle_id), self._sleeper)

    def threads(self, query: JsonObject) -> JsonObject:
        """List conversations, the latest first."""
        found, cursor = self._ledger.threads(
            scope=query.get("scope", ""), limit=query.get("limit", PAGE), cursor=query.get("cursor", "")
        )
        return {"threads": found, "cursor": cursor}

    def exchange(self, exchange_id: str) -> JsonObject:
        """Show one exchange, with what was injected and why.

        Raises:
            NotFoundError: there is none of that id.
        """
        return self._ledger.exchange(exchange_id)

    def reindex(self, embedder: str = "") -> JsonObject:
        """Build the index again from the ledger; recall finds less until it answers.

        With an *embedder*, build its vectors beside those in use instead, and answer as soon as that has begun.

        Raises:
            BadInputError: there can be no such embedder.
            EmbedderError: it is not there, or cannot be made ready.
            RefusedError: another one is being prepared.
        """
        if embedder:
            if self.rebuilding is None:
                raise RefusedError("The embedder cannot be changed here.")
            return self.rebuilding.begin(embedder)
        started = time.monotonic()
        self._index.wipe()
        self._index_all()
        indexed = sum(self._index.count(scope) for scope in self._ledger.scopes())
        return {"indexed": indexed, "took_s": round(time.monotonic() - started, 2)}

    def pause(self, scope: str) -> JsonObject:
        """Switch the memory of a scope off: nothing is recorded there and nothing recalled, until ``resume``.

        Raises:
            BadInputError: it cannot be a scope.
        """
        scope = _scope({"scope": scope})
        since = self._ledger.pauses.pause(scope)
        return {"scope": scope, "paused": True, "since": views.moment(since)}

    def resume(self, scope: str) -> JsonObject:
        """Switch the memory of a scope on again; ``since`` is when it was switched off, ``null`` if it was not.

        Raises:
            BadInputError: it cannot be a scope.
        """
        scope = _scope({"scope": scope})
        since = self._ledger.pauses.resume(scope)
        return {"scope": scope, "paused": False, "since": views.moment(since)}

    def catch_up(self) -> None:
        """Let the index take everything that the ledger holds."""
        self._index_all()

    def _index_all(self) -> None:
        """Drain the outbox; nothing is left when a drain, of which there is one at a time, finds nothing."""
        while self._feeder.drain():
            pass
        # Even one row may have been a book: what it needed is given back.
        heap.trim()


def _scope(body: JsonObject) -> str:
    scope = body.get("scope") or DEFAULT_SCOPE
    if not isinstance(scope, str) or not is_scope(scope):
        raise _no_scope(scope)
    return scope


def _no_scope(scope: Any) -> BadInputError:
    return BadInputError(
        f"scope: {str(scope)[:40]!r} cannot be one. It begins with a letter or digit and holds those and ._:@+/-, "
        "128 at most."
    )


def _at(body: JsonObject) -> datetime | None:
    given = body.get("at")
    if not given:
        return None
    try:
        return rfc3339(str(given))
    except ValueError as error:
        raise BadInputError(f"at: {str(given)[:40]!r} is not RFC 3339 (2026-01-31T18:00:00Z).") from error
