"""Carry what changed in the ledger into the index.

Rules:
1. A row of the outbox is done only after the index took it: a crash between the two repeats it, and repeating
   changes nothing.
2. What is put in is the entity as it is now, not as it was when the row was written: a memory that faded since
   is taken out.
3. An index that lost something is filled from the ledger again before anything else.
4. What lacks its vectors only (they could not be made, or another embedder's are being built) comes after all that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from ltmld.core.hit import Unit
from ltmld.core.memory import RECALLABLE
from ltmld.core.message import Role
from ltmld.index.index import LocalIndex
from ltmld.index.units import SPEECH, memory_unit, message_units
from ltmld.ledger.ledger import Ledger
from ltmld.ledger.outbox import OutboxRow

# Texts in one batch of the embedder; a larger one would keep the processor from a waiting recall for longer.
BATCH = 64

_SPOKEN = frozenset({Role.USER.value, Role.ASSISTANT.value})


class Feeder:
    """Drains the outbox into the index; one drain at a time, whoever calls."""

    def __init__(self, ledger: Ledger, index: LocalIndex, *, opened: threading.Event | None = None) -> None:
        """Feed *index* from *ledger*; *opened*, where given, is set once the embedder is ready to be asked."""
        self._opened = opened
        self._ledger = ledger
        self._index = index
        self._lock = threading.Lock()

    def drain(self, limit: int = BATCH) -> int:
        """Work off up to *limit* rows and return how many: 0 when the index knows all that the ledger knows.

        Raises:
            IndexBrokenError: full text cannot be written; the rows stay.
            LedgerError: the ledger cannot be read or written; the rows stay.
        """
        if self._opened is not None:
            self._opened.wait()
        with self._lock:
            self._index.look_after()
            if self._index.stale:
                self._ledger.outbox_refill()
                self._index.refilled()
            rows = self._ledger.outbox(limit)
            if not rows:
                self._index.mended()
                return 0
            self._apply(rows)
            self._ledger.outbox_done(rows[-1].id)
            return len(rows)

    def fill(self, limit: int = BATCH) -> int:
        """Give up to *limit* messages and memories the vectors they lack; return how many: 0 when nothing can be done.

        Raises:
            IndexBrokenError: full text cannot be written.
            LedgerError: the ledger cannot be read.
        """
        with self._lock:
            lacking = self._index.missing(limit)
            # A message with several passages is named once; an id of 0 is no row of the outbox.
            self._apply(
                [
                    OutboxRow(
                        id=0,
                        scope=each.scope,
                        kind="message" if each.kind in SPEECH else "memory",
                        entity_id=each.owner,
                        op="upsert",
                    )
                    for each in dict.fromkeys(lacking)
                ]
            )
            if not lacking:
                self._index.swap_when_built()
            return len(lacking)

    def _apply(self, rows: Sequence[OutboxRow]) -> None:
        # The last row of an entity counts.
        latest = {(row.kind, row.entity_id): row for row in rows}
        put = [row for row in latest.values() if row.op == "upsert"]
        units = self._units(put)
        # A passage's owner is its message; whatever has no unit now is taken out.
        alive = {unit.id.partition(":")[0] for unit in units}
        gone = [row for row in latest.values() if row.entity_id not in alive]
        for scope in {row.scope for row in gone}:
            self._index.delete(scope, [row.entity_id for row in gone if row.scope == scope])
        self._index.upsert(units)

    def _units(self, rows: Iterable[OutboxRow]) -> list[Unit]:
        ids: dict[str, list[str]] = {"message": [], "memory": []}
        for row in rows:
            ids[row.kind].append(row.entity_id)
        messages = self._ledger.messages(ids["message"]) if ids["message"] else []
        memories = self._ledger.memories_by_id(ids["memory"]) if ids["memory"] else []
        # A revived branch tells of its tool output too: that is no speech.
        units = [unit for message in messages if message.role in _SPOKEN for unit in message_units(message)]
        units += [memory_unit(memory) for memory in memories if memory.state in RECALLABLE]
        return units
