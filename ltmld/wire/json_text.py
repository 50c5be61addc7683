"""JSON read as Ollama reads it; the places of values are looked up only where something is to be changed.

Rules:
1. Only the first value of a body counts; what follows it is kept and ignored (Go's ``json.Decoder``).
2. Keys and nulls are taken as Go takes them (``structs``).
3. An edit inserts into the client's own text: key order, spelling of numbers, escapes and spaces all survive.
4. A byte-order mark, NaN or a lone control character is a ``WireError``: the body passes untouched. Bytes that are
   no UTF-8 are accepted as Go accepts them: they stay in the body, and ``clean`` shows them as Ollama sees them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ltmld.errors import WireError
from ltmld.wire.structs import Repeated, Struct

_SPACE = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Node:
    """One JSON value and where it stands: ``text[start:end]``; what is within is found when it is asked for."""

    __slots__ = ("_items", "_members", "_text", "end", "start", "struct", "value")

    def __init__(self, text: str, start: int, end: int, value: Any, struct: Struct | None) -> None:
        self.start = start
        self.end = end
        self.value = value
        self.struct = struct
        self._text = text
        self._items: tuple[Node, ...] | None = None
        self._members: tuple[tuple[str, Node], ...] | None = None

    @property
    def members(self) -> tuple[tuple[str, Node], ...]:
        """The members of an object that is looked into, in their order."""
        if self._members is None:
            inside = isinstance(self.value, dict) and self.struct is not None
            self._members = tuple(self._found_members(self.struct)) if inside and self.struct else ()
        return self._members

    @property
    def items(self) -> tuple[Node, ...]:
        """The items of a list that is looked into."""
        if self._items is None:
            self._items = tuple(self._found_items()) if isinstance(self.value, list) and self.struct else ()
        return self._items

    def last(self, name: str) -> Node | None:
        """Return the last member called *name*, be it null."""
        return next((node for key, node in reversed(self.members) if key == name), None)

    def member(self, name: str) -> Node | None:
        """Return the member called *name* that counts, ``None`` where that is null."""
        struct = self.struct
        for key, node in reversed(self.members):
            if key == name and struct is not None and struct.counts(name, node.value):
                return node if node.value is not None else None
        return None

    def _found_members(self, struct: Struct) -> Iterator[tuple[str, Node]]:
        text, at = self._text, _skip(self._text, self.start + 1)
        while text[at] != "}":
            name, at = _DECODER.raw_decode(text, at)
            key = struct.key(name)
            node = scan(text, _skip(text, at) + 1, struct.members.get(key))
            yield key, node
            at = _after(text, node.end)

    def _found_items(self) -> Iterator[Node]:
        text, at = self._text, _skip(self._text, self.start + 1)
        while text[at] != "]":
            node = scan(text, at, self.struct)
            yield node
            at = _after(text, node.end)


class Edit(NamedTuple):
    """Put ``text`` in the place of ``[start:end]``."""

    start: int
    end: int
    text: str


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    return tree if len(tree) == len(pairs) else Repeated(pairs)


_DECODER = json.JSONDecoder(parse_constant=_refused, object_pairs_hook=_object)


def decode(body: bytes) -> str:
    """Return the body's text; a byte that is no UTF-8 becomes a lone surrogate, which ``encode`` turns back."""
    return body.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes of a text that ``decode`` has made."""
    return text.encode("utf-8", "surrogateescape")


def scan(text: str, at: int = 0, struct: Struct | None = None) -> Node:
    """Read the value at *at*, its objects as *struct* says.

    Raises:
        WireError: there is no such JSON.
    """
    at = _skip(text, at)
    try:
        value, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise WireError(f"the body is not JSON: {error}; it passes untouched") from error
    return Node(text, at, end, value if struct is None else struct.read(value), struct)


def splice(text: str, edits: Iterable[Edit]) -> str:
    """Return *text* with the edits made; they may not overlap."""
    pieces: list[str] = []
    at = 0
    for edit in sorted(edits):
        pieces += (text[at : edit.start], edit.text)
        at = edit.end
    return "".join((*pieces, text[at:]))


def removals(array: Node, drop: frozenset[int]) -> list[Edit]:
    """Return the edits that take the items at *drop* out of an array, each with one of the commas around it."""
    made: list[Edit] = []
    items = array.items
    kept_end = 0  # where the last kept item ends: what is dropped after it goes with the comma before
    start = -1  # where items dropped at the very front begin: they go with the comma after
    for index, item in enumerate(items):
        if index not in drop:
            if start >= 0:
                made.append(Edit(start, item.start, ""))
            kept_end, start = item.end, -1
        elif kept_end:
            made.append(Edit(kept_end, item.end, ""))
            kept_end = item.end
        elif start < 0:
            start = item.start
    if start >= 0:
        made.append(Edit(start, items[-1].end, ""))
    return made


def literal(text: str) -> str:
    """Return *text* as a JSON string, quotes included, unicode as it is."""
    return json.dumps(clean(text), ensure_ascii=False)


def inner(text: str) -> str:
    """Return *text* as it stands between the quotes of a JSON string."""
    return literal(text)[1:-1]


def compact(value: Any) -> str:
    """Return *value* as JSON without spaces, keys in their order, unicode as it is.

    Raises:
        WireError: it is too deep to be written.
    """
    try:
        return clean(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except RecursionError as error:
        raise WireError("a value of the JSON body is too deep; the body passes untouched") from error


def clean(text: str) -> str:
    """Return *text* with lone surrogates and broken bytes replaced, as Go does on reading: they cannot be stored."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _after(text: str, at: int) -> int:
    """Return where the next key or item begins, or the end of what holds them."""
    at = _skip(text, at)
    return _skip(text, at + 1) if text[at] == "," else at
