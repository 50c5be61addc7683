"""How people name an embedder: in the settings, and after ``ltmld reindex --embedder``."""

from __future__ import annotations

import re

DEFAULT_EMBEDDER = "all-minilm-l6-v2"
OLLAMA = "ollama:"

# An Ollama model (library/name:tag), a name of the Hugging Face hub (owner/name): no spaces, no going up.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,199}")
_FOLDER = re.compile(r"[/~.]|[A-Za-z]:[\\/]")


def embedder_key(text: str) -> str:
    """Return the name of an embedder as it is kept.

    Raises:
        ValueError: it cannot be one.
    """
    key = text.strip()
    if key.lower() == DEFAULT_EMBEDDER:
        return DEFAULT_EMBEDDER
    name = key.removeprefix(OLLAMA)
    if key.startswith(OLLAMA) and _NAME.fullmatch(name):
        return key
    if is_folder(key) and "\0" not in key and key.isprintable():
        return key
    if _NAME.fullmatch(key) and ".." not in key and ":" not in key:
        return key
    raise ValueError(
        f"must be {DEFAULT_EMBEDDER}, {OLLAMA}NAME, or the folder or hub name of a sentence-transformers model"
    )


def is_folder(key: str) -> bool:
    """Tell whether an embedder is named by a folder: ``/...``, ``~/...``, ``./...``."""
    return bool(_FOLDER.match(key))
