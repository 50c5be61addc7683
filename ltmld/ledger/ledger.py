"""The ledger: everything that was said and believed, and how it came to be, in one SQLite file.

The truth of ltmld; the index is derived from it. This class joins the nouns: each method is one read
snapshot or one job of the writer, and the SQL lies in the module of its noun.

Rules:
1. Any thread may call any method. Reads see what is committed; a write has returned when it is durable.
2. What the ledger cannot do it says: ``LedgerBusyError`` when too much waits, ``LedgerError`` when the file
   cannot be read or written, both with what to do. It works again as soon as the file does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ltmld.core.clock import Clock, NewId
from ltmld.core.exchange import PathMessage, Placement, Recorded, StoredMessage, Turn
from ltmld.core.injection import Injection
from ltmld.core.memory import Memory, MemoryState
from ltmld.core.proposal import Proposal
from ltmld.errors import RefusedError
from ltmld.ledger import (
    changes,
    completions,
    counts,
    cycles,
    erasing,
    exchanges,
    forgetting,
    imports,
    injections,
    memories,
    messages,
    outbox,
    remembering,
    schema,
    threads,
)
from ltmld.ledger.changes import Cause
from ltmld.ledger.imports import ImportLine
from ltmld.ledger.messages import Neighbors
from ltmld.ledger.outbox import OutboxRow
from ltmld.ledger.pauses import Pauses
from ltmld.ledger.readers import Readers
from ltmld.ledger.spelling import stamp
from ltmld.ledger.writer import Writer

QUEUE_MAX = 1_024

# An import is written in pieces of this size, so that an exchange never waits behind all of it.
IMPORT_LINES_MAX = 500


class Ledger:
    """One ledger file, its writer and its readers."""

    def __init__(self, path: Path, *, clock: Clock, new_id: NewId, queue_max: int) -> None:
        self.path = path
        self._clock = clock
        self._new_id = new_id
        self._writer = Writer(path, queue_max=queue_max)
        self._readers = Readers(path)
        self.pauses = Pauses(self._writer, self._readers, clock=clock)

    @classmethod
    def open(cls, folder: Path, *, clock: Clock, new_id: NewId, queue_max: int = QUEUE_MAX) -> Ledger:
        """Open the ledger in *folder*, made and brought up to date if need be.

        Raises:
            LedgerError: the folder or the file cannot be written.
            LedgerSchemaError: the file was written by a newer ltmld.
        """
        return cls(schema.prepared(folder), clock=clock, new_id=new_id, queue_max=queue_max)

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._writer.close()
        self._readers.close()

    # --- conversations ------------------------------------------------------------------------------

    def locate(
        self, scope: str, *, thread_key: str, chains: Sequence[str], path: Sequence[PathMessage] = ()
    ) -> Placement | None:
        """Return where a path with these chains continues a known thread; see ``threads.locate``."""
        with self._readers.snapshot() as connection:
            return threads.locate(connection, scope=scope, thread_key=thread_key, chains=chains, path=path)

    def locate_context(self, scope: str, *, context_sha256: str) -> Placement | None:
        """Return the place after the reply that came with this generate ``context``."""
        with self._readers.snapshot() as connection:
            return threads.locate_context(connection, scope=scope, context_sha256=context_sha256)

    def locate_end(self, scope: str, thread_id: str) -> Placement | None:
        """Return the place after what was said last in a thread."""
        with self._readers.snapshot() as connection:
            return threads.locate_end(connection, scope, thread_id)

    def submit_turn(self, turn: Turn) -> Future[Recorded]:
        """Queue *turn*; the future is done when it is durable.

        Raises:
            LedgerBusyError: too much waits already; the turn was not taken.
        """
        return self._writer.submit(
            lambda connection: exchanges.record(connection, turn, new_id=self._new_id, now=self._clock())
        )

    def record_turn(self, turn: Turn) -> Recorded:
        """Record *turn*: every message of it once; see ``exchanges``."""
        return self.submit_turn(turn).result()

    def injections(self, thread_id: str, chains: Sequence[str], *, window: bool = False) -> list[Injection]:
        """Return what is to be replayed on a path with these chains, or on a *window* of the thread."""
        with self._readers.snapshot() as connection:
            return injections.at_chains(connection, thread_id, chains, window=window)

    def messages(self, ids: Sequence[str]) -> list[StoredMessage]:
        """Return messages in the order of *ids*; unknown ones are left out."""
        with self._readers.snapshot() as connection:
            return messages.by_ids(connection, ids)

    def neighbors(self, ids: Sequence[str]) -> Neighbors:
        """Return the messages before and after each of *ids* along its thread."""
        with self._readers.snapshot() as connection:
            return messages.neighbors(connection, ids)

    def thread_messages(self, thread_id: str) -> list[StoredMessage]:
        """Return the messages of a thread that still count, by depth."""
        with self._readers.snapshot() as connection:
            return messages.of_thread(connection, thread_id)

    def threads(
        self, *, scope: str = "", limit: int = 50, cursor: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """Return a page of threads, the latest first, and the cursor of the next."""
        with self._readers.snapshot() as connection:
            return threads.page(connection, scope=scope, limit=limit, cursor=cursor)

    def exchange(self, exchange_id: str) -> dict[str, Any]:
        """Return an exchange with its messages and injections, or raise ``NotFoundError``."""
        with self._readers.snapshot() as connection:
            return exchanges.exchange(connection, exchange_id)

    def import_messages(self, lines: Sequence[ImportLine]) -> tuple[int, int]:
        """Record conversations from elsewhere; return how many lines were imported and how many skipped."""
        ordered = sorted(lines, key=lambda line: (line.scope, line.thread, stamp(line.at)))
        imported = skipped = 0
        for start in range(0, len(ordered), IMPORT_LINES_MAX):
            piece = ordered[start : start + IMPORT_LINES_MAX]
            taken, left = self._import(piece)
            imported, skipped = imported + taken, skipped + left
        return imported, skipped

    # --- memories -------------------------------------------------------------------------------------

    def memory(self, memory_id: str, *, scope: str = "") -> Memory:
        """Return the memory with this id or a beginning of one unique in *scope*, or raise ``NotFoundError``."""
        with self._readers.snapshot() as connection:
            return memories.one(connection, memory_id, scope=scope)

    def memories_by_id(self, ids: Sequence[str]) -> list[Memory]:
        """Return memories in the order of *ids*; unknown ones are left out."""
        with self._readers.snapshot() as connection:
            return memories.by_ids(connection, ids)

    def memories(
        self,
        *,
        scope: str = "",
        kind: str = "",
        state: str = "",
        text: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> tuple[list[Memory], str]:
        """Return a page of memories that hold every word of *text*, and the cursor of the next."""
        with self._readers.snapshot() as connection:
            return memories.page(
                connection, scope=scope, kind=kind, state=state, text=text, limit=limit, cursor=cursor
            )

    def all_memories(self, scope: str) -> list[Memory]:
        """Return the active and disputed memories of *scope*."""
        with self._readers.snapshot() as connection:
            return memories.recallable(connection, scope)

    def standing(self, scope: str, *, limit: int) -> list[Memory]:
        """Return pinned memories, identity and lessons of *scope*, the firmest first."""
        with self._readers.snapshot() as connection:
            return memories.standing(connection, scope, limit=limit)

    def history(self, memory_id: str) -> list[dict[str, Any]]:
        """Return every change of a memory, the oldest first."""
        with self._readers.snapshot() as connection:
            return memories.history(connection, memory_id)

    def remember(self, memory: Memory, *, said: str, cause: str) -> Memory:
        """Record what a person *said* and the memory drawn from it; see ``remembering``."""
        return self._writer.run(
            lambda connection: remembering.remember(
                connection, memory, said=said, cause=self._cause(cause), new_id=self._new_id
            )
        )

    def edit(self, memory_id: str, *, cause: str, **fields: Any) -> Memory:
        """Write a new version of a memory.

        Raises:
            NotFoundError: there is no such memory.
            RefusedError: its state may not change so.
            ValueError: there is no such field, or it cannot have the value.
        """
        unknown = fields.keys() - changes.EDITABLE
        if unknown:
            raise ValueError(f"no field of a memory that can be edited: {', '.join(sorted(unknown))}")
        if fields.get("state") == MemoryState.FORGOTTEN:
            raise RefusedError(f"Memory {memory_id} is not edited away. Use `ltmld forget {memory_id}`.")
        return self._writer.run(
            lambda connection: self._edit(connection, memory_id, self._cause(cause), fields)
        )

    def _edit(
        self, connection: sqlite3.Connection, memory_id: str, cause: Cause, fields: Mapping[str, Any]
    ) -> Memory:
        memory = memories.one(connection, memory_id)
        if memory.state is MemoryState.FORGOTTEN:
            raise RefusedError(
                f"Memory {memory.id} is forgotten, and stays so. Say it again with `ltmld remember`."
            )
        return changes.changed(connection, memory, cause, **fields)

    def forget(self, memory_id: str, *, hard: bool, cause: str) -> None:
        """Take a memory out of recall for good; *hard* also takes its words out of the file.

        The conversation that the memory was drawn from stays as it was said; see ``erasing``.
        """
        if not hard:
            self._writer.run(lambda connection: self._forget(connection, memory_id, self._cause(cause)))
            return
        self._writer.run(lambda connection: erasing.erase(connection, memory_id, self._cause(cause)))
        self._writer.run(erasing.release, alone=True)

    @staticmethod
    def _forget(connection: sqlite3.Connection, memory_id: str, cause: Cause) -> None:
        forgetting.forget(connection, memory_id, cause)
        erasing.withdraw(connection, memory_id, cause)

    def tombstoned(self, scope: str, text: str) -> bool:
        """Tell whether these words were forgotten in *scope*."""
        with self._readers.snapshot() as connection:
            return forgetting.tombstoned(connection, scope, text)

    def used(self, memory_ids: Sequence[str]) -> None:
        """Note that these memories were used now."""
        self._writer.run(lambda connection: changes.used(connection, memory_ids, self._clock()))

    # --- outbox ---------------------------------------------------------------------------------------

    def outbox(self, limit: int) -> list[OutboxRow]:
        """Return the oldest changes that the index has not taken yet."""
        with self._readers.snapshot() as connection:
            return outbox.oldest(connection, limit)

    def outbox_done(self, through_id: int) -> None:
        """Remove the rows up to *through_id*: the index has them."""
        self._writer.run(lambda connection: outbox.done(connection, through_id))

    def outbox_depth(self) -> int:
        """Return how many changes wait for the index."""
        with self._readers.snapshot() as connection:
            return outbox.depth(connection)

    def outbox_refill(self) -> int:
        """Ask for everything to be indexed again; return how many rows wait then."""
        return self._writer.run(outbox.refill)

    # --- sleep ----------------------------------------------------------------------------------------

    def ungathered(self, scope: str, *, limit: int = 5000) -> list[StoredMessage]:
        """Return what was said in *scope* and no sleep has judged yet, the oldest first."""
        with self._readers.snapshot() as connection:
            return messages.ungathered(connection, scope, limit)

    def begin_cycle(self, *, scope: str, depth: str, trigger: str, model: str, dry_run: bool) -> str:
        """Begin a sleep cycle and return its id, or raise ``RefusedError`` while another one runs."""
        return self._writer.run(
            lambda connection: cycles.begin(
                connection,
                cycle_id=self._new_id("slp"),
                scope=scope,
                depth=depth,
                trigger=trigger,
                model=model,
                dry_run=dry_run,
                now=self._clock(),
            )
        )

    def renew_lease(self, cycle_id: str) -> None:
        """Keep other cycles from beginning for another quarter of an hour."""
        self._writer.run(lambda connection: cycles.renew(connection, cycle_id, self._clock()))

    def checkpoint(self, cycle_id: str) -> tuple[str, dict[str, Any]] | None:
        """Return the last stage that was applied and its payload."""
        with self._readers.snapshot() as connection:
            return cycles.checkpoint(connection, cycle_id)

    def apply(
        self, cycle_id: str, stage: str, proposals: Sequence[Proposal], payload: Mapping[str, Any]
    ) -> dict[str, int]:
        """Write a stage's proposals and its checkpoint in one transaction; see ``cycles.apply``."""
        return self._writer.run(
            lambda connection: cycles.apply(
                connection, cycle_id, stage, proposals=proposals, payload=payload, now=self._clock()
            )
        )

    def end_cycle(self, cycle_id: str, *, state: str, report: Mapping[str, Any]) -> None:
        """End a cycle with its report."""
        self._writer.run(
            lambda connection: cycles.end(connection, cycle_id, state=state, report=report, now=self._clock())
        )

    def cycle(self, cycle_id: str) -> dict[str, Any]:
        """Return a cycle, its report and its stages, or raise ``NotFoundError``."""
        with self._readers.snapshot() as connection:
            return cycles.one(connection, cycle_id)

    def cycles(self, *, limit: int = 50) -> list[dict[str, Any]]:
        """Return cycles, the latest first."""
        with self._readers.snapshot() as connection:
            return cycles.latest(connection, limit)

    def unfinished_cycle(self) -> dict[str, Any] | None:
        """Return the cycle that has not ended, whether its lease still runs or not."""
        with self._readers.snapshot() as connection:
            return cycles.unfinished(connection)

    def cached_completion(self, sha256: str) -> str | None:
        """Return the model's answer to the question with this hash."""
        with self._readers.snapshot() as connection:
            return completions.cached(connection, sha256)

    def store_completion(
        self, sha256: str, *, model: str, text: str, prompt_tokens: int, reply_tokens: int
    ) -> None:
        """Keep the model's answer."""
        self._writer.run(
            lambda connection: completions.store(
                connection,
                sha256,
                model=model,
                text=text,
                prompt_tokens=prompt_tokens,
                reply_tokens=reply_tokens,
                now=self._clock(),
            )
        )

    # --- the rest -------------------------------------------------------------------------------------

    def scopes(self) -> list[str]:
        """Return the scopes that anything was recorded for."""
        with self._readers.snapshot() as connection:
            return counts.scopes(connection)

    def counts(self, scope: str = "") -> dict[str, int]:
        """Return how many exchanges, messages, threads and memories (also per state) there are."""
        with self._readers.snapshot() as connection:
            return counts.counts(connection, scope)

    def last_model(self) -> str:
        """Return the model that was talked to last."""
        with self._readers.snapshot() as connection:
            return counts.last_model(connection)

    def integrity(self) -> list[str]:
        """Return what is wrong with the ledger, one sentence each; empty when all is well."""
        with self._readers.snapshot() as connection:
            return counts.integrity(connection)

    @property
    def queued(self) -> int:
        """How many writes wait."""
        return self._writer.queued

    def _cause(self, words: str) -> Cause:
        return Cause(words=words, at=self._clock())

    def _import(self, lines: Sequence[ImportLine]) -> tuple[int, int]:
        return self._writer.run(
            lambda connection: imports.import_messages(
                connection, lines, new_id=self._new_id, now=self._clock()
            )
        )
