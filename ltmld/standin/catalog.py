"""The models that the stand-in says it has; names are compared as Ollama compares them.

Rules:
1. A name is found in any case, with or without tag and registry.
2. What a model can do follows from its name, unless it is said: ``embed`` in it makes an embedding model,
   ``think`` one that thinks; any other takes tools, images and a suffix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

CONTEXT_TOKENS = 4096

_LIBRARY = "registry.ollama.ai/library/"


def now() -> str:
    """Return the present as Go prints it: RFC 3339 with nanoseconds."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model: its full name, its Modelfile's SYSTEM, what it can do, and a made-up digest and size.

    ``shown`` is what ``/api/show`` says otherwise: a template, a renderer, messages, a remote host.
    """

    name: str
    system: str = ""
    capabilities: tuple[str, ...] = ("completion", "tools", "insert", "vision")
    modified_at: str = field(default_factory=now)
    shown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Sixty-four hex digits that follow from the name."""
        return sha256(self.name.encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """A size as of the tiny models that were recorded."""
        return 1_751_101

    @property
    def created_at(self) -> int:
        """When it was changed last, in seconds since 1970."""
        return int(datetime.fromisoformat(self.modified_at[:26] + "+00:00").timestamp())

    def can(self, what: str) -> bool:
        """Tell whether the model has a capability."""
        return what in self.capabilities


class Catalog:
    """Which models there are, which of them are loaded, and which blobs were sent."""

    def __init__(
        self,
        names: Sequence[str] | Mapping[str, Sequence[str]],
        *,
        system: str | Mapping[str, str] = "",
        shown: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        can = names if isinstance(names, Mapping) else {}
        self._models = {
            full_name(name).lower(): Model(
                name=full_name(name),
                system=_system(name, system),
                capabilities=tuple(can.get(name) or _capabilities(name)),
                shown=(shown or {}).get(name, {}),
            )
            for name in names
        }
        self._loaded: set[str] = set()
        self.blobs: set[str] = set()

    def find(self, name: str) -> Model | None:
        """Return the model of that name: in any case, with or without tag and registry."""
        return self._models.get(full_name(name).lower())

    def load(self, model: Model) -> None:
        """Remember that the model is in memory."""
        self._loaded.add(model.name)

    def unload(self, model: Model) -> None:
        """Remember that it is not."""
        self._loaded.discard(model.name)

    def copy(self, model: Model, name: str, *, system: str | None = None) -> None:
        """Give *model* a second name, with a SYSTEM of its own if one is said."""
        text = model.system if system is None else system
        copied = replace(model, name=full_name(name), system=text, modified_at=now())
        self._models[copied.name.lower()] = copied

    def delete(self, model: Model) -> None:
        """Forget a model."""
        del self._models[model.name.lower()]
        self.unload(model)

    @property
    def models(self) -> list[Model]:
        """All models, as ``/api/tags`` lists them."""
        return list(self._models.values())

    @property
    def loaded(self) -> list[Model]:
        """The models in memory, as ``/api/ps`` lists them."""
        return [model for model in self._models.values() if model.name in self._loaded]


def full_name(name: str) -> str:
    """Return *name* with its tag and without the default registry."""
    bare = name.removeprefix(_LIBRARY)
    return bare if ":" in bare or not bare else f"{bare}:latest"


def is_cloud(name: str) -> bool:
    """Tell whether a name means a model that runs at ollama.com."""
    tag = name.partition(":")[2]
    return tag == "cloud" or tag.endswith("-cloud")


def _capabilities(name: str) -> tuple[str, ...]:
    if "embed" in name:
        return ("embedding",)
    if "think" in name:
        return ("completion", "tools", "thinking")
    return ("completion", "tools", "insert", "vision")


def _system(name: str, system: str | Mapping[str, str]) -> str:
    if isinstance(system, str):
        return system
    return {full_name(key): text for key, text in system.items()}.get(full_name(name), "")
