"""What was said while memory was paused, in a conversation that goes on afterwards: it is never recorded as history.

Rules:
1. An aside is a user's message and everything up to the next one: the answer to it was off the record too.
2. The newest message is no aside, whatever was said before: these words are said now, with memory on.
3. Asides are left out before anything is looked for: the conversation goes on as if they had not been said, whether
   its client resends all of it or a window. So an aside is known by its chain, by its words and those before it,
   and at the front of what is sent, where nothing stands before it, by its words.
4. What the ledger has, with all that leads to it, was said on the record.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from ltmld.core.chain import chains, normalized
from ltmld.core.exchange import PathMessage
from ltmld.core.message import Role

if TYPE_CHECKING:
    from ltmld.ledger.pauses import Pauses


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRecord:
    """A path without what was said aside.

    ``marks`` are those of the newest message, which is ``again`` an aside's; ``thread_id`` is the conversation of the
    asides that were sent before anything else.
    """

    path: tuple[PathMessage, ...]
    marks: tuple[str, ...] = ()
    again: bool = False
    cut: bool = False
    thread_id: str = ""


def on_record(path: tuple[PathMessage, ...], pauses: Pauses, scope: str, *, newest: int = 1) -> OnRecord:
    """Return *path* as it is to be placed; the *newest* messages of the user are said now."""
    said = [place for place, item in enumerate(path) if item.message.role is Role.USER]
    if not said:
        return OnRecord(path=path)
    last = said[-1]
    marks = (path[last].chain, _pair(path, last), _words(path[last]))
    if not pauses.knows_asides(scope):
        return OnRecord(path=path, marks=marks)
    telling = {place: _telling(path, place) for place in said}
    known = pauses.asides(scope, [mark for its in telling.values() for mark in its])
    told = {place: known[mark] for place, its in telling.items() for mark in its if mark in known}
    again = last in told
    told = {place: thread_id for place, thread_id in told.items() if place not in said[-newest:]}
    recorded = pauses.recorded(scope, [path[place].chain for place in told])
    told = {place: thread_id for place, thread_id in told.items() if path[place].chain not in recorded}
    left = _without(path, told)
    front = said[0] in told and said[0] == 0
    return OnRecord(
        path=_chained(left) if told else path,
        marks=marks,
        again=again,
        cut=front,
        thread_id=told[max(told)] if front else "",
    )


def _telling(path: Sequence[PathMessage], place: int) -> tuple[str, ...]:
    """Return the marks by which a message at this place is known."""
    return path[place].chain, _pair(path, place) if place else _words(path[place])


def _pair(path: Sequence[PathMessage], place: int) -> str:
    before = normalized(path[place - 1].message.text) if place else ""
    return _hash(f"{before}\x1f{normalized(path[place].message.text)}")


def _words(item: PathMessage) -> str:
    return _hash(normalized(item.message.text))


def _hash(text: str) -> str:
    return sha256(f"aside\x1f{text}".encode("utf-8", "surrogatepass")).hexdigest()


def _without(path: tuple[PathMessage, ...], asides: Collection[int]) -> list[PathMessage]:
    """Return *path* without the messages at these places, and without the answers to them."""
    kept, aside = [], False
    for place, item in enumerate(path):
        if item.message.role is Role.USER:
            aside = place in asides
        if not aside:
            kept.append(item)
    return kept


def _chained(path: Sequence[PathMessage]) -> tuple[PathMessage, ...]:
    hashes = chains(item.message for item in path)
    return tuple(replace(item, chain=chain) for item, chain in zip(path, hashes, strict=True))
