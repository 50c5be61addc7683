"""A person's own words: what his client put around them is cut away, by the rules of ``boilerplate.toml``.

Rules:
1. Nothing is added: the words that are left are the client's text, never longer, and the very same object where no
   mark stands in it. What was cut once is not cut again: the words of the words are the same words.
2. Only whole elements count: a person who writes about an opening tag alone keeps every word.
3. Linear in the length of a text, whatever stands in it.
4. A user's message of which nothing is left was the client's own, and no part of the conversation.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from ltmld.core.message import Message, Role

# What stands where something was cut: it can close no mark, and no tag goes over it.
_GAP = "\n\n"
# Any tag that could be one of the rules'; its attributes hold a file's path at most. One look at each "<", and what
# follows it is bounded: a search for all the names would cost ten times as much where people talk of HTML.
_TAG = re.compile(r"<(?P<slash>/?)(?P<name>[A-Za-z][\w-]{3,40})(?:[ \t][^<>\n]{0,1000})?>")
_CLOSING = re.compile(r"</([A-Za-z][\w-]{3,40})>")
# A block of code with a file's name beside the language: ```python src/main.py (1-20)
_FENCE = re.compile(r"\s*```[^\n`]*[\w)\]-][./][\w][^\n`]*\n(?:.*?\n)??```[ \t]*(?:\n|\Z)", re.DOTALL)
# Cutting may bring a mark to the front of a message; after that nothing is left to cut.
_PASSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A text that goes from where it opens to where it closes."""

    opens: str
    closes: re.Pattern[str]
    closes_else: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Everything that is looked for in the messages of one role."""

    names: frozenset[str]
    cut: frozenset[str]
    keep: frozenset[str]
    echo: frozenset[str]
    unclosed: frozenset[str]
    beside: dict[str, frozenset[str]]
    frames: tuple[Frame, ...]
    whole: tuple[str, ...]
    fenced: bool

    @property
    def starts(self) -> tuple[str, ...]:
        """Return how a message begins that needs a closer look."""
        return (*self.whole, "```") if self.fenced else self.whole


class _Tag(NamedTuple):
    start: int
    end: int
    name: str
    opens: bool


class _Span(NamedTuple):
    start: int
    end: int


def turns(messages: Iterable[Message]) -> list[tuple[int, Message]]:
    """Return what belongs to a conversation, in the speakers' own words, each with its place among *messages*."""
    spoken = []
    for index, message in enumerate(messages):
        if message.role in (Role.SYSTEM, Role.DEVELOPER):
            continue
        own = genuine(message)
        if own is message or own.role is not Role.USER or own.text or own.attachments:
            spoken.append((index, own))
    return spoken


def genuine(message: Message) -> Message:
    """Return *message* with nothing but the speaker's own words in it."""
    text = words(message.text, message.role)
    return message if text is message.text else replace(message, text=text)


def words(text: str, role: Role = Role.USER) -> str:
    """Return the part of *text* that its speaker said."""
    marks = _marks().get(role)
    if marks is None or not _marked(text, marks):
        return text
    for _ in range(_PASSES):
        left = _once(text, marks)
        if left == text:
            break
        text = left
    return text


def _marked(text: str, marks: Marks) -> bool:
    """Tell whether there may be something to cut: most messages have nothing, and cost no more than this."""
    if "</" in text and any(match[1] in marks.names for match in _CLOSING.finditer(text)):
        return True
    if any(f"<{name}" in text for name in marks.unclosed):
        return True
    return text.lstrip().startswith(marks.starts)


def _once(text: str, marks: Marks) -> str:
    tags = _tags(text, marks)
    gone: Sequence[_Span] = _frames(text, marks.frames)
    gone = _elements(tags, marks.cut | marks.echo, gone)
    gone = _to_the_end(tags, marks.unclosed, gone, len(text))
    left = _left(text, [*gone, *_pairs(tags, marks.keep, gone)])
    if marks.echo and not left.strip():
        gone = _elements(tags, marks.cut, _frames(text, marks.frames))
        left = _left(text, [*gone, *_pairs(tags, marks.keep | marks.echo, gone)])
    if marks.whole and _left(text, gone).lstrip().startswith(marks.whole):
        left = _inside(text, gone, _pairs(tags, marks.keep, gone))
    return _unfenced(left) if marks.fenced else left


def _tags(text: str, marks: Marks) -> list[_Tag]:
    found = [
        _Tag(match.start(), match.end(), match["name"], not match["slash"])
        for match in _TAG.finditer(text)
        if match["name"] in marks.names
    ]
    names = {tag.name for tag in found}
    return [tag for tag in found if tag.name not in marks.beside or names & marks.beside[tag.name]]


def _frames(text: str, frames: Sequence[Frame]) -> list[_Span]:
    """Return where the frames stand, in order; a frame that does not close is none."""
    spans: list[_Span] = []
    for frame in frames:
        at = 0
        exact = True
        while (start := _line_start(text, frame.opens, at)) >= 0:
            match = frame.closes.search(text, start + len(frame.opens)) if exact else None
            exact = match is not None
            close = match.end() if match else text.find(frame.closes_else, start)
            if close < 0:
                break
            at = close if match else close + len(frame.closes_else)
            spans.append(_Span(start, at))
    return _joined(spans)


def _line_start(text: str, mark: str, at: int) -> int:
    if at == 0 and text.startswith(mark):
        return 0
    found = text.find("\n" + mark, max(at - 1, 0))
    return found + 1 if found >= 0 else -1


