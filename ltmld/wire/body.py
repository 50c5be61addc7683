"""A request body, parsed with the places of what an injection may touch, and what is to be altered in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from ltmld.errors import WireError
from ltmld.wire import fields
from ltmld.wire.json_text import Edit, Node, clean, decode, encode, scan, splice
from ltmld.wire.request import Request
from ltmld.wire.sentinel import GAP
from ltmld.wire.structs import Struct
from ltmld.wire.thread_key import thread_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The bytes of a body, their text and its first JSON value, an object."""

    sent: bytes
    source: str
    root: Node

    @classmethod
    def read(cls, body: bytes, struct: Struct) -> Body:
        """Parse *body*, which Ollama reads into *struct*.

        Raises:
            WireError: it does not begin with a JSON object.
        """
        source = decode(body)
        root = scan(source, struct=struct)
        if not isinstance(root.value, dict):
            raise WireError("the body is not a JSON object; it passes untouched")
        return cls(sent=body, source=source, root=root)

    @property
    def tree(self) -> dict[str, Any]:
        """The object, its top-level keys folded."""
        value: dict[str, Any] = self.root.value
        return value

    def common(self, dialect: str) -> Common:
        """Return the fields of a request that every dialect reads alike."""
        tree = self.tree
        return {
            "dialect": dialect,
            "model": clean(fields.text(tree, "model")),
            "tree": tree,
            "thread_key": thread_key(tree),
            "body": self.sent,
            "source": self.source,
            "root": self.root,
        }


class Common(TypedDict):
    """Fields of ``Request`` that every dialect reads alike."""

    dialect: str
    model: str
    tree: Mapping[str, Any]
    thread_key: str
    body: bytes
    source: str
    root: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """What goes into a request, and which of its messages go out (``Dialect.inject`` says where)."""

    block: str
    base_system: str
    notes: Mapping[int, str]
    drop: frozenset[int]

    @property
    def system(self) -> str:
        """The system text for a request that has none."""
        return GAP.join(text for text in (self.base_system, self.block) if text)

    @property
    def staying_notes(self) -> list[tuple[int, str]]:
        """The notes that say something, before messages that stay."""
        return [(index, note) for index, note in self.notes.items() if note and index not in self.drop]


def rewritten(request: Request, edits: Sequence[Edit]) -> bytes:
    """Return the request's body with the edits made: the very same object when there are none."""
    return encode(splice(request.source, edits)) if edits else request.body
