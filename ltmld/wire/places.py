"""Where each message of a request stands in its body, so that texts can be put before it and it can be taken out.

Rules:
1. A message is whole items of the body's list (a call and the thinking before it), or some parts of one item
   (an Anthropic message that holds tool results is several to a model).
2. A text goes into an existing text of the client's where there is one: beside it, it could become a message of
   its own.
3. Every edit but a removal only inserts: taking the inserted text out again gives back the client's bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from ltmld.wire.json_text import Edit, Node, inner, literal, removals
from ltmld.wire.sentinel import GAP


class Place(NamedTuple):
    """Items of the body's list, or some of the content parts of a single one (``None``: all of it)."""

    items: tuple[int, ...] = ()
    parts: tuple[int, ...] | None = None


ELSEWHERE = Place()
"""The place of a system text that has a field of its own: it is no item, and is never taken out."""


def removed(items: Node, places: Sequence[Place], drop: Collection[int]) -> list[Edit]:
    """Return the edits that take the messages at *drop* out: whole items, where nothing of them stays."""
    gone = [place for index, place in enumerate(places) if index in drop]
    staying = {item for index, place in enumerate(places) if index not in drop for item in place.items}
    whole = frozenset(item for place in gone for item in place.items) - staying
    edits = removals(items, whole)
    for item in staying.intersection(*[{item for place in gone for item in place.items}]):
        content = items.items[item].member("content")
        parts = frozenset(part for place in gone if item in place.items for part in place.parts or ())
        if content is not None and content.items:
            edits += removals(content, parts)
    return edits


def appended(message: Node, block: str, *, part: str) -> Edit:
    """Return the edit that puts *block* after the words of a message; *part* is the type of a part of text."""
    texts = text_nodes(message)
    if texts:
        return after(texts[-1], block)
    content = message.last("content")
    if content is not None and isinstance(content.value, list):
        return part_made(content, block, at=len(content.items), part=part)
    return member_made(message, "content", block)


def prefixed(message: Node, note: str, *, part: str) -> Edit:
    """Return the edit that puts *note* before the words of a message; *part* is the type of a part of text."""
    texts = text_nodes(message)
    if texts:
        return before(texts[0], note)
    content = message.last("content")
    if content is not None and isinstance(content.value, list):
        return part_made(content, note, at=_after_results(content), part=part)
    return member_made(message, "content", note)


def before(text: Node, note: str) -> Edit:
    """Return the edit that puts *note* at the beginning of a string."""
    return Edit(text.start + 1, text.start + 1, inner(note + GAP))


def after(text: Node, block: str) -> Edit:
    """Return the edit that puts *block* at the end of a string, with a gap where the string has words."""
    return Edit(text.end - 1, text.end - 1, inner((GAP if text.value else "") + block))


def member_made(node: Node, name: str, text: str) -> Edit:
    """Return the edit that gives an object the string *text* as *name*, which holds none that counts."""
    void = node.last(name)
    if void is not None:
        # What is there stays where it is: of two members the later counts.
        return Edit(void.end, void.end, f',"{name}":{literal(text)}')
    return Edit(node.start + 1, node.start + 1, f'"{name}":{literal(text)},')


def part_made(content: Node, text: str, *, at: int, part: str) -> Edit:
    """Return the edit that puts a part of text, whose type is *part*, before the part *at* of a list."""
    made = f'{{"type":"{part}","text":{literal(text)}}}'
    if not content.items:
        return Edit(content.end - 1, content.end - 1, made)
    if at < len(content.items):
        return Edit(content.items[at].start, content.items[at].start, made + ",")
    return Edit(content.items[-1].end, content.items[-1].end, "," + made)


def text_nodes(message: Node) -> list[Node]:
    """Return the strings that hold a message's words."""
    content = message.member("content")
    if content is None:
        return []
    if isinstance(content.value, str):
        return [content]
    found = [part.member("text") for part in content.items if is_text(part.value)]
    return [node for node in found if node is not None and isinstance(node.value, str)]


def texts_of(content: Any) -> list[str]:
    """Return the strings that hold a message's words, by the value of its content."""
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    found = [part.get("text") for part in parts if is_text(part)]
    return [text for text in found if isinstance(text, str)]


def is_text(part: Any) -> bool:
    """Tell whether a content part is text, in any dialect's word for it."""
    return isinstance(part, dict) and part.get("type") in ("text", "input_text", "output_text")


def _after_results(content: Node) -> int:
    """Return where the parts after the tool results begin: Anthropic wants those first."""
    results = [index for index, part in enumerate(content.items) if _is_result(part.value)]
    return results[-1] + 1 if results else 0


def _is_result(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "tool_result"
