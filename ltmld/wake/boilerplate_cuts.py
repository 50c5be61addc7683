"""Where the client's own stands in a text: elements, frames of documents, blocks of code that are files.

Rules:
1. Linear in the length of the text, whatever stands in it: each scan begins where the last one ended.
2. In a person's message an element goes from the first tag that opens it to the last that closes it: what stands
   between two elements of one name may be a document that closed its own and opened another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ltmld.wake.boilerplate_marks import Frame, Marks

# What stands where something was cut: it can close no mark, and no tag goes over it.
GAP = "\n\n"
# Any tag that could be one of the rules'; its attributes hold a file's path at most. One look at each "<", and what
# follows it is bounded: a search for all the names would cost ten times as much where people talk of HTML.
_TAG = re.compile(r"<(?P<slash>/?)(?P<name>[A-Za-z][\w-]{3,40})(?P<given>[ \t][^<>\n]{0,1000})?>")
_CLOSING = re.compile(r"</([A-Za-z][\w-]{3,40})>")
# A block of code with a file's name beside the language: ```python src/main.py (1-20)
_FILE_NAME = re.compile(r"[\w)\]-][./]\w")
_FENCE_END = re.compile(r"^```[ \t]*$", re.MULTILINE)


class Tag(NamedTuple):
    """One tag of the rules."""

    start: int
    end: int
    name: str
    opens: bool


class Span(NamedTuple):
    """A part of a text."""

    start: int
    end: int


def marked(text: str, marks: Marks) -> bool:
    """Tell whether there may be something to cut: most messages have nothing, and cost no more than this."""
    if "</" in text and any(match[1] in marks.names for match in _CLOSING.finditer(text)):
        return True
    if any(f"<{name}" in text for name in marks.unclosed):
        return True
    return text.lstrip().startswith(marks.starts)


def is_element(part: str, marks: Marks) -> bool:
    """Tell whether a part of a message is one element of the client's, or a line of its own."""
    part = part.strip()
    if part in marks.lines:
        return True
    tag = _TAG.match(part)
    return (
        tag is not None
        and not tag["slash"]
        and tag["name"] in marks.cut
        and tag["name"] not in marks.beside
        and part.endswith(f"</{tag['name']}>")
    )


def tags_of(text: str, marks: Marks) -> list[Tag]:
    """Return the tags of the rules that count, in order."""
    found: list[Tag] = []
    end = 0
    for match in _TAG.finditer(text):
        name, opens = match["name"], not match["slash"]
        if name not in marks.names or (opens and not match["given"] and name in marks.given):
            continue
        if opens and marks.persons and not _begins_a_line(text, match.start(), end):
            continue
        end = match.end()
        found.append(Tag(match.start(), end, name, opens))
    names = {tag.name for tag in found if tag.opens}
    return [tag for tag in found if tag.name not in marks.beside or names & marks.beside[tag.name]]


def _begins_a_line(text: str, start: int, end: int) -> bool:
    """Tell whether nothing but blanks stands between *start* and the line's beginning, or the last tag's *end*."""
    while start > end and text[start - 1] in " \t":
        start -= 1
    return start in (0, end) or text[start - 1] == "\n"


def frames_of(text: str, frames: Sequence[Frame]) -> list[Span]:
    """Return where the frames stand; a frame that does not close is none."""
    return [
        Span(start, end)
        for frame in frames
        if (start := _line_start(text, frame.opens)) >= 0 and (end := _frame_end(text, frame, start)) >= 0
    ]


def _frame_end(text: str, frame: Frame, start: int) -> int:
    """Return where the documents end, at the latest place where they may: -1 when they do not.

    The first tag that opens them is the client's, and so is the last that closes them, for a document stands between
    them. Where the documents are whole sources, only a tag behind the end of a source closes them.
    """
    opening = text.find(frame.within, start)
    if opening >= 0 and frame.sources.match(text, opening + len(frame.within)):
        end = -1
        for match in frame.sources_end.finditer(text, opening):
            end = match.end()
        if end >= 0:
            return end
    close = text.rfind(frame.closes, start)
    return close + len(frame.closes) if close >= 0 else -1


