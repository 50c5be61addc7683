"""Tell whether a message of earlier says anything that the question does not: what says nothing is never injected.

Rules:
1. Greetings, thanks and the like say nothing, however well they match another greeting.
2. What only repeats the question's own words says nothing: its answer does.
3. A single letter, or a run of letters that no language has as a word (``xxxx...``), is not one.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ltmld.index.words import STOP_WORDS

# Longer than the longest words of dictionaries; scripts without spaces between words are not ASCII.
_WORD_CHARACTERS_MAX = 45
_WORD = re.compile(r"[^\W_]+")

SMALL_TALK = frozenset(
    """hi hello hey hiya yo howdy greetings morning afternoon evening night welcome bye goodbye cya
    ok okay okey yes yeah yep yup no nope sure fine great cool nice good thanks thank thx ty cheers please
    sorry lol haha hmm hm um uh oh ah wow test testing ping""".split()  # noqa: SIM905 - a list would be a page
)


def has_news(text: str, question: str) -> bool:
    """Return whether *text* holds a word that counts and that *question* does not hold."""
    return bool(_telling(text) - _asked(question))


# One question is held against a few hundred messages, and may be a pasted document.
@lru_cache(maxsize=8)
def _asked(question: str) -> frozenset[str]:
    return frozenset(_telling(question))


def _telling(text: str) -> set[str]:
    return {
        word
        for word in _WORD.findall(text.casefold())
        if word not in STOP_WORDS
        and word not in SMALL_TALK
        and not (word.isascii() and not 1 < len(word) <= _WORD_CHARACTERS_MAX and not word.isdigit())
    }
