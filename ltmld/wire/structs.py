"""What Go makes of the objects of a body: a struct, whose keys count in any case, or a map, whose keys are exact.

Rules:
1. In a struct the last of several equal keys wins, and a ``null`` changes nothing; only an ``any`` (or raw) field is
   emptied by it. Where one of several is a list or an object, Go would merge some of them: a ``WireError``.
2. In a map the last of several equal keys wins, whatever it is; another case is another key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ltmld.errors import WireError

# The two letters outside ASCII that Go's folding takes for ASCII ones: long s and the Kelvin sign.
_FOLDS = {0x17F: "s", 0x212A: "k"}

Pairs = Iterable[tuple[str, Any]]


class Repeated(dict[str, Any]):
    """An object in which a key stands more than once, as a map has it; ``pairs`` are all that stood there."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Struct:
    """How an object is read, or each object of a list; ``members`` says it of what is looked into within.

    ``emptied`` names the fields of type ``any``, which a null empties. ``exact`` marks a map.
    """

    members: Mapping[str, Struct] = field(default_factory=dict)
    emptied: frozenset[str] = frozenset()
    exact: bool = False

    def read(self, value: Any) -> Any:
        """Return *value* with the keys of its structs folded; objects and lists are altered in place.

        Raises:
            WireError: Go would merge two values of it.
        """
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    value[index] = self._object(item)
        return value

    def key(self, name: str) -> str:
        """Return a key as it is compared."""
        return name if self.exact else fold(name)

    def counts(self, name: str, value: Any) -> bool:
        """Tell whether *value* takes the place of an earlier one of the same key."""
        return value is not None or self.exact or name in self.emptied

    def _object(self, tree: dict[str, Any]) -> dict[str, Any]:
        if not self.exact and not _is_folded(tree):
            tree = self._folded(tree.pairs if isinstance(tree, Repeated) else tree.items())
        for name, struct in self.members.items():
            value = tree.get(name)
            if value.__class__ is not str and value is not None:
                tree[name] = struct.read(value)
        return tree

    def _folded(self, pairs: Pairs) -> dict[str, Any]:
        members = [(fold(name), value) for name, value in pairs]
        tree: dict[str, Any] = {}
        for name, value in members:
            if name not in tree or self.counts(name, value):
                tree[name] = value
        if len(tree) < len(members):
            _refuse_merging(members)
        return tree


def fold(key: str) -> str:
    """Return *key* as Ollama compares it in a struct."""
    return key.lower() if key.isascii() else key.translate(_FOLDS).lower()


def _is_folded(tree: dict[str, Any]) -> bool:
    """Tell whether nothing is to be folded: one look at all keys together."""
    if tree.__class__ is not dict:
        return False
    keys = "".join(tree)
    return keys.islower() and keys.isascii()


def _refuse_merging(members: list[tuple[str, Any]]) -> None:
    """Refuse a list or an object whose key stands twice: Go decodes the later one into what the earlier left."""
    times = Counter(name for name, _ in members)
    for name, value in members:
        if times[name] > 1 and isinstance(value, dict | list):
            raise WireError(f"the body holds {name!r} more than once; it passes untouched")
