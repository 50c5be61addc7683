"""What embedders and the store of vectors do together: make vectors, keep them, find the nearest.

Rules:
1. A failing embedder costs its vectors, never a call: what could not be made is told by the list's empty digest.
2. A remote embedder that failed is not asked again for ``REST_S``; a question to another program has a deadline.
3. Vectors that could not be removed are left over in the list, and removed when the store is back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from ltmld.core.hit import Unit
from ltmld.core.ports import Embedder
from ltmld.errors import EmbedderError
from ltmld.index.asking import Asking
from ltmld.index.building import Building
from ltmld.index.fulltext import Listed
from ltmld.index.store import REST_S, VectorStore

Entries = dict[str, Listed]
Found = list[list[tuple[str, float]]]


class Semantic:
    """The semantic half's work, for whichever embedder it is asked to do it."""

    def __init__(self, store: VectorStore, *, deadline_s: float) -> None:
        self._store = store
        self._asking = Asking(deadline_s)
        self._tired: dict[str, tuple[float, str]] = {}

    def close(self) -> None:
        """Let the threads go that wait for other programs."""
        self._asking.close()

    @property
    def failed(self) -> str:
        """What an embedder said when it failed last, until all is made up for."""
        return next((said for _, said in self._tired.values()), "")

    def recovered(self) -> None:
        """All is made up for."""
        self._tired.clear()

    def is_tired(self, embedder: Embedder) -> bool:
        """Tell whether an embedder failed a moment ago."""
        until, _ = self._tired.get(embedder.name, (0.0, ""))
        return time.monotonic() < until

    def in_time(self, embedder: Embedder | None, texts: Sequence[str], *, scope: str, limit: int) -> Found:
        """Find the nearest within the deadline where that means another program, else at once."""
        if not (self._store.remote or is_remote(embedder)):
            return self.nearest(embedder, texts, scope=scope, limit=limit)
        return self._asking.ask(lambda: self.nearest(embedder, texts, scope=scope, limit=limit)) or []

    def nearest(self, embedder: Embedder | None, texts: Sequence[str], *, scope: str, limit: int) -> Found:
        """Return, for each text, the nearest vectors with their cosine; nothing where that cannot be told."""
        if embedder is None or not self._store.usable or limit <= 0:
            return []
        queries = self._vectors_of(embedder, texts)
        if queries is None:
            return []
        name = embedder.name
        return (
            self._store.do(lambda vectors: vectors.nearest(scope, queries, embedder=name, limit=limit)) or []
        )

    def embedded(
        self,
        embedder: Embedder | None,
        scope: str,
        units: Sequence[Unit],
        known: Mapping[str, Listed],
        building: Building,
    ) -> Entries:
        """Write the vectors of units whose texts changed, and return the list's entry for each unit."""
        entries = {
            unit.id: Listed(kind=unit.kind, vectors=1 + len(unit.extra_texts), digest=_digest(unit))
            for unit in units
        }
        changed = [
            unit for unit in units if unit.id not in known or known[unit.id].digest != entries[unit.id].digest
        ]
        if changed and not self._write(embedder, scope, changed, known, building):
            for unit in changed:
                # The old vectors are still there, and are replaced or removed by their number.
                left = known[unit.id].vectors if unit.id in known else 0
                entries[unit.id] = Listed(kind=unit.kind, vectors=left, digest="")
        return entries

    def drop(
        self, embedder: Embedder | None, scope: str, vector_ids: Sequence[str], building: Building
    ) -> None:
        """Remove vectors, now or when the store is back (rule 3)."""
        if not vector_ids:
            return
        name = embedder.name if embedder else ""
        if not name or not self._store.did(lambda vectors: vectors.drop(scope, vector_ids, embedder=name)):
            building.leave(scope, vector_ids)

    def _write(
        self,
        embedder: Embedder | None,
        scope: str,
        units: Sequence[Unit],
        known: Mapping[str, Listed],
        building: Building,
    ) -> bool:
        if embedder is None or not self._store.usable:
            return False
        named = dict(item for unit in units for item in _texts(unit))
        rows = self._vectors_of(embedder, list(named.values()))
        if rows is None:
            return False
        name = embedder.name
        made = dict(zip(named, rows, strict=True))
        left = [
            vector_id
            for unit in units
            if unit.id in known
            for vector_id in vector_ids_of(unit.id, known[unit.id].vectors)
            if vector_id not in named
        ]
        if not self._store.did(lambda vectors: vectors.put(scope, made, embedder=name)):
            # Whoever fills in what is missing would else try at once, and for ever.
            self._tired[name] = (time.monotonic() + REST_S, self._store.away or self._store.broken)
            return False
        self.drop(embedder, scope, left, building)
        return True

    def _vectors_of(self, embedder: Embedder, texts: Sequence[str]) -> Any:
        """Embed; ``None`` when the embedder fails, or a remote one failed a moment ago."""
        if is_remote(embedder) and self.is_tired(embedder):
            return None
        try:
            return embedder.embed(texts)
        except EmbedderError as error:
            self._tired[embedder.name] = (time.monotonic() + REST_S, str(error))
            return None


def is_remote(embedder: Embedder | None) -> bool:
    """Tell whether an embedder is another program, which may keep one waiting."""
    return bool(getattr(embedder, "remote", False))


def vector_ids_of(unit_id: str, count: int) -> list[str]:
    """Return the ids of a unit's vectors."""
    return [unit_id if number == 0 else f"{unit_id}#{number}" for number in range(count)]


def _texts(unit: Unit) -> Iterator[tuple[str, str]]:
    return zip(
        vector_ids_of(unit.id, 1 + len(unit.extra_texts)), (unit.embed_text, *unit.extra_texts), strict=True
    )


def _digest(unit: Unit) -> str:
    return sha256("\0".join((unit.kind, unit.embed_text, *unit.extra_texts)).encode()).hexdigest()[:32]
