"""The story of ``ltmld demo``: what Mara says, what she asks later, and what a careful model would note down.

The words are our own. The facts play the extraction model, each found by its quote in the conversation.
"""

from __future__ import annotations

from typing import Any

FIRST_DAY = (
    "Hi, I'm Mara. I design bridges for a living, in Porto.",
    "My dog Bruno is nine now. He hides under my desk whenever there is thunder.",
    "One thing for later: I'm allergic to peanuts, so no satay for me, please.",
)

QUESTION = "I am hungry. What food am I allergic to?"

# A word of the right answer that the question does not hold.
EXPECTED = "peanuts"


def _fact(text: str, kind: str, attribute: str, importance: float, quote: str, cue: str) -> dict[str, Any]:
    """Return one line of a facts file."""
    return {
        "text": text,
        "kind": kind,
        "subject": "Mara",
        "attribute": attribute,
        "when": None,
        "importance": importance,
        "quote": quote,
        "cues": [cue],
    }


FACTS = (
    _fact(
        "Mara designs bridges in Porto.",
        "fact",
        "occupation",
        0.8,
        "I design bridges for a living, in Porto",
        "What does Mara do for a living?",
    ),
    _fact(
        "Mara's dog Bruno is nine and hides under her desk when there is thunder.",
        "fact",
        "pet",
        0.7,
        "My dog Bruno is nine now. He hides under my desk whenever there is thunder",
        "What is Mara's dog called?",
    ),
    _fact(
        "Mara is allergic to peanuts.",
        "fact",
        "allergy",
        0.95,
        "I'm allergic to peanuts",
        "What food is Mara allergic to?",
    ),
)