def _line_start(text: str, mark: str) -> int:
    if text.startswith(mark):
        return 0
    found = text.find("\n" + mark)
    return found + 1 if found >= 0 else -1


def elements(tags: Sequence[Tag], names: frozenset[str], marks: Marks) -> list[Span]:
    """Return where the elements of these names stand."""
    return _outermost(tags, names) if marks.persons else _nearest(tags, names)


def _outermost(tags: Sequence[Tag], names: frozenset[str]) -> list[Span]:
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for tag in tags:
        if tag.name in names and tag.opens:
            first.setdefault(tag.name, tag.start)
        elif tag.name in first:
            last[tag.name] = tag.end
    return [Span(first[name], end) for name, end in last.items()]


def _nearest(tags: Sequence[Tag], names: frozenset[str]) -> list[Span]:
    """Return the elements up to the first tag that closes each; one inside another is no other."""
    closes: dict[str, list[Tag]] = {name: [] for name in names}
    for tag in reversed(tags):
        if tag.name in names and not tag.opens:
            closes[tag.name].append(tag)
    spans, end = [], 0
    for tag in tags:
        if tag.start < end or tag.name not in names or not tag.opens:
            continue
        waiting = closes[tag.name]
        while waiting and waiting[-1].start < tag.end:
            waiting.pop()
        if waiting:
            end = waiting[-1].end
            spans.append(Span(tag.start, end))
    return spans


def to_the_end(tags: Sequence[Tag], names: frozenset[str], gone: Sequence[Span], length: int) -> list[Span]:
    """Return what follows the first tag outside *gone* that opens and is never closed."""
    left = [tag for tag in outside(tags, gone) if tag.opens and tag.name in names] if names else []
    return [Span(left[0].start, length)] if left else []


def pairs(tags: Sequence[Tag], names: frozenset[str], gone: Sequence[Span]) -> list[Span]:
    """Return the tags of these names that open before one closes, and close after one opens."""
    standing = outside([tag for tag in tags if tag.name in names], gone)
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for tag in standing:
        if tag.opens:
            first.setdefault(tag.name, tag.start)
        else:
            last[tag.name] = tag.start
    return [
        Span(tag.start, tag.end)
        for tag in standing
        if (tag.start < last.get(tag.name, -1) if tag.opens else tag.start > first.get(tag.name, tag.start))
    ]


def outside(tags: Sequence[Tag], gone: Sequence[Span]) -> list[Tag]:
    """Return the tags that begin in none of the spans."""
    kept, spans, end = [], iter(sorted(gone)), 0
    span = next(spans, None)
    for tag in tags:
        while span is not None and span.start <= tag.start:
            end = max(end, span.end)
            span = next(spans, None)
        if tag.start >= end:
            kept.append(tag)
    return kept


def left(text: str, gone: Iterable[Span]) -> str:
    """Return what stands outside the spans; the very same text where there are none."""
    pieces, at = [], 0
    for span in sorted(gone):
        pieces.append(text[at : span.start])
        at = max(at, span.end)
    if not pieces:
        return text
    return GAP.join(piece for piece in map(str.strip, (*pieces, text[at:])) if piece)


def unfenced(text: str) -> str:
    """Return what follows leading blocks of code that are files, where something does.

    A file may hold blocks of its own, and a line that closes one: the last such line is the files' end.
    """
    bare = text.lstrip()
    head = bare.partition("\n")[0]
    if not head.startswith("```") or "`" in head[3:] or not _FILE_NAME.search(head):
        return text
    end = -1
    for match in _FENCE_END.finditer(bare, len(head)):
        end = match.end()
    return bare[end:].strip() or text if end >= 0 else text
