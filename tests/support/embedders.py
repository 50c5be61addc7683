"""A stand-in for the embedder: words that are the same, or listed as meaning the same, point the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np

from ltmld.errors import EmbedderError


class WordEmbedder:
    """Counts hashed words: fast, deterministic, and near where words are shared. Passes the embedder's contract."""

    def __init__(self, *, name: str = "words/1", dimension: int = 64) -> None:
        self.name = name
        self.dimension = dimension
        self.texts: list[str] = []
        self.fails = False

    def embed(self, texts: Sequence[str]) -> Any:
        """Return unit vectors; remembers what it was asked."""
        if self.fails:
            raise EmbedderError("the embedder is broken on purpose.")
        self.texts += texts
        vectors = np.full((len(texts), self.dimension), 1e-3, dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().split():
                row[crc32(word.strip(".,!?").encode("utf-8", "replace")) % self.dimension] += 1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-9)
