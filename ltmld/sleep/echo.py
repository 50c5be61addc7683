"""Tell an answer that only repeats what the model was reminded of from one that says something.

A memory is put into a prompt, the model says it back in words of its own, the night reads the answer: without a
guard each night would learn each memory once more (668 copies of one hallucination came of such a loop elsewhere;
mem0 issue 4573).

Rules:
1. Only claims that stand on the model's own words can be echoes; what a person says is evidence, whoever said it first.
2. A claim with a name or a number that the model was not given says something, and is none.
3. In doubt it is an echo: what the model was told in one conversation, its person has said in another.
"""

from __future__ import annotations

from collections.abc import Sequence

from ltmld.sleep.candidate import Candidate
from ltmld.sleep.words import content, names, numbers, plain, words

ECHO = "the model only repeats what it was reminded of"

SHARE_MIN = 0.34
"""Share of a claim's words that the model was given, from which a claim of nobody in particular is an echo."""

# Who a claim is about when it is about the person that the model talks to, and names that stand for roles.
_PERSON = frozenset({"", "user", "the user", "you"})
_ROLES = frozenset({"user", "assistant", "ai", "the"})


def echoes(candidate: Candidate, given: Sequence[str]) -> bool:
    """Tell whether *candidate* only repeats the lines *given* to the model in that exchange."""
    if candidate.personal or not given:
        return False
    told = " ".join(given)
    heard = frozenset(word.removesuffix("'s") for word in words(told))
    named = names(candidate.text) - _ROLES
    if not named <= heard or not numbers(candidate.text) <= numbers(told):
        return False
    claimed = content(candidate.text)
    shared = claimed & content(told)
    about_person = plain(candidate.subject) in _PERSON
    return about_person or bool(named) or len(shared) >= SHARE_MIN * max(len(claimed), 1)
