"""Typed values out of parsed JSON, as Go's decoder takes them.

Rules:
1. Absent and null are the zero value; a wrong type is a ``WireError`` (Ollama answers 400 to it).
2. ``said``, ``told``, ``listed`` and ``spelled`` are for answers: they never raise, and take a wrong type for absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from ltmld.errors import WireError
from ltmld.wire.json_text import compact

Tree = Mapping[str, Any]

COUNT_MAX = 2**63 - 1
"""Largest number that SQLite stores; Go's counters are int64 too."""

_T = TypeVar("_T")


def text(tree: Tree, name: str) -> str:
    """Return a string member, empty when absent.

    Raises:
        WireError: it is something else.
    """
    return _typed(tree, name, str, "")


def flag(tree: Tree, name: str, *, default: bool = False) -> bool:
    """Return a boolean member.

    Raises:
        WireError: it is something else.
    """
    return _typed(tree, name, bool, default)


def items(tree: Tree, name: str) -> list[Any]:
    """Return an array member, empty when absent.

    Raises:
        WireError: it is something else.
    """
    return _typed(tree, name, list, [])


def members(tree: Tree, name: str) -> dict[str, Any]:
    """Return an object member, empty when absent.

    Raises:
        WireError: it is something else.
    """
    return _typed(tree, name, dict, {})


def count(tree: Tree, *names: str) -> int | None:
    """Return the first of *names* that is a whole number from 0 to ``COUNT_MAX``; others count as not given."""
    for name in names:
        value = tree.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX:
            return value
    return None


def said(tree: object, name: str) -> str:
    """Return a string of an answer, empty when there is none."""
    value = tree.get(name) if isinstance(tree, dict) else None
    return value if isinstance(value, str) else ""


def told(tree: object, name: str) -> dict[str, Any]:
    """Return an object of an answer, empty when there is none."""
    value = tree.get(name) if isinstance(tree, dict) else None
    return value if isinstance(value, dict) else {}


def listed(tree: object, name: str) -> list[Any]:
    """Return an array of an answer, empty when there is none."""
    value = tree.get(name) if isinstance(tree, dict) else None
    return value if isinstance(value, list) else []


def spelled(tree: object, name: str) -> str:
    """Return an object of an answer as JSON, empty when there is none, or none that can be written."""
    value = told(tree, name)
    try:
        return compact(value) if value else ""
    except WireError:
        return ""


def _typed(tree: Tree, name: str, kind: type[_T], default: _T) -> _T:
    value = tree.get(name)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise WireError(f"field {name} is not of type {kind.__name__}; the body passes untouched")
    return value
