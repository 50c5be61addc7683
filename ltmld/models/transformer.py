"""A sentence-transformers model, by folder or by its name in the Hugging Face cache: found, judged, described.

Rules:
1. Nothing is downloaded: a model that is not on this machine is refused, with the command that fetches it.
2. How the model pools and normalizes is read from its own ``modules.json`` and exported with it; a kind of module
   that is not known to survive the export, or code of the model's own, is refused.
3. The export is kept by the digest of the model's files: other weights are another embedder.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltmld.core.embedder_key import is_folder
from ltmld.errors import EmbedderError

# What was seen to be exported faithfully; each is checked by its cosine to float32 after the export.
MODULES = frozenset({"Transformer", "Pooling", "Normalize", "Dense", "LayerNorm"})
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_CHUNK_BYTES = 1 << 20
_DIGEST_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model on this machine: what people call it, its folder, and the start of the digest of its files."""

    label: str
    folder: Path
    digest: str


def find_source(key: str) -> Source:
    """Return the model that *key* names.

    Raises:
        EmbedderError: it is not there, or cannot be exported.
    """
    folder = Path(key).expanduser().absolute() if is_folder(key) else _cached(key)
    if not (folder / "modules.json").is_file():
        raise EmbedderError(
            f"{folder} is no sentence-transformers model: it has no modules.json. Name another embedder."
        )
    _refuse_unknown(folder)
    return Source(label=folder.name if is_folder(key) else key, folder=folder, digest=_digest(folder))


def _cached(key: str) -> Path:
    """Return the folder of a model in the cache of the Hugging Face hub: the snapshot that ``main`` points to."""
    owner_and_name = key if "/" in key else f"sentence-transformers/{key}"
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface").expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    model = hub / f"models--{owner_and_name.replace('/', '--')}"
    try:
        revision = (model / "refs" / "main").read_text("utf-8").strip()
    except OSError as error:
        raise EmbedderError(
            f"{key} is not on this machine. Fetch it (hf download {owner_and_name}), or name a folder."
        ) from error
    return model / "snapshots" / revision


def _refuse_unknown(folder: Path) -> None:
    modules = _json(folder / "modules.json")
    kinds = [str(module.get("type", "")) for module in modules if isinstance(module, dict)]
    strange = [
        kind
        for kind in kinds
        if not kind.startswith("sentence_transformers.") or kind.rpartition(".")[2] not in MODULES
    ]
    if strange or not kinds or kinds[0].rpartition(".")[2] != "Transformer":
        raise EmbedderError(
            f"{folder} has parts that ltmld cannot export ({', '.join(strange) or 'no Transformer'}). "
            "Name another embedder."
        )
    first = str(modules[0].get("path", ""))
    config = _json(folder / first / "config.json")
    if isinstance(config, dict) and config.get("auto_map"):
        raise EmbedderError(
            f"{folder} brings code of its own, which ltmld does not run. Name another embedder."
        )
    if not any((folder / first / name).is_file() for name in WEIGHTS):
        raise EmbedderError(f"{folder} has no weights ({' or '.join(WEIGHTS)}). Fetch the whole model.")
    if not any((folder / place / "tokenizer.json").is_file() for place in {first, ""}):
        raise EmbedderError(f"{folder} has no tokenizer.json. Name another embedder.")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EmbedderError(f"{path} cannot be read: {error}. Fetch the whole model.") from error


def _digest(folder: Path) -> str:
    """Return the start of the digest of all that decides about vectors: weights, tokenizers, configurations."""
    whole = hashlib.sha256()
    files = (
        path
        for path in folder.rglob("*")
        if path.suffix in {".json", ".safetensors", ".bin"} and path.is_file()
    )
    for path in sorted(files, key=lambda path: path.relative_to(folder).as_posix()):
        relative = path.relative_to(folder).as_posix()
        if relative.partition("/")[0] in {"onnx", "openvino"}:
            continue
        whole.update(f"\0{relative}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                whole.update(chunk)
    return whole.hexdigest()[:_DIGEST_DIGITS]
