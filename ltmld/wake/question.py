"""Read a question: whom it names, what it says of time, whether it asks for the model's own words."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from ltmld.wake.dates import TimeHint, time_hint

# "What did you recommend?" asks for the model's own words; "Can you recommend ..." does not.
_ASKS_BACK = re.compile(
    r"\b(?:did you|have you|had you|you(?:'ve|'d| have| had)? (?:just |previously |earlier |once |also )?"
    r"(?:said|told|suggested|recommended|mentioned|gave|given|advised|explained|listed|wrote|proposed|provided)|"
    r"your (?:suggestion|recommendation|advice|answer|reply|list|explanation|last|previous|earlier)\w*)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One text to recall for; ``bare`` is the text without people's names, ``person`` the only one named."""

    text: str
    bare: str
    person: str
    time: TimeHint
    asks_back: bool


def read_question(text: str, *, names: AbstractSet[str], now: datetime) -> Question:
    """Read *text*, asked *now* in a scope whose people have these *names*."""
    named = {name for name in names if re.search(_pattern(name), text)}
    return Question(
        text=text,
        bare=_without(text, named),
        person=next(iter(named)) if len(named) == 1 else "",
        time=time_hint(text, now=now),
        asks_back=_ASKS_BACK.search(text) is not None,
    )


def _without(text: str, named: AbstractSet[str]) -> str:
    bare = text
    for name in sorted(named, key=len, reverse=True):
        bare = re.sub(_pattern(name) + r"(?:['’]s)?", " ", bare)  # noqa: RUF001 - people type both
    bare = " ".join(bare.split()).strip(" ,")
    return bare if re.search(r"\w", bare) else text


def _pattern(name: str) -> str:
    return rf"(?<!\w){re.escape(name)}(?!\w)"
