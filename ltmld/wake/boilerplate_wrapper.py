"""The one element that a client puts around all of a person's words in a message: found where the client writes it.

Rules:
1. A document that stands in the message forges nothing: a wrapper counts at the message's first character, or at its
   last, and never between.
2. What stands outside a wrapper is not the person's.
"""

from __future__ import annotations

import re

from ltmld.wake.boilerplate_marks import Marks

_TOOL = re.compile(r"\[(\w{1,60})")


def wrapped(text: str, marks: Marks) -> str | None:
    """Return what the person wrote into a message that is the client's; ``None`` where the message is the person's."""
    bare = text.strip()
    start = next((start for start in marks.whole if bare.startswith(start)), "")
    if start:
        name = marks.asks.get(start)
        return _first(bare[bare.find(f"\n<{name}>") :], name) or "" if name else ""
    head = next((match for head in marks.heads if (match := head.match(bare))), None)
    if head is not None:
        return _asked(bare, head, marks)
    inside = _last(bare, marks)
    return inside if inside is not None else _before(bare, marks)


def _asked(bare: str, head: re.Match[str], marks: Marks) -> str:
    """Return what stands in the element that the person filled in: right behind the head, or the client's remark."""
    tool = _TOOL.match(bare)
    name = marks.asks.get(tool[1]) if tool else None
    if name is None:
        return ""
    rest = bare[head.end() :].lstrip()
    remark = next((remark for remark in marks.remarks if rest.startswith(remark)), "")
    return _first(rest[len(remark) :], name) or ""


def _first(text: str, name: str) -> str | None:
    """Return the words of an element that begins *text*, up to the first tag that closes it."""
    text = text.lstrip()
    opening, closing = f"<{name}>", f"</{name}>"
    close = text.find(closing) if text.startswith(opening) else -1
    return text[len(opening) : close].strip() if close >= 0 else None


def _before(bare: str, marks: Marks) -> str | None:
    """Return the words of the element that begins a message which the client's own element ends."""
    if not bare.endswith(tuple(f"</{name}>" for name in marks.closing)):
        return None
    return next((inside for name in marks.first if (inside := _first(bare, name)) is not None), None)


def _last(bare: str, marks: Marks) -> str | None:
    """Return the words of the element that ends a message, behind nothing but elements of the client."""
    for name in (*marks.last, *marks.behind):
        if not bare.endswith(f"</{name}>"):
            continue
        opening = f"<{name}>"
        at = bare.rfind("\n" + opening) + 1
        if not bare.startswith(opening, at) or not _behind(bare[:at], name, marks):
            continue
        return _without_tail(bare[at + len(opening) : -len(f"</{name}>")].strip(), marks)
    return None


def _behind(before: str, name: str, marks: Marks) -> bool:
    if not before:
        return name in marks.last
    return before.startswith(tuple(f"<{around}{end}" for around in marks.around for end in " >"))


def _without_tail(words: str, marks: Marks) -> str:
    return next((words.removesuffix(tail).rstrip() for tail in marks.tails if words.endswith(tail)), words)
