"""The semantic half: Chroma with one collection per scope and embedder.

Rules:
1. One process owns the folder; Chroma's own files are never opened by anything but Chroma.
2. A unit has one vector under its id and further ones under ``<id>#<n>``; its best vector counts.
3. Queries are never filtered by Chroma: a ``where`` costs 9 ms at 10,000 vectors and 108 ms at 100,000, an
   unfiltered query 1 and 3 ms.
4. Chroma is taken apart (``wipe``, ``close``) while nobody uses it, and is never started again after ``close``.
5. Nothing leaves the machine but to the server that was named: telemetry is off, vectors come from our embedder.
6. A collection says which embedder made it and how long its vectors are; one of another length never reaches it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from ltmld.errors import IndexBrokenError
from ltmld.index.chroma import Place, translated
from ltmld.index.gate import Gate

# Chroma's own limit is 5,461 ids a call; smaller calls keep a query from waiting behind a long write.
_WRITE_MAX = 512
# Chroma keeps up to 1,000 vectors of a collection in its log; only what is beyond can vanish with its files.
_LOG_MAX = 1000


class OtherLengthError(IndexBrokenError):
    """A vector is of another length than those of its collection: it was made by another model of the same name."""


class Vectors:
    """All collections in one place; any thread may call. Every method raises ``IndexBrokenError`` when Chroma fails."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._gate = Gate()
        self._closed = False
        self._client: Any = None
        self._collections: dict[tuple[str, str], Any] = {}

    def open(self, keep: Collection[str]) -> dict[str, int]:
        """Start Chroma, look whether the collections of the embedders in *keep* still answer, remove all others.

        Returns how many vectors each scope has of the first of *keep*.
        """
        held: dict[str, int] = {}
        with self._gate.alone(), translated(self._place):
            client = self._started()
            for found in self._own(client):
                about = found.metadata or {}
                if about.get("embedder") not in keep:
                    # Another embedder's vectors: they can be compared with none of ours.
                    client.delete_collection(found.name)
                    continue
                count = self._checked(client.get_collection(found.name, embedding_function=None))
                if about.get("embedder") == next(iter(keep)):
                    held[str(about.get("scope"))] = count
        return held

    def close(self) -> None:
        """Stop Chroma for good, once those who ask it have their answers."""
        with self._gate.alone():
            self._closed = True
            self._collections.clear()
            if self._client is not None:
                self._place.end(self._client)
                self._client = None

    def put(self, scope: str, vectors: Mapping[str, Any], *, embedder: str) -> None:
        """Add or replace vectors by id."""
        import numpy as np  # noqa: PLC0415 - late: the data plane serves first

        ids = list(vectors)
        if not ids:
            return
        # Chroma's folder fails those who search a collection between its making and its first vector.
        begins = (scope, embedder) not in self._collections
        with self._gate.alone() if begins else self._gate.together(), translated(self._place):
            collection = self._made_collection(scope, embedder, dimension=len(vectors[ids[0]]))
            for start in range(0, len(ids), _WRITE_MAX):
                part = ids[start : start + _WRITE_MAX]
                rows = np.stack([vectors[name] for name in part])
                self._of_length(collection, rows)
                collection.upsert(ids=part, embeddings=rows)

    def drop(self, scope: str, ids: Sequence[str], *, embedder: str) -> None:
        """Remove vectors by id; unknown ones are ignored."""
        if not ids:
            return
        with self._gate.together(), translated(self._place):
            collection = self._collection(scope, embedder)
            for start in range(0, len(ids) if collection else 0, _WRITE_MAX):
                collection.delete(ids=list(ids[start : start + _WRITE_MAX]))

    def nearest(
        self, scope: str, queries: Any, *, embedder: str, limit: int
    ) -> list[list[tuple[str, float]]]:
        """Return, for each row of *queries*, up to *limit* ids of vectors with their cosine, best first."""
        with self._gate.together(), translated(self._place):
            collection = self._collection(scope, embedder)
            if collection is None:
                return [[] for _ in queries]
            self._of_length(collection, queries)
            found = collection.query(query_embeddings=queries, n_results=limit, include=["distances"])
        return [
            [(name, 1.0 - distance) for name, distance in zip(names, distances, strict=True)]
            for names, distances in zip(found["ids"], found["distances"], strict=True)
        ]

    def wipe(self, *, but: Collection[str] = ()) -> None:
        """Remove every collection of ours, *but* those of some embedders."""
        with self._gate.alone(), translated(self._place):
            client = self._started()
            for found in self._own(client):
                if (found.metadata or {}).get("embedder") not in but:
                    client.delete_collection(found.name)
            self._collections.clear()

    def _own(self, client: Any) -> list[Any]:
        """Return the collections that are ours; in a folder all are."""
        mine = self._place.identity
        return [
            found
            for found in client.list_collections()
            if not self._place.remote or (found.metadata or {}).get("ltmld") == mine
        ]

    def _started(self) -> Any:
        if self._closed:
            raise IndexBrokenError(f"Chroma in {self._place.where} was closed: ltmld is stopping.")
        if self._client is None:
            self._client = self._place.start()
        return self._client

    def _name(self, scope: str, embedder: str) -> str:
        return collection_name(scope, embedder, identity=self._place.identity)

    def _collection(self, scope: str, embedder: str) -> Any:
        """Return a scope's collection, ``None`` where nothing was ever put: reading makes none."""
        from chromadb.errors import NotFoundError  # noqa: PLC0415 - late, as Chroma is

        with self._lock:
            if (scope, embedder) not in self._collections:
                name = self._name(scope, embedder)
                try:
                    self._collections[scope, embedder] = self._started().get_collection(
                        name, embedding_function=None
                    )
                except NotFoundError:
                    return None
            return self._collections[scope, embedder]

    def _made_collection(self, scope: str, embedder: str, *, dimension: int) -> Any:
        with self._lock:
            collection = self._collections.get((scope, embedder))
            if collection is None:
                about = {"scope": scope, "embedder": embedder, "dimension": dimension}
                if self._place.remote:
                    about["ltmld"] = self._place.identity
                collection = self._collections[scope, embedder] = self._started().get_or_create_collection(
                    self._name(scope, embedder),
                    metadata=about,
                    configuration={"hnsw": {"space": "cosine"}},
                    embedding_function=None,
                )
            return collection

    def _of_length(self, collection: Any, rows: Any) -> None:
        """Refuse vectors that are not as long as the collection's (rule 6)."""
        wanted = (collection.metadata or {}).get("dimension")
        if wanted is not None and len(rows) and len(rows[0]) != wanted:
            raise OtherLengthError(
                f"The embedder makes vectors of {len(rows[0])} numbers, and the index has {wanted}: the model was "
                "replaced under its name. Run `ltmld reindex`."
            )

    def _checked(self, collection: Any) -> int:
        """Ask for many neighbors: Chroma opens a collection whose files are gone, and answers from its log alone."""
        count = int(collection.count())
        held = min(count, 2 * _LOG_MAX)
        dimension = (collection.metadata or {}).get("dimension")
        if held <= _LOG_MAX or self._place.remote or not dimension:
            return count
        probe = [[1.0] + [0.0] * (int(dimension) - 1)]
        answered = collection.query(query_embeddings=probe, n_results=held, include=[])["ids"][0]
        # Half: an approximate index may miss a few of so many.
        if 2 * len(answered) < held:
            raise IndexBrokenError(
                f"{self._place.where} has lost vectors of the collection {collection.name}."
            )
        return count


def collection_name(scope: str, embedder: str, *, identity: str = "") -> str:
    """Return the name of a scope's collection: Chroma allows fewer characters in names than scopes have."""
    whole = f"{scope}\n{embedder}\n{identity}" if identity else f"{scope}\n{embedder}"
    return "ltmld-" + sha256(whole.encode()).hexdigest()[:40]


def best_of_units(found: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return each unit's best cosine, best first, from vectors that come best first."""
    best: dict[str, float] = {}
    for vector_id, cosine in found:
        best.setdefault(vector_id.partition("#")[0], cosine)
    return best
