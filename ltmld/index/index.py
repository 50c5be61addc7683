"""Join full text and vectors into the index that wake and sleep ask.

Rules:
1. Full text goes on whatever happens to the vectors: a damaged Chroma folder is moved aside and begun anew, an
   embedder that fails leaves the semantic half empty, and ``broken`` says which.
2. ``stale`` means that the ledger must hand everything over again (``Ledger.outbox_refill``); it survives a crash.
3. A unit is embedded once: while its texts stay the same a repeated ``upsert`` makes no vectors.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from ltmld.core.hit import Scored, Unit
from ltmld.core.ports import Embedder
from ltmld.errors import EmbedderError, IndexBrokenError
from ltmld.index.fulltext import FullText, Listed
from ltmld.index.units import SPEECH
from ltmld.index.vectors import Vectors, best_of_units

# A memory has vectors of its cues too, so more are asked for than units are wanted. Facts of two LoCoMo conversations,
# evidence within 600 tokens: 0.896, and 0.902 with twice as many; equal runs differ by 0.005.
_VECTORS_PER_UNIT = 1.25
# Memories are looked for among so many nearest vectors; beyond that they are not similar to anything.
_SIMILAR_VECTORS = 200

# Full text and Chroma hold what was said: only its owner may look.
_FOLDER_MODE = 0o700

Answer = TypeVar("Answer")


class LocalIndex:
    """The index in one folder; implements ``ltmld.core.ports.Index``. Any thread may call."""

    def __init__(self, folder: Path, embedder: Embedder | None) -> None:
        """Open the index; *embedder* ``None`` leaves the semantic half out.

        Raises:
            IndexBrokenError: the folder cannot be written.
        """
        try:
            folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            # One that is there already is closed to others, too: the files in it are readable by all.
            folder.chmod(_FOLDER_MODE)
        except OSError as error:
            raise IndexBrokenError(
                f"{folder} cannot be made: {error}. Make it writable, or point data_dir elsewhere."
            ) from error
        self._folder = folder
        self._embedder = embedder
        self._writing = threading.RLock()
        self._closed = False
        self._mark = folder / "stale"
        self._fulltext = FullText(folder / "fulltext.sqlite3")
        self._vectors: Vectors | None = None
        self.broken = ""
        if self._fulltext.aside is not None:
            aside = self._fulltext.aside.name
            self.broken = f"full text was damaged, moved to {aside}, and is made again from the ledger"
        if self._fulltext.fresh:
            self._mark.touch()
        if embedder is not None:
            self._open_vectors(embedder)

    @property
    def stale(self) -> bool:
        """Whether the ledger must hand over everything again."""
        return self._mark.exists()

    def refilled(self) -> None:
        """The ledger's outbox holds everything again."""
        self._mark.unlink(missing_ok=True)

    def mended(self) -> None:
        """Everything the ledger handed over is in: what was broken is whole again, what was removed is gone.

        Raises:
            IndexBrokenError: full text cannot be written.
        """
        with self._writing, _translated(self._folder):
            self._fulltext.purge()
        if self._vectors is not None or self._embedder is None:
            self.broken = ""

    def close(self) -> None:
        """Close both halves; whoever asks later is refused."""
        with self._writing:
            self._closed = True
            if self._vectors is not None:
                self._vectors.close()
            self._fulltext.close()

    def wipe(self) -> None:
        """Empty both halves, and mark the index stale."""
        with self._writing:
            self._mark.touch()
            self._fulltext.wipe()
            self._on_vectors(Vectors.wipe)
            self._fulltext.set_note("embedder", self._embedder.name if self._embedder else "")

    def count(self, scope: str) -> int:
        """Return the number of units in a scope."""
        return self._fulltext.count(scope)

    def names(self, scope: str) -> frozenset[str]:
        """Return the names of the people who speak, or are spoken of, in a scope."""
        return self._fulltext.names(scope)

    def upsert(self, units: Sequence[Unit]) -> None:
        """Add or replace units; a repeated call changes nothing.

        Raises:
            IndexBrokenError: full text cannot be written.
        """
        with self._writing, _translated(self._folder):
            for scope, group in groupby(sorted(units, key=attrgetter("scope")), key=attrgetter("scope")):
                # The last word on a unit counts when a batch names it twice.
                chosen = list({unit.id: unit for unit in group}.values())
                known = self._fulltext.listed(scope, [unit.id for unit in chosen])
                self._fulltext.put(scope, chosen, self._embedded(scope, chosen, known))

    def delete(self, scope: str, unit_ids: Sequence[str]) -> None:
        """Remove units, and passages of messages, from both halves; unknown ids are ignored.

        Raises:
            IndexBrokenError: full text cannot be written.
        """
        with self._writing, _translated(self._folder):
            owned = self._fulltext.owned(scope, unit_ids)
            vector_ids = [name for unit_id, count in owned.items() for name in _vector_ids(unit_id, count)]
            self._on_vectors(lambda vectors: vectors.drop(scope, vector_ids))
            self._fulltext.drop(scope, unit_ids)

    def lexical(self, query: str, *, scope: str, limit: int) -> list[Scored]:
        """Return the best units by BM25, best first; empty when nothing matches.

        Raises:
            IndexBrokenError: full text cannot be read.
        """
        with _translated(self._folder):
            return self._fulltext.search(query, scope=scope, limit=limit)

    def semantic(self, query: str, *, scope: str, limit: int) -> list[Scored]:
        """Return the best units by cosine (the best of each unit's vectors), best first."""
        found = self._nearest([query], scope=scope, limit=int(limit * _VECTORS_PER_UNIT) + 1)
        return self._scored(scope, found[0])[:limit] if found else []

    def similar(self, texts: Sequence[str], *, scope: str, limit: int) -> list[list[Scored]]:
        """Return, for each text, the nearest memory units by cosine, among its 200 nearest vectors."""
        if not texts:
            return []
        if self._fulltext.count(scope, memories=True):
            found = self._nearest(texts, scope=scope, limit=max(_SIMILAR_VECTORS, 4 * limit))
        else:
            found = []
        memories = [[unit for unit in self._scored(scope, row) if unit.kind not in SPEECH] for row in found]
        return [row[:limit] for row in memories] or [[] for _ in texts]

    def _nearest(self, texts: Sequence[str], *, scope: str, limit: int) -> list[list[tuple[str, float]]]:
        if self._embedder is None or self._vectors is None or limit <= 0:
            return []
        try:
            queries = self._embedder.embed(texts)
        except EmbedderError as error:
            self.broken = str(error)
            return []
        return self._on_vectors(lambda vectors: vectors.nearest(scope, queries, limit=limit)) or []

    def _scored(self, scope: str, found: Sequence[tuple[str, float]]) -> list[Scored]:
        best = best_of_units(found)
        # What is not listed was deleted by a write that is under way: it is not shown.
        listed = self._fulltext.listed(scope, list(best))
        return [
            Scored(unit_id=unit_id, kind=listed[unit_id].kind, score=cosine)
            for unit_id, cosine in best.items()
            if unit_id in listed
        ]

    def _embedded(self, scope: str, units: Sequence[Unit], known: dict[str, Listed]) -> dict[str, Listed]:
        """Write the vectors of units whose texts changed, and return the list's entry for each unit."""
        entries = {
            unit.id: Listed(kind=unit.kind, vectors=1 + len(unit.extra_texts), digest=_digest(unit))
            for unit in units
        }
        changed = [
            unit for unit in units if unit.id not in known or known[unit.id].digest != entries[unit.id].digest
        ]
        if changed and not self._write_vectors(scope, changed, known):
            for unit in changed:
                entries[unit.id] = Listed(kind=unit.kind, vectors=0, digest="")
        return entries

    def _write_vectors(self, scope: str, units: Sequence[Unit], known: dict[str, Listed]) -> bool:
        if self._embedder is None or self._vectors is None:
            self._fulltext.set_note("embedder", "")
            return False
        named = dict(item for unit in units for item in _texts(unit))
        try:
            rows = self._embedder.embed(list(named.values()))
        except EmbedderError as error:
            self.broken = str(error)
            self._fulltext.set_note("embedder", "")
            return False
        left = [
            name
            for unit in units
            if unit.id in known
            for name in _vector_ids(unit.id, known[unit.id].vectors)
            if name not in named
        ]

        def write(vectors: Vectors) -> bool:
            vectors.put(scope, dict(zip(named, rows, strict=True)))
            vectors.drop(scope, left)
            return True

        return bool(self._on_vectors(write))

    def _on_vectors(self, action: Callable[[Vectors], Answer]) -> Answer | None:
        """Do something with the vectors; when Chroma fails, begin anew with an empty folder and return ``None``.

        Raises:
            IndexBrokenError: the index was closed.
        """
        vectors = self._vectors
        if vectors is None:
            return None
        try:
            return action(vectors)
        except IndexBrokenError as error:
            with self._writing:
                if self._closed:
                    raise
                if vectors is self._vectors and self._embedder is not None:
                    self._begin_anew(self._embedder, why=str(error))
            return None

    def _open_vectors(self, embedder: Embedder) -> None:
        vectors = self._new_vectors(embedder)
        try:
            vectors.open()
        except IndexBrokenError as error:
            vectors.close()
            self._begin_anew(embedder, why=str(error))
        else:
            self._vectors = vectors
        if self._fulltext.note("embedder") != embedder.name:
            # Vectors of another embedder, or of none: all are made again, while full text answers.
            self._lose_vectors(embedder)

    def _begin_anew(self, embedder: Embedder, *, why: str) -> None:
        if self._vectors is not None:
            self._vectors.close()
        self._vectors = None
        self._lose_vectors(embedder)
        aside = self._moved_aside()
        self.broken = f"{why} It was moved to {aside}, and is made again from the ledger."
        vectors = self._new_vectors(embedder)
        try:
            vectors.open()
        except IndexBrokenError as error:
            # The fresh folder fails too: the disk is at fault, and full text goes on alone.
            self.broken = f"{error} Recall uses full text alone until ltmld is started again."
            return
        self._vectors = vectors

    def _lose_vectors(self, embedder: Embedder) -> None:
        self._mark.touch()
        self._fulltext.forget_vectors()
        self._fulltext.set_note("embedder", embedder.name)

    def _new_vectors(self, embedder: Embedder) -> Vectors:
        return Vectors(self._chroma, embedder=embedder.name, dimension=embedder.dimension)

    @property
    def _chroma(self) -> Path:
        return self._folder / "chroma"

    def _moved_aside(self) -> str:
        number = 1
        while (aside := self._folder / f"chroma.broken-{number}").exists():
            number += 1
        try:
            self._chroma.rename(aside)
        except OSError as error:
            return f"nowhere ({error})"
        return aside.name


def _texts(unit: Unit) -> Iterator[tuple[str, str]]:
    return zip(
        _vector_ids(unit.id, 1 + len(unit.extra_texts)), (unit.embed_text, *unit.extra_texts), strict=True
    )


def _vector_ids(unit_id: str, count: int) -> list[str]:
    return [unit_id if number == 0 else f"{unit_id}#{number}" for number in range(count)]


def _digest(unit: Unit) -> str:
    return sha256("\0".join((unit.kind, unit.embed_text, *unit.extra_texts)).encode()).hexdigest()[:32]


class _translated:  # noqa: N801 - reads as the statement it is
    """Turn what SQLite raises into ``IndexBrokenError``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise IndexBrokenError(
                f"full text in {self._folder} cannot be used: {error}. Start ltmld again: a damaged file is "
                "made anew from the ledger."
            ) from error
