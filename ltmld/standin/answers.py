"""Answer from what the prompt holds, and from nothing else: no model, no knowledge, no memory of its own.

Rules:
1. A question is answered with the sentence of the prompt that shares most words with it, or with ``UNKNOWN``.
2. The user's last words themselves, and other questions, are no answer.
3. The same prompt gives the same answer.
4. A tool's result is the answer where it stands last.
"""

from __future__ import annotations

import re

from ltmld.standin.conversation import Conversation
from ltmld.standin.words import sentences, stems
from ltmld.wire.sentinel import CLOSE, OPEN, strip

UNKNOWN = "I do not know that yet."
NOTED = "Thank you, noted."

# "- [2026-05-07] Ann: " before the words of a recalled line.
_MARKS = re.compile(
    r"^[\s*\u2022-]*(?:\[[^\]]*\]\s*)?(?:([A-Z][\w .]{0,30}|the user|user|you):\s+)?", re.IGNORECASE
)
_QUESTION = re.compile(r"\?\s*$")
_BLOCK = re.compile(rf"{OPEN}(.*?){CLOSE}", re.DOTALL)
# One shared word of a long question is chance; of "Where do I live?" it is all there is.
_SHARE_MIN = 0.34


def answer(conversation: Conversation) -> str:
    """Return the answer to the conversation's last words."""
    if conversation.turns and conversation.turns[-1].role == "tool":
        return f"The tool says: {conversation.turns[-1].text}"
    question = strip(conversation.question)
    asked = [part for part in sentences(question) if _QUESTION.search(part)]
    if not asked:
        return NOTED
    found = _best(stems(asked[-1]), _known(conversation))
    return f"You told me: {found}" if found else UNKNOWN


def _known(conversation: Conversation) -> list[str]:
    """Return what the prompt states, oldest first, without the last question's own words."""
    *before, last = [turn for turn in conversation.turns if turn.role in ("system", "user")]
    blocks = " \n ".join(_BLOCK.findall(last.text))
    texts = [turn.text.replace(OPEN, "\n").replace(CLOSE, "\n") for turn in before] + [blocks]
    lines = [_MARKS.sub("", sentence) for text in texts for sentence in sentences(text)]
    return [line for line in lines if line and not _QUESTION.search(line)]


def _best(asked: frozenset[str], known: list[str]) -> str:
    scored = [(len(asked & stems(line)) / max(len(asked), 1), -len(line), line) for line in known]
    share, _, line = max(scored, default=(0.0, 0, ""))
    return line if share >= _SHARE_MIN else ""
