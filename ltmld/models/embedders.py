"""Make the embedder that a person named."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ltmld.core.embedder_key import DEFAULT_EMBEDDER, OLLAMA
from ltmld.models.embedder import MiniLmEmbedder, TransformerEmbedder
from ltmld.models.ollama_embedder import OllamaEmbedder

AnyEmbedder = MiniLmEmbedder | TransformerEmbedder | OllamaEmbedder


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedders:
    """What every kind of embedder is made of; nothing is loaded and nobody is asked before it is used."""

    folder: Path
    threads: int
    ollama_url: str
    ollama_timeout_s: float
    trust: Callable[[], ssl.SSLContext | None] = lambda: None

    def make(self, key: str) -> AnyEmbedder:
        """Return the embedder of a name that ``embedder_key`` accepts."""
        if key == DEFAULT_EMBEDDER:
            return MiniLmEmbedder(self.folder, threads=self.threads)
        if key.startswith(OLLAMA):
            return OllamaEmbedder(
                key.removeprefix(OLLAMA),
                self.ollama_url,
                self.folder,
                timeout_s=self.ollama_timeout_s,
                trust=self.trust(),
            )
        return TransformerEmbedder(key, self.folder, threads=self.threads)
