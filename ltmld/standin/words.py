"""Words and sentences, cut and compared as simply as a stand-in may."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_ENDINGS = ("ings", "ing", "edly", "ed", "ies", "es", "s", "ly", "e", "y")
_STOP = frozenset(
    _WORD.findall(
        """a about after again all also am an and any are as at be because been before but by can could did do does for
    from had has have he her here him his how i i'm i've if in into is it it's its just know let like me more most my
    no not now of on one or our out please remember said say she should so some tell than that that's the their them
    then there these they this those to told too up us user user's was we well were what what's when where which who
    whom whose why will with would you your"""
    )
)


def stems(text: str) -> frozenset[str]:
    """Return the words of *text* that carry meaning, without their endings."""
    words = (word.lower().replace("\u2019", "'").removesuffix("'s") for word in _WORD.findall(text))
    return frozenset(_stem(word) for word in words if word not in _STOP)


def sentences(text: str) -> list[str]:
    """Return the sentences and lines of *text*, trimmed."""
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def flat(text: str) -> str:
    """Return *text* for comparing: lower case, single spaces, plain quotes."""
    plain = text.replace("\u2019", "'").replace("\u2018", "'").replace("\u201c", '"').replace("\u201d", '"')
    return " ".join(plain.casefold().split())


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word
