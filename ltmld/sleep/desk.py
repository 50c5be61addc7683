"""The desk: everything a stage may look at, and what it hands back. Stages read here and write nowhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ltmld.config import SleepSettings
from ltmld.core.clock import NewId
from ltmld.core.exchange import StoredMessage
from ltmld.core.memory import Memory, MemoryState
from ltmld.core.ports import Embedder, Index
from ltmld.core.proposal import Proposal
from ltmld.errors import EmbedderError, IndexBrokenError
from ltmld.ledger.ledger import Ledger
from ltmld.sleep.asking import Asker
from ltmld.sleep.overlay import overlaid
from ltmld.sleep.report import Report

Work = dict[str, Any]
"""What travels between the stages of one scope, as JSON: ids, verdicts, candidates, clusters."""

PAGE = 500
SIMILAR_BATCH = 64
SIMILAR_CHARS_MAX = 600
"""MiniLM reads 256 word pieces; more text than this changes nothing."""


@dataclass(slots=True, kw_only=True)
class Desk:
    """One scope's view during one stage."""

    ledger: Ledger
    index: Index
    embedder: Embedder | None
    asker: Asker | None
    settings: SleepSettings
    new_id: NewId
    scope: str
    depth: str
    now: datetime
    report: Report
    step: Callable[[int, int, str], None]
    pending: Sequence[Proposal] = ()

    def memories(self) -> list[Memory]:
        """Return the recallable memories of the scope; a dry run sees what it would have changed."""
        return overlaid(self.ledger.all_memories(self.scope), self.pending)

    def faded(self) -> list[Memory]:
        """Return the memories of the scope that have faded: not recalled, and alive again when they are met."""
        found: list[Memory] = []
        cursor = ""
        while True:
            page, cursor = self.ledger.memories(
                scope=self.scope, state=MemoryState.FADED.value, limit=PAGE, cursor=cursor
            )
            found.extend(page)
            if not cursor:
                return found

    def messages(self, ids: Sequence[str]) -> dict[str, StoredMessage]:
        """Return messages by id; what was erased meanwhile is missing."""
        return {message.id: message for message in self.ledger.messages(ids)}

    def nearest(self, texts: Sequence[str], *, limit: int) -> list[dict[str, float]]:
        """Return, for each text, the cosine of the memories nearest to it; empty where vectors are unavailable."""
        found: list[dict[str, float]] = []
        try:
            for start in range(0, len(texts), SIMILAR_BATCH):
                batch = [text[:SIMILAR_CHARS_MAX] for text in texts[start : start + SIMILAR_BATCH]]
                rows = self.index.similar(batch, scope=self.scope, limit=limit)
                found.extend({one.unit_id: one.score for one in scored} for scored in rows)
        except (EmbedderError, IndexBrokenError) as error:
            self.report.warn(f"Vectors were unavailable, so novelty and paraphrases went unseen: {error}")
            return [{} for _ in texts]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a stage hands back: what it proposes, what it adds to the work, what is worth counting."""

    proposals: tuple[Proposal, ...] = ()
    work: Work = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
