"""A request body, parsed with the places of what an injection may touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ltmld.errors import WireError
from ltmld.wire.json_text import Edit, Node, decode, encode, scan, splice
from ltmld.wire.request import Request

# Down to the deepest place where text is written: messages (or input items) -> message -> content parts -> part,
# and the blocks of a system text.
_DEEPER = {"messages": 4, "input": 4, "system": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The text of a body and its first JSON value, an object."""

    source: str
    root: Node

    @classmethod
    def read(cls, body: bytes) -> Body:
        """Parse *body*.

        Raises:
            WireError: it does not begin with a JSON object.
        """
        source = decode(body)
        root = scan(source, depth=1, deeper=_DEEPER)
        if not isinstance(root.value, dict):
            raise WireError("the body is not a JSON object; it passes untouched")
        return cls(source=source, root=root)

    @property
    def tree(self) -> dict[str, Any]:
        """The object, its top-level keys folded."""
        value: dict[str, Any] = self.root.value
        return value


def rewritten(request: Request, edits: Sequence[Edit]) -> bytes:
    """Return the request's body with the edits made: the very same object when there are none."""
    return encode(splice(request.source, edits)) if edits else request.body
