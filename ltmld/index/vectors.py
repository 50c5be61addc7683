"""The semantic half: an embedded Chroma with one collection per scope and embedder.

Rules:
1. One process owns the folder; Chroma's own files are never opened by anything but Chroma.
2. A unit has one vector under its id and further ones under ``<id>#<n>``; its best vector counts.
3. Queries are never filtered by Chroma: a ``where`` costs 9 ms at 10,000 vectors and 108 ms at 100,000, an
   unfiltered query 1 and 3 ms.
4. Chroma is taken apart (``wipe``, ``close``) while nobody uses it, and is never started again after ``close``.
5. Nothing leaves the machine: telemetry is off, and vectors always come from our embedder.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from ltmld.errors import IndexBrokenError
from ltmld.index.gate import Gate

# Chroma's own limit is 5,461 ids a call; smaller calls keep a query from waiting behind a long write.
_WRITE_MAX = 512
# Chroma keeps up to 1,000 vectors of a collection in its log; only what is beyond can vanish with its files.
_LOG_MAX = 1000


class Vectors:
    """The Chroma folder; any thread may call. Every method raises ``IndexBrokenError`` when Chroma fails."""

    def __init__(self, folder: Path, *, embedder: str, dimension: int) -> None:
        self._folder = folder
        self._embedder = embedder
        self._dimension = dimension
        self._lock = threading.Lock()
        self._gate = Gate()
        self._closed = False
        self._client: Any = None
        self._collections: dict[str, Any] = {}

    def open(self) -> None:
        """Start Chroma and look whether every collection of ours still answers."""
        with self._gate.alone(), _translated(self._folder):
            client = self._started()
            for found in client.list_collections():
                if (found.metadata or {}).get("embedder") == self._embedder:
                    self._checked(client.get_collection(found.name, embedding_function=None))
                else:
                    # Another embedder's vectors: they can be compared with none of ours.
                    client.delete_collection(found.name)

    def close(self) -> None:
        """Stop Chroma for good, once those who ask it have their answers."""
        with self._gate.alone():
            self._closed = True
            self._collections.clear()
            if self._client is not None:
                self._client.close()
                self._client = None

    def put(self, scope: str, vectors: Mapping[str, Any]) -> None:
        """Add or replace vectors by id."""
        import numpy as np  # noqa: PLC0415 - late: the data plane serves first

        ids = list(vectors)
        with self._gate.together(), _translated(self._folder):
            collection = self._made_collection(scope)
            for start in range(0, len(ids), _WRITE_MAX):
                part = ids[start : start + _WRITE_MAX]
                collection.upsert(ids=part, embeddings=np.stack([vectors[name] for name in part]))

    def drop(self, scope: str, ids: Sequence[str]) -> None:
        """Remove vectors by id; unknown ones are ignored."""
        if not ids:
            return
        with self._gate.together(), _translated(self._folder):
            collection = self._collection(scope)
            for start in range(0, len(ids) if collection else 0, _WRITE_MAX):
                collection.delete(ids=list(ids[start : start + _WRITE_MAX]))

    def nearest(self, scope: str, queries: Any, *, limit: int) -> list[list[tuple[str, float]]]:
        """Return, for each row of *queries*, up to *limit* ids of vectors with their cosine, best first."""
        with self._gate.together(), _translated(self._folder):
            collection = self._collection(scope)
            if collection is None:
                return [[] for _ in queries]
            found = collection.query(query_embeddings=queries, n_results=limit, include=["distances"])
        return [
            [(name, 1.0 - distance) for name, distance in zip(names, distances, strict=True)]
            for names, distances in zip(found["ids"], found["distances"], strict=True)
        ]

    def wipe(self) -> None:
        """Remove every collection."""
        with self._gate.alone(), _translated(self._folder):
            client = self._started()
            for found in client.list_collections():
                client.delete_collection(found.name)
            self._collections.clear()

    def _started(self) -> Any:
        if self._closed:
            raise IndexBrokenError(f"Chroma in {self._folder} was closed: ltmld is stopping.")
        if self._client is None:
            # Late: importing Chroma takes 0.7 s, and the data plane serves meanwhile.
            import chromadb  # noqa: PLC0415 - see above
            from chromadb.api.shared_system_client import SharedSystemClient  # noqa: PLC0415 - see above
            from chromadb.config import Settings  # noqa: PLC0415 - see above

            # Chroma keeps one system per path for the life of the process, even when its folder was moved.
            SharedSystemClient.clear_system_cache()
            self._client = chromadb.PersistentClient(
                path=str(self._folder), settings=Settings(anonymized_telemetry=False)
            )
        return self._client

    def _collection(self, scope: str) -> Any:
        """Return a scope's collection, ``None`` where nothing was ever put: reading makes none."""
        from chromadb.errors import NotFoundError  # noqa: PLC0415 - late, as Chroma is

        with self._lock:
            if scope not in self._collections:
                name = collection_name(scope, self._embedder)
                try:
                    self._collections[scope] = self._started().get_collection(name, embedding_function=None)
                except NotFoundError:
                    return None
            return self._collections[scope]

    def _made_collection(self, scope: str) -> Any:
        with self._lock:
            collection = self._collections.get(scope)
            if collection is None:
                collection = self._collections[scope] = self._started().get_or_create_collection(
                    collection_name(scope, self._embedder),
                    metadata={"scope": scope, "embedder": self._embedder, "dimension": self._dimension},
                    configuration={"hnsw": {"space": "cosine"}},
                    embedding_function=None,
                )
            return collection

    def _checked(self, collection: Any) -> None:
        """Ask for many neighbors: Chroma opens a collection whose files are gone, and answers from its log alone."""
        held = min(collection.count(), 2 * _LOG_MAX)
        if held <= _LOG_MAX:
            return
        probe = [[1.0] + [0.0] * (self._dimension - 1)]
        answered = collection.query(query_embeddings=probe, n_results=held, include=[])["ids"][0]
        # Half: an approximate index may miss a few of so many.
        if 2 * len(answered) < held:
            raise IndexBrokenError(f"{self._folder} has lost vectors of the collection {collection.name}.")


def collection_name(scope: str, embedder: str) -> str:
    """Return the name of a scope's collection: Chroma allows fewer characters in names than scopes have."""
    return "ltmld-" + sha256(f"{scope}\n{embedder}".encode()).hexdigest()[:40]


def best_of_units(found: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return each unit's best cosine, best first, from vectors that come best first."""
    best: dict[str, float] = {}
    for vector_id, cosine in found:
        best.setdefault(vector_id.partition("#")[0], cosine)
    return best


class _translated:  # noqa: N801 - reads as the statement it is
    """Turn what Chroma raises into ``IndexBrokenError``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, IndexBrokenError):
            return
        from chromadb.errors import ChromaError  # noqa: PLC0415 - loaded by then

        if isinstance(error, (ChromaError, OSError)):
            raise IndexBrokenError(f"Chroma cannot use {self._folder}: {error}") from error
