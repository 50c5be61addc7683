"""An embedder that is not ready says so at once, and works as soon as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ltmld.errors import EmbedderError
from ltmld.models.deferred import DeferredEmbedder


class Slow:
    """An embedder that loads when told to, or fails to."""

    name, dimension = "slow", 2

    def __init__(self, fault: str = "") -> None:
        self.fault = fault

    def embed(self, texts: Sequence[str]) -> Any:
        """Return one vector a text."""
        if self.fault:
            raise EmbedderError(self.fault)
        return np.array([[1.0, 0.0]] * len(texts), dtype=np.float32)


def test_until_it_is_prepared_it_refuses_and_says_why() -> None:
    embedder = DeferredEmbedder(Slow())
    with pytest.raises(EmbedderError, match="being prepared"):
        embedder.embed(["x"])
    assert "being prepared" in embedder.standing


def test_once_prepared_it_embeds() -> None:
    embedder = DeferredEmbedder(Slow())
    embedder.prepare()
    assert embedder.embed(["x", "y"]).shape == (2, 2)
    assert embedder.standing == "slow"


def test_what_kept_it_from_loading_stays_the_answer() -> None:
    embedder = DeferredEmbedder(Slow("the weights are not installed"))
    with pytest.raises(EmbedderError):
        embedder.prepare()
    with pytest.raises(EmbedderError, match="weights are not installed"):
        embedder.embed(["x"])
