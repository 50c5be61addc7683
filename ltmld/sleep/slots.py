"""Slots: the attributes of a person that have one value at a time, and how a sentence fills them.

Only a sentence that both is filed under the attribute and states its value plainly fills a slot: "Ana's home
has a garden" does not, "Ana used to live in Rome" does not. Few slots, few false contradictions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ltmld.core.memory import Memory, MemoryKind
from ltmld.sleep.words import content, hedged, negated, plain, word_set

CHARS_MAX = 2_000
"""A longer text is no plain statement of one value."""

_VALUE = r"(?P<v>[^.;!?()]{1,60}?)(?=[.;!?()]|,| and | since | with | because | but | where |$)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One single-valued attribute: the names it goes by, and the sentence that states its value."""

    attributes: frozenset[str]
    statement: re.Pattern[str]


def _slot(attributes: str, statement: str) -> Slot:
    return Slot(attributes=word_set(attributes), statement=re.compile(statement))


SLOTS: Mapping[str, Slot] = {
    "home": _slot(
        "home residence lives_in location city address hometown_now living_place current_home",
        rf"\b(?:(?:lives?|living|resides?|residing|based)(?: now| currently)? (?:in|at)"
        rf"|(?:moved|relocated)(?: from [^.;!?]{{1,60}}?)? to) {_VALUE}",
    ),
    "occupation": _slot("occupation job profession work career trade", rf"\bworks? as (?:an? )?{_VALUE}"),
    "employer": _slot("employer workplace company job work", rf"\bworks? (?:at|for) {_VALUE}"),
    "name": _slot("name full_name first_name", rf"\bname is {_VALUE}"),
    "birthday": _slot("birthday birth_date date_of_birth", rf"\bbirthday is (?:on )?{_VALUE}"),
    "age": _slot("age", r"\bis (?P<v>\d{1,3}) years old\b"),
    "relationship_status": _slot(
        "relationship_status marital_status status", r"\bis (?P<v>single|married|divorced|engaged|widowed)\b"
    ),
    "phone": _slot("phone phone_number", rf"\bphone number is {_VALUE}"),
    "email": _slot("email email_address", r"\bemail(?: address)? is (?P<v>[^\s@]{1,64}@[^\s@]{1,255}?)\.?$"),
}

_FAVORITE = re.compile(rf"\bfavou?rite (?P<n>[a-z ]{{2,30}}?) is {_VALUE}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A slot of a subject, and the words that fill it (stems, for comparison)."""

    subject: str
    slot: str
    value: frozenset[str]


def filled(memory: Memory) -> Filled | None:
    """Return the slot that *memory* fills, or ``None``."""
    if len(memory.text) > CHARS_MAX:
        return None
    text = plain(memory.text)
    if memory.kind in (MemoryKind.PLAN, MemoryKind.LESSON) or negated(text) or hedged(text):
        return None
    for name, slot in SLOTS.items():
        if memory.attribute in slot.attributes and (found := slot.statement.search(text)):
            return _filled(memory, name, found["v"])
    favorite = _FAVORITE.search(text)
    if favorite and memory.attribute.startswith("favo"):
        return _filled(memory, f"favorite {favorite['n']}", favorite["v"])
    return None


def _filled(memory: Memory, slot: str, value: str) -> Filled | None:
    words = content(value)
    return Filled(subject=plain(memory.subject), slot=slot, value=words) if words else None
