"""An embedding model of Ollama as the embedder.

Rules:
1. Ollama is asked itself, never ltmld; through ``/api/embed``, in batches, each with an end to its patience.
2. Name and length of the vectors are learned by a first call and kept in a file, so that a restart while Ollama is
   away knows them. The name holds the model's digest: a model pulled anew under its name is another embedder.
3. Vectors are made unit length, whatever the model returns; a length that changes is refused.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from ltmld.core.embedder_key import OLLAMA
from ltmld.errors import EmbedderError

BATCH = 32
CONNECT_TIMEOUT_S = 2.0
# Of the model's digest so much is in the name: enough to tell two pulls apart.
_DIGEST_DIGITS = 12


class OllamaEmbedder:
    """Implements ``ltmld.core.ports.Embedder``; *folder* is where is kept what was learned."""

    remote = True

    def __init__(
        self,
        model: str,
        url: str,
        folder: Path,
        *,
        timeout_s: float,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._model = model
        self._url = url.rstrip("/")
        self._timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        self._trust = trust
        self._lock = threading.Lock()
        self._file = folder / f"ollama-{re.sub(r'[^A-Za-z0-9._-]', '_', model)}.json"
        self._client: httpx.Client | None = None
        self._digest, self._dimension = self._known()
        self._confirmed = False

    @property
    def name(self) -> str:
        """Model and the start of its digest; empty while Ollama has never been asked."""
        return f"{OLLAMA}{self._model}/{self._digest}" if self._dimension else ""

    @property
    def dimension(self) -> int:
        """Length of a vector, 0 while that is not known."""
        return self._dimension

    def load(self) -> None:
        """Learn the model's digest and the length of its vectors.

        Raises:
            EmbedderError: Ollama does not answer, or has no such embedding model.
        """
        with self._lock:
            digest = self._found()
            vectors = self._asked(["ready"])
            self._digest, self._dimension = digest, int(vectors.shape[1])
            self._confirmed = True
            self._keep()

    def embed(self, texts: Sequence[str]) -> Any:
        """Return a float32 array of shape ``(len(texts), dimension)``, rows of length 1.

        Raises:
            EmbedderError: Ollama does not answer, or no longer has the model that was learned.
        """
        import numpy as np  # noqa: PLC0415 - late: the data plane serves first

        if not self._confirmed:
            known = self.name
            self.load()
            if known and known != self.name:
                raise EmbedderError(
                    f"{self._model} was pulled anew in Ollama. Start ltmld again, or run `ltmld reindex`."
                )
        parts = [self._asked(list(texts[start : start + BATCH])) for start in range(0, len(texts), BATCH)]
        if any(part.shape[1] != self._dimension for part in parts):
            raise EmbedderError(
                f"{self._model} in Ollama now makes vectors of another length. Start ltmld again."
            )
        return np.concatenate(parts) if parts else np.zeros((0, self._dimension), dtype=np.float32)

    def close(self) -> None:
        """Close the connections to Ollama."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _asked(self, texts: list[str]) -> Any:
        import numpy as np  # noqa: PLC0415 - late: the data plane serves first

        # Ollama refuses half a character, and gives an empty text no vector.
        whole = [text.encode("utf-8", "replace").decode() or " " for text in texts]
        answer = self._call("POST", "/api/embed", {"model": self._model, "input": whole, "truncate": True})
        rows = answer.get("embeddings")
        try:
            vectors = np.asarray(rows, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise EmbedderError(f"{self._model} in Ollama did not answer with vectors.") from error
        if (
            vectors.ndim != 2
            or len(vectors) != len(texts)
            or not vectors.shape[1]
            or not np.isfinite(vectors).all()
        ):
            raise EmbedderError(f"{self._model} in Ollama did not answer with a vector for each text.")
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)

    def _found(self) -> str:
        """Return the start of the model's digest, as Ollama lists it."""
        wanted = {self._model, f"{self._model}:latest"}
        for found in self._call("GET", "/api/tags").get("models") or ():
            if isinstance(found, dict) and {found.get("name"), found.get("model")} & wanted:
                return str(found.get("digest", ""))[:_DIGEST_DIGITS]
        raise EmbedderError(f"Ollama has no model {self._model!r}. Run: ollama pull {self._model}")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            reply = self._connected().request(method, f"{self._url}{path}", json=body)
            answer = reply.json()
        except (httpx.HTTPError, ValueError, RuntimeError) as error:
            self._confirmed = False
            raise EmbedderError(
                f"Ollama at {self._url} makes no vectors ({str(error) or type(error).__name__}). Start Ollama."
            ) from error
        if reply.status_code >= 400 or not isinstance(answer, dict):
            said = answer.get("error", "") if isinstance(answer, dict) else ""
            self._confirmed = False
            raise EmbedderError(f"Ollama refuses to embed with {self._model}: {said or reply.status_code}.")
        return answer

    def _connected(self) -> httpx.Client:
        if self._client is None:
            # Ollama is on this machine or named by hand: no proxy of the environment stands before it.
            self._client = httpx.Client(timeout=self._timeout, verify=self._trust or True, trust_env=False)
        return self._client

    def _known(self) -> tuple[str, int]:
        try:
            kept = json.loads(self._file.read_text("utf-8"))
            return str(kept["digest"]), int(kept["dimension"])
        except (OSError, ValueError, KeyError, TypeError):
            return "", 0

    def _keep(self) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps({"digest": self._digest, "dimension": self._dimension}), "utf-8")
        except OSError:
            # It is learned again at the next start.
            return
