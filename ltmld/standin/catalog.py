"""The models that the stand-in says it has; names are compared as Ollama compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

CONTEXT_TOKENS = 4096

_LIBRARY = "registry.ollama.ai/library/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model: its full name, its Modelfile's SYSTEM, and a made-up digest and size."""

    name: str
    system: str

    @property
    def digest(self) -> str:
        """Sixty-four hex digits that follow from the name."""
        return sha256(self.name.encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """A size as of the tiny models that were recorded."""
        return 1_751_101


class Catalog:
    """Which models there are, and which of them are loaded."""

    def __init__(self, names: Sequence[str], *, system: str | Mapping[str, str]) -> None:
        self._models = [Model(name=full_name(name), system=_system(name, system)) for name in names]
        self._loaded: set[str] = set()

    def find(self, name: str) -> Model | None:
        """Return the model of that name: in any case, with or without tag and registry."""
        wanted = full_name(name).lower()
        return next((model for model in self._models if model.name.lower() == wanted), None)

    def load(self, model: Model) -> None:
        """Remember that the model is in memory."""
        self._loaded.add(model.name)

    def unload(self, model: Model) -> None:
        """Remember that it is not."""
        self._loaded.discard(model.name)

    @property
    def models(self) -> list[Model]:
        """All models, as ``/api/tags`` lists them."""
        return list(self._models)

    @property
    def loaded(self) -> list[Model]:
        """The models in memory, as ``/api/ps`` lists them."""
        return [model for model in self._models if model.name in self._loaded]


def full_name(name: str) -> str:
    """Return *name* with its tag and without the default registry."""
    bare = name.removeprefix(_LIBRARY)
    return bare if ":" in bare or not bare else f"{bare}:latest"


def _system(name: str, system: str | Mapping[str, str]) -> str:
    if isinstance(system, str):
        return system
    return {full_name(key): text for key, text in system.items()}.get(full_name(name), "")
