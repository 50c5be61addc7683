"""Turn texts into unit vectors with all-MiniLM-L6-v2, on onnxruntime and tokenizers alone.

Rules:
1. The vectors are those of the sentence-transformers model, but for int8 weights (cosine 0.99 on average).
2. Nothing heavy is imported or loaded before the first text; loading happens once, whichever thread comes first.
3. A batch is bounded in tokens, not only in texts: attention over many long texts would need hundreds of MB.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltmld.errors import EmbedderError
from ltmld.models.export import (
    DIMENSION,
    INPUTS,
    MODEL_FILE,
    NAME,
    TOKENIZER_FILE,
    TOKENS_MAX,
    ensure_exported,
    ensure_model_exported,
    manifest,
)
from ltmld.models.transformer import find_source

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TEXTS_MAX = 64
# 4,096 tokens: 16 texts of full length. Attention scores of such a batch take 50 MB.
_BATCH_TOKENS_MAX = 4096


class MiniLmEmbedder:
    """The default embedder; *folder* is where its export is cached."""

    def __init__(self, folder: Path, *, threads: int = 2) -> None:
        self._folder = folder
        self._threads = threads
        self._lock = threading.Lock()
        self._model: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        """Name and kind of weights, as stored beside every vector."""
        return f"{NAME}/int8"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return DIMENSION

    def load(self) -> None:
        """Load the model now instead of at the first text, exporting it if that never happened.

        Raises:
            EmbedderError: it cannot be exported or loaded.
        """
        self._loaded()

    def embed(self, texts: Sequence[str]) -> Any:
        """Return a float32 array of shape ``(len(texts), 384)``, rows of length 1, in the order of *texts*.

        Raises:
            EmbedderError: the model cannot be exported, loaded or run.
        """
        import numpy as np  # noqa: PLC0415 - late: the data plane serves first

        if not texts:
            return np.zeros((0, DIMENSION), dtype=np.float32)
        return run(*self._loaded(), texts, dimension=DIMENSION, name=NAME)

    def close(self) -> None:
        """There is nothing to close: the model goes with the object."""

    def _loaded(self) -> tuple[Any, Any]:
        with self._lock:
            if self._model is None:
                self._model = _load(ensure_exported(self._folder), threads=self._threads)
            return self._model


class TransformerEmbedder:
    """Any other sentence-transformers model on this machine, exported as the default is."""

    def __init__(self, key: str, folder: Path, *, threads: int = 2) -> None:
        self._key, self._folder, self._threads = key, folder, threads
        self._lock = threading.Lock()
        self._model: tuple[Any, Any] | None = None
        self._about: dict[str, Any] = {}
        self._name = ""

    @property
    def name(self) -> str:
        """Name, digest of the model's files and kind of weights; empty until it was loaded once."""
        return self._name

    @property
    def dimension(self) -> int:
        """Length of a vector, 0 until it was loaded once."""
        return int(self._about.get("dimension", 0))

    def load(self) -> None:
        """Load the model, exporting it if that never happened.

        Raises:
            EmbedderError: it is not on this machine, or cannot be exported or loaded.
        """
        self._loaded()

    def embed(self, texts: Sequence[str]) -> Any:
        """Return a float32 array of shape ``(len(texts), dimension)``, rows of length 1, in the order of *texts*.

        Raises:
            EmbedderError: the model cannot be exported, loaded or run.
        """
        import numpy as np  # noqa: PLC0415 - late: the data plane serves first

        tokenizer, session = self._loaded()
        about = self._about
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        vectors = run(
            tokenizer,
            session,
            texts,
            dimension=self.dimension,
            name=self._key,
            inputs=about["inputs"],
            pad=about["pad"],
        )
        # A model without a normalizing module of its own is given unit length here.
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)

    def close(self) -> None:
        """There is nothing to close: the model goes with the object."""

    def _loaded(self) -> tuple[Any, Any]:
        with self._lock:
            if self._model is None:
                source = find_source(self._key)
                place = ensure_model_exported(self._folder, source)
                about = manifest(place)
                self._model = _load(place, threads=self._threads, tokens_max=int(about["tokens_max"]))
                self._about = about
                self._name = f"{source.label}/{source.digest}/{about['kind']}"
            return self._model


def run(
    tokenizer: Any,
    session: Any,
    texts: Sequence[str],
    *,
    dimension: int,
    name: str,
    inputs: Sequence[str] = INPUTS,
    pad: int = 0,
) -> Any:
    """Return the vectors of *texts*, which a loaded model makes in batches.

    Raises:
        EmbedderError: the model cannot be run.
    """
    import numpy as np  # noqa: PLC0415 - late: the data plane serves first

    vectors: NDArray[np.float32] = np.zeros((len(texts), dimension), dtype=np.float32)
    # Half a character, as JSON can spell it, is none to the tokenizer.
    whole = [text.encode("utf-8", "replace").decode() for text in texts]
    encoded = [encoding.ids for encoding in tokenizer.encode_batch(whole)]
    try:
        for places in _batches(encoded):
            features = _features([encoded[i] for i in places], pad=pad)
            vectors[places] = session.run(None, {name: features[name] for name in inputs})[0]
    except _runtime_errors() as error:
        raise EmbedderError(f"{name} could not be run: {error}") from error
    return vectors


def _runtime_errors() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises: its classes share no base but ``Exception``."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415 - loaded by then

    return (state.Fail, state.InvalidArgument, state.RuntimeException, state.NotImplemented, MemoryError)


def _load(place: Path, *, threads: int, tokens_max: int = TOKENS_MAX) -> tuple[Any, Any]:
    import onnxruntime  # noqa: PLC0415 - late: 0.2 s and 30 MB
    from tokenizers import Tokenizer  # noqa: PLC0415 - late, as above

    tokenizer = Tokenizer.from_file(str(place / TOKENIZER_FILE))
    tokenizer.enable_truncation(tokens_max)
    tokenizer.no_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The arena keeps the memory of the largest batch for ever; a query needs little of it.
    options.enable_cpu_mem_arena = False
    # Idle worker threads sleep instead of spinning: the proxy needs the core more than the next query does.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        str(place / MODEL_FILE), options, providers=["CPUExecutionProvider"]
    )
    return tokenizer, session


def _batches(encoded: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yield the places of texts of like length, so that padding wastes little."""
    batch: list[int] = []
    for place in sorted(range(len(encoded)), key=lambda i: len(encoded[i])):
        # Sorted by length: the newcomer is the longest, and pads all the others.
        if batch and (len(batch) >= _TEXTS_MAX or (len(batch) + 1) * len(encoded[place]) > _BATCH_TOKENS_MAX):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _features(rows: Sequence[Sequence[int]], *, pad: int = 0) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415 - late: the data plane serves first

    ids = np.full((len(rows), max(len(row) for row in rows)), pad, dtype=np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
