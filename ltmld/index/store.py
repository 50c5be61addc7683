"""The store of vectors as the index uses it: whatever fails costs the semantic half, for as long as it must.

Rules:
1. Damage moves Chroma's folder aside and begins anew; ``lost`` is called, and all vectors are made again.
2. A server that does not answer, or a full disk, damages nothing: the store is ``away``, answers ``None`` at once, and
   is tried again after ``REST_S`` by ``look_after`` alone, so that no query ever waits for a reconnection.
3. A store that comes back with fewer vectors than it had lost them: ``lost`` is called.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from ltmld.errors import IndexAwayError, IndexBrokenError
from ltmld.index.chroma import Place
from ltmld.index.vectors import OtherLengthError, Vectors

REST_S = 5.0
"""How long nobody asks what just failed."""

Answer = TypeVar("Answer")


class VectorStore:
    """One place of vectors, open, away or broken; any thread may call."""

    def __init__(
        self, place: Place, *, lost: Callable[[], None], held: Callable[[], Mapping[str, int]]
    ) -> None:
        """*lost* is told that all vectors are gone; *held* says how many each scope should have."""
        self._place = place
        self._lost, self._held = lost, held
        self._lock = threading.RLock()
        self._closed = False
        self._vectors: Vectors | None = None
        self._keep: tuple[str, ...] = ()
        self._rests_until = 0.0
        self.away = ""
        """Why nothing can be asked for now, empty when it can."""
        self.broken = ""
        """What was damaged, until it is whole again."""

    @property
    def remote(self) -> bool:
        """Whether asking it means asking another program."""
        return self._place.remote

    @property
    def usable(self) -> bool:
        """Whether it can be asked."""
        return self._vectors is not None and not self.away

    def keep(self, embedders: Collection[str]) -> None:
        """Name the embedders whose vectors are to stay: the one in use first."""
        self._keep = tuple(embedders)

    def open(self) -> None:
        """Open it; what fails is told by ``away`` or ``broken``."""
        with self._lock:
            self._open(anew=False)

    def look_after(self) -> bool:
        """Try again what is away, once it has rested; return whether it can be asked."""
        with self._lock:
            if self.away and not self._closed and time.monotonic() >= self._rests_until:
                self._open(anew=False)
            return self.usable

    def do(self, action: Callable[[Vectors], Answer]) -> Answer | None:
        """Do something with the vectors; ``None`` where that cannot be done now.

        Raises:
            IndexBrokenError: the index was closed.
        """
        vectors = self._vectors
        if vectors is None or self.away:
            return None
        try:
            return action(vectors)
        except OtherLengthError as error:
            self.broken = str(error)
        except IndexAwayError as error:
            self._rest(error)
        except IndexBrokenError as error:
            with self._lock:
                if self._closed:
                    raise
                if vectors is self._vectors:
                    self._begin_anew(why=str(error))
        return None

    def did(self, action: Callable[[Vectors], None]) -> bool:
        """Do something with the vectors; tell whether it was done.

        Raises:
            IndexBrokenError: the index was closed.
        """

        def acted(vectors: Vectors) -> bool:
            action(vectors)
            return True

        return bool(self.do(acted))

    def close(self) -> None:
        """Close it for good."""
        with self._lock:
            self._closed = True
            if self._vectors is not None:
                self._vectors.close()

    def _open(self, *, anew: bool) -> None:
        if self._vectors is not None:
            self._vectors.close()
            self._vectors = None
        vectors = Vectors(self._place)
        try:
            counted = vectors.open(self._keep)
        except IndexAwayError as error:
            vectors.close()
            self._rest(error)
        except IndexBrokenError as error:
            vectors.close()
            if anew:
                # The fresh folder fails too: the disk is at fault, and full text goes on alone.
                self.broken = f"{error} Recall uses full text alone until ltmld is started again."
            else:
                self._begin_anew(why=str(error))
        else:
            self._vectors, self.away = vectors, ""
            if self._place.remote and any(counted.get(scope, 0) < n for scope, n in self._held().items()):
                self._lost()

    def _begin_anew(self, *, why: str) -> None:
        if self._vectors is not None:
            self._vectors.close()
            self._vectors = None
        self._lost()
        self.broken = f"{why} It was moved to {self._place.moved_aside()}, and is made again from the ledger."
        self._open(anew=True)

    def _rest(self, error: IndexAwayError) -> None:
        self.away = str(error)
        self._rests_until = time.monotonic() + REST_S
