"""Promise: a sentence-transformers model on this machine can be the embedder; what cannot be exported is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ltmld.errors import EmbedderError
from ltmld.models import export
from ltmld.models.embedder import MiniLmEmbedder, TransformerEmbedder
from ltmld.models.transformer import find_source

TEXTS = ["My dog is called Biscuit.", "What is the name of my dog?", "The deadline has moved to March 29."]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a copy of the default model in a folder of a person's own."""
    folder = tmp_path / "my-model"
    shutil.copytree(export.weights_folder(), folder)
    return folder


def changed(path: Path, **settings: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | settings), "utf-8")


@pytest.mark.timeout(600)
def test_a_folder_is_exported_with_the_pooling_that_it_names(model: Path, models_folder: Path) -> None:
    """Pooled by its first token, a model makes other vectors than by the mean of all."""
    changed(model / "1_Pooling" / "config.json", pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)
    modules = json.loads((model / "modules.json").read_text("utf-8"))
    (model / "modules.json").write_text(json.dumps(modules[:2]), "utf-8")
    embedder = TransformerEmbedder(str(model), model.parent / "cache")
    assert (embedder.name, embedder.dimension) == ("", 0)
    vectors = embedder.embed(TEXTS)
    assert embedder.name.startswith("my-model/")
    assert embedder.dimension == 384
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5), "unit length without a module for it"
    mean = MiniLmEmbedder(models_folder).embed(TEXTS)
    assert (vectors * mean).sum(axis=1).max() < 0.95
    (place,) = (model.parent / "cache").iterdir()
    about = export.manifest(place)
    assert about["cosine"]["mean"] >= 0.95
    assert about["kind"] in ("int8", "float32")
    again = TransformerEmbedder(str(model), model.parent / "cache")
    again.load()
    assert again.name == embedder.name


def test_other_weights_are_another_embedder(model: Path) -> None:
    before = find_source(str(model)).digest
    changed(model / "1_Pooling" / "config.json", pooling_mode_cls_token=True)
    assert find_source(str(model)).digest != before


def test_a_module_that_is_not_known_is_refused(model: Path) -> None:
    modules = json.loads((model / "modules.json").read_text("utf-8"))
    modules[1]["type"] = "sentence_transformers.models.WordWeights"
    (model / "modules.json").write_text(json.dumps(modules), "utf-8")
    with pytest.raises(EmbedderError, match=r"cannot export.*WordWeights"):
        find_source(str(model))


def test_code_of_the_models_own_is_refused(model: Path) -> None:
    changed(model / "config.json", auto_map={"AutoModel": "modeling.Model"})
    with pytest.raises(EmbedderError, match="code of its own"):
        find_source(str(model))


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("modules.json", "no modules.json"),
        ("model.safetensors", "no weights"),
        ("tokenizer.json", "no tokenizer"),
        ("config.json", "cannot be read"),
    ],
)
def test_half_a_model_is_refused(model: Path, lost: str, said: str) -> None:
    (model / lost).unlink()
    with pytest.raises(EmbedderError, match=said):
        find_source(str(model))


def test_a_name_is_looked_for_in_the_hub_cache(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-home"))
    with pytest.raises(EmbedderError, match="hf download sentence-transformers/some-model"):
        find_source("some-model")
    cache = tmp_path / "hub-home" / "hub" / "models--sentence-transformers--some-model"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("abc")
    shutil.copytree(model, cache / "snapshots" / "abc")
    found = find_source("some-model")
    assert (found.label, found.folder) == ("some-model", cache / "snapshots" / "abc")
