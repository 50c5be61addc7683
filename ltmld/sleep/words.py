"""Look at a sentence the way sleep compares sentences: content words, numbers, names, negation.

Cheap and rule-based on purpose: these are the guards that decide where a cosine cannot (measured:
"allergic / not allergic to peanuts" 0.97, "two / three dogs" 0.94, a true paraphrase 0.79).
"""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*", re.UNICODE)
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
_QUOTES = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u00a0": " "}
)


def word_set(text: str) -> frozenset[str]:
    """Return the words of *text*, a list that is easier to read as prose than as literals."""
    return frozenset(text.split())


# Function words and fillers: they carry no difference in what is believed.
FILLERS = word_set(
    "a an the this that these those i me my mine we us our ours you your yours he him his she her hers it its "
    "they them their theirs who whom whose which what and or but so as at by for from in into of off on onto out "
    "over to up with about than then there here is am are was were be been being do does did done have has had "
    "having user users really very quite just also too so still currently now well oh hey hi wow yeah yes some any "
    "s m re ve ll d t gonna gotta said says tell told"
)

NEGATIONS = word_set(
    "not no never none nobody nothing neither nor cannot without hardly former formerly ex stopped quit lost "
    "used except unlike false"
)
"""Words that turn a sentence round, or put it in the past ("used to", "former")."""

MODALS = word_set(
    "want wants wanted plan plans planned planning hope hopes hoping would could might may should will wish "
    "wishes consider considers considering going maybe perhaps probably thinking dream dreams if"
)
"""Words that make a sentence less than a fact: planning to go is not having gone."""

_COUNTING = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_COUNTING.split())} | {
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "hundred": "100",
    "thousand": "1000",
    "twice": "2",
    "once": "1",
}

CALENDAR = word_set(
    "january february march april may june july august september october november december monday tuesday "
    "wednesday thursday friday saturday sunday jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed "
    "thu fri sat sun"
)
"""Names of months and days: capitalized, and no one's name."""


def plain(text: str) -> str:
    """Return *text* for comparison: one form of quotes and dashes, lower case, single spaces."""
    folded = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    return " ".join(folded.casefold().split())


def words(text: str) -> list[str]:
    """Return the words of *text* in order, as :func:`plain` has them."""
    return _WORD.findall(plain(text))


def sentences(text: str) -> list[str]:
    """Return the sentences of *text*, verbatim, without the space around them."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def stem(word: str) -> str:
    """Return *word* without its commonest English endings; crude, and the same for both sides."""
    bare = word.removesuffix("'s").replace("'", "")
    for ending, least in (("ies", 5), ("ing", 6), ("ed", 5), ("es", 5), ("s", 4)):
        if bare.endswith(ending) and len(bare) >= least and not bare.endswith("ss"):
            bare = bare[: -len(ending)]
            return bare + "y" if ending == "ies" else bare.rstrip("e")
    return bare.rstrip("e") if len(bare) > 3 else bare


def content(text: str) -> frozenset[str]:
    """Return the stems of the words of *text* that carry meaning; numbers as digits."""
    return frozenset(_NUMBER_WORDS.get(word, stem(word)) for word in words(text) if word not in FILLERS)


def numbers(text: str) -> frozenset[str]:
    """Return the numbers of *text* as digits, spelled-out ones up to twenty included."""
    found = set(re.findall(r"\d+(?:[.,:]\d+)*", plain(text)))
    found.update(_NUMBER_WORDS[word] for word in words(text) if word in _NUMBER_WORDS)
    return frozenset(number.rstrip(".,") for number in found)


def negated(text: str) -> bool:
    """Tell whether *text* says an odd number of negations, or speaks of what is over."""
    spoken = words(text)
    count = sum(word in NEGATIONS or word.endswith("n't") for word in spoken)
    return count % 2 == 1


def hedged(text: str) -> bool:
    """Tell whether *text* speaks of a wish, a plan or a possibility."""
    return any(word in MODALS or word.endswith("'ll") for word in words(text))


def names(text: str) -> frozenset[str]:
    """Return the capitalized words of *text* that no rule of spelling asks for, in lower case.

    The first word of a sentence counts only when it is written in capitals twice or more (``LGBTQ``).
    """
    found: set[str] = set()
    for sentence in sentences(text):
        for position, word in enumerate(_WORD.findall(sentence.translate(_QUOTES))):
            bare = word.removesuffix("'s")
            if not bare[:1].isupper() or bare == "I" or bare.startswith("I'"):
                continue
            if position == 0 and not (len(bare) > 1 and bare.isupper()):
                continue
            if bare.casefold() not in CALENDAR:
                found.add(bare.casefold())
    return frozenset(found)
