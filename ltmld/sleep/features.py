"""Measure one message for the gate: cheap features between 0 and 1, no model, no disk.

Rules:
1. What a message costs is bounded: its beginning is measured, and no pattern takes longer than its text is long
   (a regular expression holds the interpreter, and with it the data plane, until it is done).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ltmld.sleep.words import CALENDAR, names, numbers, plain, word_set, words

CHARS_MAX = 16_384
"""How much of a message is looked at; what nobody would read to its end is judged by its beginning."""

_FIRST_PERSON = word_set("i i'm i've i'd i'll my mine me we we're we've our ours us myself")
_OPENER = re.compile(r"^(thanks?( you)?|thank you|hi|hello|hey|good (morning|evening|night)|bye|goodbye)\b")

# Words of messages that keep a conversation going and say nothing.
_PHATIC = word_set(
    "ok okay k yes yep yeah yup no nope sure thanks thank thx ty you so much very a lot hi hello hey there good "
    "morning evening night afternoon bye goodbye later see ya cool great nice awesome wow lol haha perfect fine "
    "right got it please welcome cheers np indeed totally absolutely that's sounds talk to soon really how are "
    "is going well help continue go on again more i'm glad happy love do and for the your day have next time"
)
_CODE_LINE = re.compile(
    r"^(def |class |import |from \w+ import|return\b|if \(|for \(|while \(|function |const |let |var |public "
    r"|private |#include|<\/?\w[^>]*>$|[{}()\[\];]+$|.*[;{]$|\$ |>>> |at \w+(\.\w+)+\(|Traceback)"
)
_BOILERPLATE = re.compile(
    r"(^#{2,} ?task\b|<chat_history>|<environment_details>|as an ai (language )?model|you are a helpful assistant"
    r"|json format:|let me know if you (have|need)|here(?:'s| is) (?:a|an|the) (?:summary|list|example|breakdown)"
    r"|begin quote|lorem ipsum|^[ \t]*\[?(debug|info|warn(ing)?|error)\]?[ :])",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What the gate knows of one message; every value between 0 and 1."""

    novelty: float
    self_reference: float
    specificity: float
    length: float
    question: float
    repetition: float
    phatic: float
    boilerplate: float
    code: float
    machine: float


def measure(text: str, *, nearest: float, repeated: bool, person: bool) -> Features:
    """Return the features of *text*.

    ``nearest`` is the cosine of the nearest memory (0 without any), ``repeated`` whether the same words
    were met before tonight, ``person`` whether a person said it. Only the first ``CHARS_MAX`` characters are measured.
    """
    text = text[:CHARS_MAX]
    spoken = words(text)
    count = len(spoken)
    return Features(
        # Below a cosine of 0.5 MiniLM's nearest sentence is about something else: all new.
        novelty=1.0 - min(1.0, max(0.0, (nearest - 0.5) / 0.5)),
        self_reference=min(1.0, sum(word in _FIRST_PERSON for word in spoken) / 2.0),
        specificity=_specificity(text, spoken),
        length=min(1.0, count / 15.0),
        question=_asking(text, spoken),
        repetition=float(repeated or _loops(spoken)),
        phatic=_phatic(spoken),
        boilerplate=float(
            _BOILERPLATE.search(plain(text)) is not None or _BOILERPLATE.search(text.lower()) is not None
        ),
        code=_code(text),
        machine=float(not person),
    )


def _specificity(text: str, spoken: list[str]) -> float:
    dated = sum(word in CALENDAR or word in ("yesterday", "tomorrow", "ago") for word in spoken)
    return min(1.0, (len(numbers(text)) + len(names(text)) + dated) / 3.0)


def _asking(text: str, spoken: list[str]) -> float:
    """Return the share of sentences that ask and say nothing of the speaker."""
    parts = [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]
    if not parts or not spoken:
        return 0.0
    asking = sum(1 for part in parts if part.endswith("?") and not _FIRST_PERSON.intersection(words(part)))
    return asking / len(parts)


def _phatic(spoken: list[str]) -> float:
    if not spoken:
        return 1.0
    if len(spoken) > 12:
        return 0.0
    share = sum(word in _PHATIC for word in spoken) / len(spoken)
    opener = _OPENER.match(" ".join(spoken)) is not None and len(spoken) <= 4
    return 1.0 if opener else max(0.0, (share - 0.5) * 2.0)


def _loops(spoken: list[str]) -> bool:
    """Tell whether a long text goes round in circles: few of its word triples are different."""
    if len(spoken) < 30:
        return False
    triples = list(zip(spoken, spoken[1:], spoken[2:], strict=False))
    return len(set(triples)) < 0.5 * len(triples)


def _code(text: str) -> float:
    lines = [bare for line in text.splitlines() if (bare := line.strip())]
    fences = re.finditer(r"```.*?(?:```|\Z)", text, flags=re.DOTALL)
    fenced = sum(fence.end() - fence.start() for fence in fences) / max(1, len(text))
    marked = sum(_CODE_LINE.match(line) is not None for line in lines) / max(1, len(lines))
    return max(float(fenced), float(marked) if len(lines) >= 3 else 0.0)
