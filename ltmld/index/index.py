"""Join full text and vectors into the index that wake and sleep ask.

Rules:
1. Full text goes on whatever happens to the vectors: a damaged Chroma folder is moved aside and begun anew, a server
   that is away is waited for, an embedder that fails leaves the semantic half empty; ``broken`` says which.
2. ``stale`` means that the ledger must hand everything over again (``Ledger.outbox_refill``); it survives a crash.
   A unit that only lacks its vectors is listed by ``missing``, and handed over again one by one.
3. A unit is embedded once: while its texts stay the same a repeated ``upsert`` makes no vectors.
4. While another embedder's vectors are built, units get vectors of both; the swap is one transaction.
5. What asks another program (a server, a remote embedder) has ``deadline_s``, and then goes on without.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

from ltmld.core.hit import Scored, Unit
from ltmld.core.ports import Embedder
from ltmld.errors import EmbedderError, IndexBrokenError
from ltmld.index.absent import Absent
from ltmld.index.building import Building, Lacking
from ltmld.index.chroma import ChromaFolder, Place
from ltmld.index.fulltext import FullText
from ltmld.index.semantic import Semantic, vector_ids_of
from ltmld.index.store import VectorStore
from ltmld.index.units import SPEECH
from ltmld.index.vectors import best_of_units

# A memory has vectors of its cues too, so more are asked for than units are wanted. Facts of two LoCoMo conversations,
# evidence within 600 tokens: 0.896, and 0.902 with twice as many; equal runs differ by 0.005.
_VECTORS_PER_UNIT = 1.25
# Memories are looked for among so many nearest vectors; beyond that they are not similar to anything.
_SIMILAR_VECTORS = 200
_LEFTOVERS = 512
# The note that everything was to be removed while Chroma was away.
_UNWIPED = "unwiped"
DEADLINE_S = 0.1

# Full text and Chroma hold what was said: only its owner may look.
_FOLDER_MODE = 0o700


class LocalIndex:
    """The index in one folder; implements ``ltmld.core.ports.Index``. Any thread may call."""

    def __init__(
        self,
        folder: Path,
        embedder: Embedder | None,
        *,
        place: Place | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Open the index; *embedder* ``None`` leaves the semantic half out, *place* is a Chroma elsewhere.

        A folder that cannot be written raises nothing: ``broken`` says so, all calls are refused until ``look_after``
        could open it.
        """
        self._folder = folder
        self._embedder = embedder
        self._next: Embedder | None = None
        self._writing = threading.RLock()
        self._mark = folder / "stale"
        self._opened = False
        self._aside = ""
        self._store = VectorStore(
            place or ChromaFolder(folder / "chroma"),
            lost=self._lose_vectors,
            held=lambda: self._fulltext.held(),  # noqa: PLW0108 - full text may be opened later
        )
        self._semantic = Semantic(self._store, deadline_s=deadline_s)
        self._open()

    @property
    def stale(self) -> bool:
        """Whether the ledger must hand over everything again."""
        return self._mark.exists()

    @property
    def broken(self) -> str:
        """What is wrong with the index, in words for people; empty when nothing is."""
        reasons = (self._off, self._store.away, self._store.broken, self._aside, self._semantic.failed)
        return next((said for said in reasons if said), "")

    @property
    def in_use(self) -> Embedder | None:
        """The embedder whose vectors are searched."""
        return self._embedder

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
            _remove_aside(self._folder)
            self._aside = ""
            if self._store.usable and not self._building.missing(1):
                self._store.broken = ""
                self._semantic.recovered()

    def look_after(self) -> None:
        """Try again what was away: the store, an embedder that was not known yet; remove what was left over there.

        Raises:
            IndexBrokenError: full text cannot be written.
        """
        with self._writing, _translated(self._folder):
            if self._off:
                self._open()
            elif not self._opened:
                self._open_vectors()
            elif self._store.look_after() and self._embedder is not None:
                self._catch_up(self._embedder.name)

    def missing(self, limit: int) -> list[Lacking]:
        """Return what lacks vectors and can be given them now; hand it to ``upsert`` again.

        Raises:
            IndexBrokenError: full text cannot be read.
        """
        with _translated(self._folder):
            if not self._store.usable or self._embedder is None:
                return []
            if not self._semantic.is_tired(self._embedder) and (found := self._building.missing(limit)):
                return found
            if self._next is not None and not self._semantic.is_tired(self._next):
                return self._building.unbuilt(limit)
            return []

    def build_beside(self, embedder: Embedder, *, key: str, over: str) -> None:
        """Begin building the vectors of another embedder, which replaces the one in use once all are there.

        *key* is how a person names it, *over* the setting that it is put above.

        Raises:
            EmbedderError: it cannot say its name yet.
            IndexBrokenError: full text cannot be written.
        """
        if not embedder.name:
            raise EmbedderError(f"{key} is not ready: its vectors' length is not known.")
        with self._writing, _translated(self._folder):
            self._building.begin(key=key, over=over, name=embedder.name)
            self._next = embedder
            self._keep()

    def swap_when_built(self) -> bool:
        """Use the next embedder if all its vectors are there, and remove the old ones; tell whether that was done.

        Raises:
            IndexBrokenError: full text cannot be written.
        """
        with self._writing, _translated(self._folder):
            made = self._next
            if made is None or self.stale or self._building.unbuilt(1):
                return False
            self._building.swap(name=made.name)
            self._embedder, self._next = made, None
            self._keep()
            # Behind the swap: a crash before this leaves collections that the next start removes.
            self._store.did(lambda vectors: vectors.wipe(but=(made.name,)))
            return True

    def standing(self) -> dict[str, Any]:
        """Tell how the index stands, for ``status``."""
        building = None
        if self._off:
            return {"broken": self._off, "missing": 0, "building": None}
        if self._next is not None:
            total = self._fulltext.total()
            building = {"embedder": self._next.name, "done": self._building.count(), "total": total}
        return {"broken": self.broken, "missing": self._building.missing_count(), "building": building}

    def close(self) -> None:
        """Close both halves; whoever asks later is refused."""
        with self._writing:
            self._semantic.close()
            self._store.close()
            self._fulltext.close()

    def wipe(self) -> None:
        """Empty both halves, and mark the index stale."""
        with self._writing:
            self._mark.touch()
            self._fulltext.wipe()
            if not self._store.did(lambda vectors: vectors.wipe()):
                self._fulltext.set_note(_UNWIPED, "yes")
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
                names = [unit.id for unit in chosen]
                known = self._fulltext.listed(scope, names)
                self._fulltext.put(
                    scope,
                    chosen,
                    self._semantic.embedded(self._embedder, scope, chosen, known, self._building),
                )
                if self._next is not None:
                    built = self._building.built(scope, names)
                    self._building.put(
                        scope, self._semantic.embedded(self._next, scope, chosen, built, self._building)
                    )

    def delete(self, scope: str, unit_ids: Sequence[str]) -> None:
        """Remove units, and passages of messages, from both halves; unknown ids are ignored.

        Raises:
            IndexBrokenError: full text cannot be written.
        """
        with self._writing, _translated(self._folder):
            owned = self._fulltext.owned(scope, unit_ids)
            vector_ids = [name for unit_id, count in owned.items() for name in vector_ids_of(unit_id, count)]
            self._semantic.drop(self._embedder, scope, vector_ids, self._building)
            if self._next is not None:
                built = self._building.built(scope, list(owned))
                names = [
                    name for unit_id, entry in built.items() for name in vector_ids_of(unit_id, entry.vectors)
                ]
                self._semantic.drop(self._next, scope, names, self._building)
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
        found = self._semantic.in_time(
            self._embedder, [query], scope=scope, limit=int(limit * _VECTORS_PER_UNIT) + 1
        )
        return self._scored(scope, found[0])[:limit] if found else []

    def similar(self, texts: Sequence[str], *, scope: str, limit: int) -> list[list[Scored]]:
        """Return, for each text, the nearest memory units by cosine, among its 200 nearest vectors."""
        if not texts:
            return []
        found: list[list[tuple[str, float]]] = []
        if self._fulltext.count(scope, memories=True):
            found = self._semantic.nearest(
                self._embedder, texts, scope=scope, limit=max(_SIMILAR_VECTORS, 4 * limit)
            )
        memories = [[unit for unit in self._scored(scope, row) if unit.kind not in SPEECH] for row in found]
        return [row[:limit] for row in memories] or [[] for _ in texts]

    def _scored(self, scope: str, found: Sequence[tuple[str, float]]) -> list[Scored]:
        best = best_of_units(found)
        # What is not listed was deleted by a write that is under way: it is not shown.
        listed = self._fulltext.listed(scope, list(best))
        return [
            Scored(unit_id=unit_id, kind=listed[unit_id].kind, score=cosine)
            for unit_id, cosine in best.items()
            if unit_id in listed
        ]

    def _catch_up(self, name: str) -> None:
        """Do to the vectors what was done to full text while they were away."""
        if self._fulltext.note(_UNWIPED):
            if not self._store.did(lambda vectors: vectors.wipe()):
                return
            self._lose_vectors()
            self._fulltext.set_note(_UNWIPED, "")
        self._drop_leftovers(name)

    def _drop_leftovers(self, name: str) -> None:
        while rows := self._building.leftovers(_LEFTOVERS):
            for scope in {row[0] for row in rows}:
                # What was put in again since is no leftover.
                ids = [vector_id for owner, vector_id in rows if owner == scope]
                listed = self._fulltext.listed(scope, [vector_id.partition("#")[0] for vector_id in ids])
                gone = [vector_id for vector_id in ids if vector_id.partition("#")[0] not in listed]
                if not self._dropped(scope, gone, name):
                    return
            self._building.removed(rows)

    def _dropped(self, scope: str, vector_ids: Sequence[str], name: str) -> bool:
        return self._store.did(lambda vectors: vectors.drop(scope, vector_ids, embedder=name))

    def _open(self) -> None:
        """Open full text, then the vectors; where the folder cannot be written, say so in ``_off``."""
        try:
            _make(self._folder)
            self._fulltext = FullText(self._folder / "fulltext.sqlite3")
        except IndexBrokenError as error:
            self._off = str(error)
            self._fulltext = cast("FullText", Absent(self._off))
            self._building = Building(self._fulltext)
            return
        self._off = ""
        self._building = Building(self._fulltext)
        if self._fulltext.aside is not None:
            aside = self._fulltext.aside.name
            self._aside = f"full text was damaged, moved to {aside}, and is made again from the ledger"
        if self._fulltext.fresh:
            self._mark.touch()
        self._open_vectors()

    def _open_vectors(self) -> None:
        embedder = self._embedder
        if embedder is None or not embedder.name:
            # An embedder that is not known yet keeps what it had: it may be the same as before.
            return
        self._opened = True
        self._keep()
        if self._fulltext.note("embedder") != embedder.name:
            # Vectors of another embedder, or of none: all are made again, while full text answers.
            self._lose_vectors()
        self._store.open()

    def _keep(self) -> None:
        kept = (self._embedder, self._next)
        names = [made.name for made in kept if made is not None]
        if self._next is None and (unfinished := self._fulltext.note("building")):
            names.append(unfinished)
        self._store.keep(names)

    def _lose_vectors(self) -> None:
        self._mark.touch()
        self._fulltext.forget_vectors()
        self._fulltext.set_note("embedder", self._embedder.name if self._embedder else "")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        # One that is there already is closed to others, too: the files in it are readable by all.
        folder.chmod(_FOLDER_MODE)
    except OSError as error:
        raise IndexBrokenError(
            f"{folder} cannot be made: {error}. Make it writable, or point data_dir elsewhere."
        ) from error


def _remove_aside(folder: Path) -> None:
    """Remove what was moved aside: all of it is made again, and it may hold words that were to be forgotten."""
    for path in folder.glob("*.broken-*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


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
