"""Promise: the embedder gives the vectors of the sentence-transformers model, and the server never imports torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from ltmld.errors import EmbedderError
from ltmld.models import export
from ltmld.models.embedder import MiniLmEmbedder, _batches
from ltmld.models.export import MODEL_FILE, ensure_exported

SENTENCES = (
    "I went to a support group yesterday and it was powerful.",
    "When did Caroline go to the support group?",
    "The deadline of the first sprint has moved to March 29.",
    "My dog is called Biscuit.",
    "What is the name of my dog?",
    "Thank you very much, that helped me a lot.",
    "The quick brown fox jumps over the lazy dog, again and again, until the sun goes down.",
    "Please explain how to set up a virtual environment in Python.",
    "Ich wohne in Hamburg und fahre gern Rad.",
    "3 pm on Thursday, not 5 pm.",
    "She is allergic to peanuts.",
    "def add(a, b): return a + b",
)

# What sentence-transformers makes of the same texts, in a process of its own: torch must not come into this one.
_REFERENCE = """
import json, sys
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], device="cpu")
json.dump(model.encode(json.load(sys.stdin), normalize_embeddings=True).tolist(), sys.stdout)
"""


@pytest.fixture(scope="module")
def embedder(models_folder: Path) -> MiniLmEmbedder:
    made = MiniLmEmbedder(models_folder)
    made.load()
    return made


def test_vectors_are_those_of_the_float32_model(embedder: MiniLmEmbedder) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _REFERENCE, str(export.weights_folder())],
        input=json.dumps(SENTENCES),
        env={**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    cosines = (embedder.embed(SENTENCES) * np.array(json.loads(done.stdout))).sum(axis=1)
    assert cosines.mean() >= 0.98
    # int8 scales are drawn per batch, so that a very short text beside long ones loses most ("ok": 0.96).
    assert cosines.min() >= 0.97


def test_every_vector_has_length_one(embedder: MiniLmEmbedder) -> None:
    vectors = embedder.embed(SENTENCES)
    assert vectors.shape == (len(SENTENCES), embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_no_texts_give_no_vectors(embedder: MiniLmEmbedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimension)


def test_empty_and_endless_texts_have_vectors_too(embedder: MiniLmEmbedder) -> None:
    vectors = embedder.embed(["", "word " * 5000, "half a character \ud83d", "\u4f60\u597d"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_order_does_not_depend_on_length(embedder: MiniLmEmbedder) -> None:
    texts = ["a much longer sentence about the weather in spring " * 4, "rain", *SENTENCES]
    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    assert (together * alone).sum(axis=1).min() > 0.97


def test_a_question_is_nearest_to_its_answer(embedder: MiniLmEmbedder) -> None:
    question, *rest = embedder.embed(["What is the name of my dog?", *SENTENCES[:4]])
    assert int(np.argmax(np.stack(rest) @ question)) == 3


def test_batches_are_bounded_in_tokens_and_complete() -> None:
    encoded = [[0] * length for length in (256, 3, 256, 8, *[250] * 40, *[5] * 100)]
    batches = list(_batches(encoded))
    assert sorted(place for batch in batches for place in batch) == list(range(len(encoded)))
    assert max(len(batch) * max(len(encoded[place]) for place in batch) for batch in batches) <= 4096


def test_threads_share_one_model(models_folder: Path) -> None:
    shared, found = MiniLmEmbedder(models_folder), []
    threads = [
        threading.Thread(target=lambda text=text: found.append(shared.embed([text])[0]))
        for text in SENTENCES[:4]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(abs(float(np.linalg.norm(vector)) - 1.0) < 1e-5 for vector in found)


def test_the_process_that_serves_never_imports_torch(models_folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ltmld.models.embedder import MiniLmEmbedder;"
        "assert not {'numpy', 'onnxruntime'} & set(sys.modules), 'too early';"
        "MiniLmEmbedder(Path(sys.argv[1])).embed(['hello']);"
        "print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(models_folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_a_damaged_export_is_made_again(tmp_path: Path, models_folder: Path) -> None:
    place = ensure_exported(models_folder)
    damaged = tmp_path / place.name
    damaged.mkdir()
    for file in place.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    assert export._intact(damaged)
    model = damaged / MODEL_FILE
    model.write_bytes(model.read_bytes()[:-1])
    assert not export._intact(damaged)


def test_unknown_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / export.PACKAGE / "model"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "model.safetensors").write_bytes(b"something else")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EmbedderError, match="not the all-minilm-l6-v2 that ltmld knows"):
        export.export(tmp_path / "out")


def test_a_failing_export_says_how_to_see_more_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "fake" / export.PACKAGE / "model"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "model.safetensors").write_bytes(b"something else")
    monkeypatch.syspath_prepend(str(tmp_path / "fake"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"), prepend=":")
    cache = tmp_path / "cache"
    with pytest.raises(EmbedderError, match=r"Run it by hand to see all: .* -m ltmld\.models\.export"):
        ensure_exported(cache)
    assert list(cache.iterdir()) == []
    said, errors = capfd.readouterr()
    assert errors == "", "what the exporter prints stays with it"
    assert len(said.splitlines()) == 1, "one log line says what takes so long"
    assert "embedder.first_use" in said


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbedderError, match="cannot be written"):
        ensure_exported(tmp_path / "file")
