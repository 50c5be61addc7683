"""Promise: any embedding model of Ollama can be the embedder; away, it costs vectors and nothing else."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from ltmld.errors import EmbedderError
from ltmld.models.deferred import DeferredEmbedder
from ltmld.models.ollama_embedder import BATCH, OllamaEmbedder
from ltmld.standin.server import StandIn, running_standin


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with running_standin() as running:
        yield running


def model_of(standin: StandIn) -> str:
    """Return a model that the stand-in has."""
    return str(httpx.get(f"{standin.url}/api/tags").json()["models"][0]["name"])


@pytest.fixture
def embedder(standin: StandIn, tmp_path: Path) -> Iterator[OllamaEmbedder]:
    made = OllamaEmbedder(model_of(standin), standin.url, tmp_path, timeout_s=10.0)
    yield made
    made.close()


def test_name_and_length_are_learned_by_a_first_call(embedder: OllamaEmbedder) -> None:
    assert (embedder.name, embedder.dimension) == ("", 0)
    embedder.load()
    assert embedder.name.startswith("ollama:")
    assert len(embedder.name.rpartition("/")[2]) == 12
    assert embedder.dimension == 64


def test_texts_go_in_batches_and_come_back_in_order_and_of_unit_length(
    embedder: OllamaEmbedder, standin: StandIn
) -> None:
    texts = [f"sentence about subject{number}" for number in range(2 * BATCH + 5)]
    vectors = embedder.embed(texts)
    assert vectors.shape == (len(texts), 64)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    alone = np.concatenate([embedder.embed([text]) for text in texts[:3]])
    assert np.allclose(vectors[:3], alone, atol=1e-6)
    sizes = [len(json.loads(one.body)["input"]) for one in standin.requests if one.path == "/api/embed"]
    assert max(sizes) <= BATCH


def test_empty_and_strange_texts_have_vectors_too(embedder: OllamaEmbedder) -> None:
    vectors = embedder.embed(["", "half a character \ud83d", "你好"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert embedder.embed([]).shape == (0, 64)


def test_what_was_learned_is_known_after_a_restart_without_ollama(
    embedder: OllamaEmbedder, tmp_path: Path
) -> None:
    embedder.load()
    again = OllamaEmbedder(embedder._model, "http://127.0.0.1:1", tmp_path, timeout_s=1.0)
    assert (again.name, again.dimension) == (embedder.name, 64)
    with pytest.raises(EmbedderError, match="Start Ollama"):
        again.embed(["x"])
    again.close()


def test_a_model_that_is_not_there_is_named_with_the_remedy(standin: StandIn, tmp_path: Path) -> None:
    embedder = OllamaEmbedder("no-such-model", standin.url, tmp_path, timeout_s=5.0)
    with pytest.raises(EmbedderError, match="ollama pull no-such-model"):
        embedder.load()
    assert embedder.name == ""
    embedder.close()


def test_a_model_pulled_anew_is_another_embedder(
    embedder: OllamaEmbedder, standin: StandIn, tmp_path: Path
) -> None:
    embedder.load()
    kept = next(tmp_path.glob("ollama-*.json"))
    kept.write_text(json.dumps({"digest": "0123456789ab", "dimension": 64}))
    older = OllamaEmbedder(embedder._model, standin.url, tmp_path, timeout_s=5.0)
    with pytest.raises(EmbedderError, match="pulled anew"):
        older.embed(["x"])
    assert older.name == embedder.name
    older.close()


def test_what_was_away_at_the_start_works_when_it_is_back(standin: StandIn, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    inner = OllamaEmbedder(model_of(standin), f"http://127.0.0.1:{port}", tmp_path, timeout_s=5.0)
    embedder = DeferredEmbedder(inner)
    with pytest.raises(EmbedderError, match="Start Ollama"):
        embedder.prepare()
    assert "Start Ollama" in embedder.standing
    inner._url = standin.url
    assert embedder.embed(["x"]).shape == (1, 64)
    assert embedder.standing == inner.name
    embedder.close()
