"""A person's own words: what his client put around them is cut away, by the rules of ``boilerplate.toml``.

Rules:
1. Nothing is added: the words that are left are the client's text, never longer, and the very same object where no
   mark stands in it. What was cut once is not cut again: the words of the words are the same words.
2. Only whole elements count: a person who writes about an opening tag alone keeps every word.
3. Linear in the length of a text, whatever stands in it.
4. A user's message of which nothing is left was the client's own, and no part of the conversation.
5. What is not surely the person's is not: a document may forge every mark, so that of a message with documents in it
   only what stands where no document can is learned.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ltmld.core.message import Message, Role
from ltmld.wake import boilerplate_cuts as cuts
from ltmld.wake.boilerplate_cache import CutTexts
from ltmld.wake.boilerplate_marks import Marks, marks_of
from ltmld.wake.boilerplate_wrapper import wrapped

# Cutting may bring a mark to the front of a message, three deep at most where a client wrote it.
_PASSES = 5
_cut_before = CutTexts()


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
    text = _said_in_parts(message) if len(message.parts) > 1 else words(message.text, message.role)
    return message if text is message.text else replace(message, text=text, parts=())


def words(text: str, role: Role = Role.USER) -> str:
    """Return the part of *text* that its speaker said."""
    marks = marks_of(role)
    if marks is None or not cuts.marked(text, marks):
        return text
    if role is not Role.USER:
        return _cut(text, marks)
    left = _cut_before.left_of(text, lambda text: _cut(text, marks))
    return text if left == text else left


def handed(text: str) -> str | None:
    """Return what a person wrote into the one element that a client put around it, ``None`` when there is none."""
    marks = marks_of(Role.USER)
    inside = wrapped(text, marks) if marks is not None and cuts.marked(text, marks) else None
    return None if inside is None else words(inside)


def _cut(text: str, marks: Marks) -> str:
    for _ in range(_PASSES):
        left = _once(text, marks)
        if left == text:
            return text
        text = left
    return ""  # no client writes so many marks one inside the other


def _said_in_parts(message: Message) -> str:
    """Return the words of a message that came in parts: a part that is an element of the client's holds no others.

    So a reminder before the words and one behind them are known to be two, whatever stands in them.
    """
    marks = marks_of(message.role)
    if message.role is not Role.USER or marks is None:
        return words(message.text, message.role)
    inside = handed(cuts.GAP.join(message.parts))
    if inside is not None:
        return inside
    kept = [part for part in message.parts if not cuts.is_element(part, marks)]
    # A dialect joins parts with an empty line or with nothing; tags are looked for where a part begins.
    apart = cuts.GAP.join(kept)
    left = words(apart)
    if left != apart:
        return left
    if len(kept) == len(message.parts):
        return message.text
    joined = "" if sum(map(len, message.parts)) >= len(message.text) else cuts.GAP
    return joined.join(kept).strip()


def _once(text: str, marks: Marks) -> str:
    inside = wrapped(text, marks)
    if inside is not None:
        return inside
    text = _without_lines(text, marks)
    frames = cuts.frames_of(text, marks.frames)
    tags = cuts.tags_of(text, marks)
    gone = [*frames, *cuts.elements(tags, marks.cut, marks), *_alone(text, tags, marks)]
    gone += cuts.to_the_end(tags, marks.unclosed, gone, len(text))
    left = cuts.left(text, [*gone, *cuts.pairs(tags, marks.keep, gone)])
    if frames:
        left = _unechoed(left, marks)
    return cuts.unfenced(left) if marks.fenced else left


def _without_lines(text: str, marks: Marks) -> str:
    line, _, rest = text.lstrip().partition("\n")
    return rest.strip() if line.rstrip() in marks.lines else text


def _alone(text: str, tags: list[cuts.Tag], marks: Marks) -> list[cuts.Span]:
    """Return the elements that begin the message with a line of their own."""
    if not tags or tags[0].name not in marks.alone or text[: tags[0].start].strip():
        return []
    opened = text.startswith("\n", tags[0].end)
    return cuts.elements(tags, frozenset({tags[0].name}), marks) if opened else []


def _unechoed(text: str, marks: Marks) -> str:
    """Return *text* without the element that says again what stands beside it, or with its words where nothing does."""
    tags = cuts.tags_of(text, marks)
    rest = cuts.left(text, cuts.elements(tags, marks.echo, marks))
    return rest if rest.strip() else cuts.left(text, cuts.pairs(tags, marks.echo, ()))
