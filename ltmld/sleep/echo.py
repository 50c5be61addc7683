"""Tell an answer that only repeats what the model was reminded of from one that says something.

A memory is put into a prompt, the model says it back in words of its own, the night reads the answer: without a
guard each night would learn each memory once more (668 copies of one hallucination came of such a loop elsewhere;
mem0 issue 4573).

Rules:
1. Only claims that stand on the model's own words can be echoes; what a person says is evidence, whoever said it first.
2. A claim with a name or a number that the model was not given says something, and is none.
3. In doubt it is an echo: what the model was told in one conversation, its person has said in another. A claim
   about the person is held against what the person says in this one, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ltmld.sleep.candidate import Candidate
from ltmld.sleep.words import content, names, numbers, plain, words

ECHO = "the model only repeats what it was reminded of"

SHARE_MIN = 0.34
"""Share of a claim's words that the model was given, from which a claim of nobody in particular is an echo."""

# A four-legged friend counts nothing.
_COMPOUND = re.compile(r"\b[a-z]+-(?=[a-z])", re.IGNORECASE)

# Who a claim is about when it is about the person that the model talks to, and names that stand for roles.
_PERSON = frozenset({"", "user", "the user", "you"})
_ROLES = frozenset({"user", "assistant", "ai", "the"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the model had before it: lines of memory that it was *given*, and what people *said* in the thread."""

    given: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


def echoes(candidate: Candidate, heard: Heard) -> bool:
    """Tell whether a claim of the model's only repeats what it had heard."""
    about_person = plain(candidate.subject) in _PERSON
    if about_person and not _new(candidate, heard.said):
        return True
    if _new(candidate, heard.given):
        return False
    claimed = content(candidate.text)
    shared = claimed & content(" ".join(heard.given))
    named = names(candidate.text) - _ROLES
    return about_person or bool(named) or len(shared) >= SHARE_MIN * max(len(claimed), 1)


def _new(candidate: Candidate, lines: Sequence[str]) -> bool:
    """Tell whether the claim has a name or a number that the lines have not, or there are no lines."""
    told = " ".join(lines)
    spoken = frozenset(word.removesuffix("'s") for word in words(told))
    named = names(candidate.text) - _ROLES
    counted = numbers(_COMPOUND.sub("", candidate.text))
    return not told or not named <= spoken or not counted <= numbers(told)
