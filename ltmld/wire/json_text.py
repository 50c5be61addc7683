"""JSON read as Ollama reads it, with the place of every value, so that a change touches only what changes.

Rules:
1. Only the first value of a body counts; what follows it is kept and ignored (Go's ``json.Decoder``).
2. Keys are matched without regard to case, the last of several wins, a ``null`` changes nothing (``encoding/json``).
   Where one of several is a list or an object, Go would merge them: that is a ``WireError``.
3. An edit inserts into the client's own text: key order, spelling of numbers, escapes and spaces all survive.
4. A byte-order mark, NaN or a lone control character is a ``WireError``: the body passes untouched. Bytes that are
   no UTF-8 are accepted as Go accepts them: they stay in the body, and ``clean`` shows them as Ollama sees them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ltmld.errors import WireError

_BLANKS = " \t\n\r"
_SPACE = re.compile(r"[ \t\n\r]*")
# Nearly every key there is, read in one step: it saves a sixth of the time of reading a conversation.
_PLAIN_KEY = re.compile(r'"([A-Za-z0-9_]*)"[ \t\n\r]*:')
_SURROGATE = re.compile("[\ud800-\udfff]")
# The two letters outside ASCII that Go's folding takes for ASCII ones: long s and the Kelvin sign.
_FOLDS = {0x17F: "s", 0x212A: "k"}


class Node(NamedTuple):
    """One JSON value and where it stands: ``text[start:end]``.

    ``members`` and ``items`` are filled as deep as the scan was asked to go; keys are folded.
    """

    # A tuple and no dataclass: a long conversation has thousands, and is read before its first token may come.
    start: int
    end: int
    value: Any
    members: tuple[tuple[str, Node], ...] = ()
    items: tuple[Node, ...] = ()

    def last(self, name: str) -> Node | None:
        """Return the last member called *name*, be it null."""
        return next((node for key, node in reversed(self.members) if key == name), None)

    def member(self, name: str) -> Node | None:
        """Return the member called *name* that counts: the last that is not null."""
        return next(
            (node for key, node in reversed(self.members) if key == name and node.value is not None),
            None,
        )


class Edit(NamedTuple):
    """Put ``text`` in the place of ``[start:end]``."""

    start: int
    end: int
    text: str


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refused)


def decode(body: bytes) -> str:
    """Return the body's text; a byte that is no UTF-8 becomes a lone surrogate, which ``encode`` turns back."""
    return body.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes of a text that ``decode`` has made."""
    return text.encode("utf-8", "surrogateescape")


def scan(text: str, at: int = 0, *, depth: int, deeper: Mapping[str, int] | None = None) -> Node:
    """Read the value at *at*, noting places *depth* containers deep (*deeper* says otherwise for some members).

    Raises:
        WireError: there is no such JSON.
    """
    at = _skip(text, at)
    opening = text[at : at + 1]
    if depth > 0 and opening == "{":
        return _object(text, at, depth=depth, deeper=deeper or {})
    if depth > 0 and opening == "[":
        return _array(text, at, depth=depth)
    return _leaf(text, at)


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


def fold(key: str) -> str:
    """Return *key* as Ollama compares it."""
    return key.lower() if key.isascii() else key.translate(_FOLDS).lower()


def _object(text: str, start: int, *, depth: int, deeper: Mapping[str, int]) -> Node:
    members: list[tuple[str, Node]] = []
    at = _skip(text, start + 1)
    while text[at : at + 1] != "}":
        if members:
            at = _skip(text, _expect(text, at, ","))
        key, at = _key(text, at)
        node = scan(text, at, depth=deeper.get(key, depth - 1))
        members.append((key, node))
        at = _skip(text, node.end)
    value: dict[str, Any] = {}
    for key, node in members:
        if node.value is not None or key not in value:
            value[key] = node.value
    if len(value) < len(members):
        _refuse_merging(members)
    return Node(start, at + 1, value, tuple(members))


def _key(text: str, at: int) -> tuple[str, int]:
    """Return a key as Ollama compares it, and where its value begins."""
    plain = _PLAIN_KEY.match(text, at)
    if plain:
        return plain[1].lower(), plain.end()
    name = _leaf(text, at)
    if not isinstance(name.value, str):
        raise WireError(f"a key of the JSON body is not a string at character {at}")
    return fold(name.value), _expect(text, _skip(text, name.end), ":")


def _refuse_merging(members: Sequence[tuple[str, Node]]) -> None:
    """Refuse a list or an object whose key stands twice: Go decodes the later one into what the earlier left."""
    times = Counter(key for key, _ in members)
    for key, node in members:
        if times[key] > 1 and isinstance(node.value, dict | list):
            raise WireError(f"the body holds {key!r} more than once; it passes untouched")


def _array(text: str, start: int, *, depth: int) -> Node:
    items: list[Node] = []
    at = _skip(text, start + 1)
    while text[at : at + 1] != "]":
        if items:
            at = _expect(text, at, ",")
        items.append(scan(text, at, depth=depth - 1))
        at = _skip(text, items[-1].end)
    return Node(start, at + 1, [item.value for item in items], (), tuple(items))


def _leaf(text: str, at: int) -> Node:
    try:
        value, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise WireError(f"the body is not JSON: {error}; it passes untouched") from error
    return Node(at, end, value)


def _skip(text: str, at: int) -> int:
    if text[at : at + 1] not in _BLANKS:
        return at
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _expect(text: str, at: int, mark: str) -> int:
    if text[at : at + 1] != mark:
        raise WireError(f"the body is not JSON: {mark!r} expected at character {at}; it passes untouched")
    return at + 1
