"""An embedder that gets ready while others already work: until then it says so at once instead of waiting."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from ltmld.core.ports import Embedder
from ltmld.errors import EmbedderError


class DeferredEmbedder:
    """Implements ``ltmld.core.ports.Embedder`` around one that takes long to load, at first start most of all."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._ready = threading.Event()
        self.settled = threading.Event()
        """Set once preparing has ended, well or not."""
        self._reason = "The embedder is still being prepared; recall uses full text alone until then."

    @property
    def name(self) -> str:
        """The name of the embedder behind."""
        return self._embedder.name

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._embedder.dimension

    @property
    def remote(self) -> bool:
        """Whether the embedder behind is another program, which may be back at any time."""
        return bool(getattr(self._embedder, "remote", False))

    @property
    def standing(self) -> str:
        """Its name once it works, else why it does not."""
        return self.name if self._ready.is_set() else self._reason

    def close(self) -> None:
        """Close the embedder behind, where it holds something open."""
        if callable(close := getattr(self._embedder, "close", None)):
            close()

    def prepare(self) -> None:
        """Load the model, however long that takes.

        Raises:
            EmbedderError: it cannot be loaded; the reason stays and is what ``embed`` says from now on.
        """
        try:
            self._embedder.embed(["ready"])
            self._ready.set()
        except EmbedderError as error:
            self._reason = str(error)
            raise
        finally:
            self.settled.set()

    def embed(self, texts: Sequence[str]) -> Any:
        """Return a float32 array of shape ``(len(texts), dimension)``, rows of length 1.

        Raises:
            EmbedderError: it is not ready, or the model fails.
        """
        if self._ready.is_set():
            return self._embedder.embed(texts)
        if not self.remote or not self.settled.is_set():
            raise EmbedderError(self._reason)
        # What was away when it was prepared is asked again; whoever asks sees to it that this is not too often.
        vectors = self._embedder.embed(texts)
        self._ready.set()
        return vectors