def _elements(tags: Sequence[_Tag], names: frozenset[str], gone: Sequence[_Span]) -> list[_Span]:
    """Return *gone* and the elements of these names, each up to the first tag that closes it."""
    closes: dict[str, list[_Tag]] = {name: [] for name in names}
    for tag in reversed(tags):
        if tag.name in names and not tag.opens:
            closes[tag.name].append(tag)
    spans, before = list(gone), iter(gone)
    span, end = next(before, None), 0
    for tag in tags:
        while span is not None and span.start <= tag.start:
            end = max(end, span.end)
            span = next(before, None)
        if tag.start < end or tag.name not in names or not tag.opens:
            continue
        waiting = closes[tag.name]
        while waiting and waiting[-1].start < tag.end:
            waiting.pop()
        if waiting:
            end = waiting[-1].end
            spans.append(_Span(tag.start, end))
    return _joined(spans)


def _to_the_end(
    tags: Sequence[_Tag], names: frozenset[str], gone: Sequence[_Span], length: int
) -> Sequence[_Span]:
    """Return *gone* and what follows the first tag that opens and is never closed."""
    left = [tag for tag in _outside(tags, gone) if tag.opens and tag.name in names] if names else []
    return [*gone, _Span(left[0].start, length)] if left else gone


def _pairs(tags: Sequence[_Tag], names: frozenset[str], gone: Sequence[_Span]) -> list[_Span]:
    """Return the tags of these names that open before one closes, and close after one opens."""
    outside = _outside([tag for tag in tags if tag.name in names], gone)
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for tag in outside:
        if tag.opens:
            first.setdefault(tag.name, tag.start)
        else:
            last[tag.name] = tag.start
    return [
        _Span(tag.start, tag.end)
        for tag in outside
        if (tag.start < last.get(tag.name, -1) if tag.opens else tag.start > first.get(tag.name, tag.start))
    ]


def _outside(tags: Sequence[_Tag], gone: Sequence[_Span]) -> list[_Tag]:
    kept, spans, end = [], iter(gone), 0
    span = next(spans, None)
    for tag in tags:
        while span is not None and span.start <= tag.start:
            end = max(end, span.end)
            span = next(spans, None)
        if tag.start >= end:
            kept.append(tag)
    return kept


def _joined(spans: Iterable[_Span]) -> list[_Span]:
    """Return spans in order, those that overlap as one."""
    joined: list[_Span] = []
    for span in sorted(spans):
        if joined and span.start < joined[-1].end:
            joined[-1] = _Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


def _left(text: str, gone: Iterable[_Span]) -> str:
    """Return what stands outside the spans; the very same text where there are none."""
    spans = _joined(gone)
    if not spans:
        return text
    pieces, at = [], 0
    for span in spans:
        pieces.append(text[at : span.start])
        at = span.end
    return _GAP.join(piece for piece in map(str.strip, (*pieces, text[at:])) if piece)


def _inside(text: str, gone: Sequence[_Span], pairs: Sequence[_Span]) -> str:
    """Return what stands between the first and the last of the kept tags."""
    if not pairs:
        return ""
    outer = [_Span(0, pairs[0].start), _Span(pairs[-1].end, len(text))]
    return _left(text, [*outer, *gone, *pairs])


def _unfenced(text: str) -> str:
    at = 0
    while match := _FENCE.match(text, at):
        at = match.end()
    rest = text[at:].strip()
    return rest if at and rest else text


@cache
def _marks() -> dict[Role, Marks]:
    tree = tomllib.loads(resources.files("ltmld.wake").joinpath("boilerplate.toml").read_text("utf-8"))
    rules: list[dict[str, Any]] = tree["boilerplate"]
    return {
        role: _of([rule for rule in rules if role.value in rule.get("roles", ["user"])])
        for role in (Role.USER, Role.ASSISTANT, Role.TOOL)
    }


def _of(rules: Sequence[dict[str, Any]]) -> Marks:
    def all_of(key: str) -> list[str]:
        return [text for rule in rules for text in rule.get(key, [])]

    def tags(rule: dict[str, Any]) -> list[str]:
        return [name for key in ("cut", "keep", "echo") for name in rule.get(key, [])]

    free = {name for rule in rules if "beside" not in rule for name in tags(rule)}
    beside: dict[str, frozenset[str]] = {}
    for rule in rules:
        for name in tags(rule):
            if name not in free:
                beside[name] = beside.get(name, frozenset()) | frozenset(rule["beside"])
    named = {name for key in ("cut", "keep", "echo", "beside", "unclosed") for name in all_of(key)}
    framed = {rule["closes"].strip("</>") for rule in rules if "closes" in rule}
    return Marks(
        names=frozenset(named | framed),
        cut=frozenset(all_of("cut")),
        keep=frozenset(all_of("keep")),
        echo=frozenset(all_of("echo")),
        unclosed=frozenset(all_of("unclosed")),
        beside=beside,
        frames=tuple(_frame(rule) for rule in rules if "opens" in rule),
        whole=tuple(all_of("whole")),
        fenced=any(rule.get("fenced") for rule in rules),
    )


def _frame(rule: dict[str, Any]) -> Frame:
    return Frame(
        opens=rule["opens"],
        closes=re.compile(re.escape(rule["after"]) + r"\s*" + re.escape(rule["closes"])),
        closes_else=rule["closes"],
    )
