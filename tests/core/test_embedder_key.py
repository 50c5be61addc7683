"""Promise: an embedder's name is checked before anything is done with it."""

from __future__ import annotations

import pytest

from ltmld.core.embedder_key import embedder_key, is_folder


@pytest.mark.parametrize(
    "key",
    [
        "all-minilm-l6-v2",
        "ollama:nomic-embed-text",
        "ollama:a/b:latest",
        "BAAI/bge-small-en",
        "/models/mine",
        "~/m",
    ],
)
def test_names_that_can_be_one(key: str) -> None:
    assert embedder_key(f" {key} ") == key


def test_the_default_is_known_in_any_case() -> None:
    assert embedder_key("All-MiniLM-L6-v2") == "all-minilm-l6-v2"


@pytest.mark.parametrize(
    "key", ["", "  ", "ollama:", "ollama:a b", "a b", "a/../../etc", "x:y", "-rf", "/a\0b", "a" * 300]
)
def test_names_that_cannot(key: str) -> None:
    with pytest.raises(ValueError, match="must be all-minilm"):
        embedder_key(key)


def test_folders_are_told_from_names() -> None:
    assert [is_folder(key) for key in ("/a", "~/a", "./a", "a/b")] == [True, True, True, False]
