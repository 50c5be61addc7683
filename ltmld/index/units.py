"""Make retrieval units of messages and memories: what full text sees, and what the embedder sees.

Rules:
1. A unit is a function of its message or memory alone: a rebuilt index answers like the grown one.
2. A long message becomes passages ``<message id>:<n>``: the passage is recalled, the message is its evidence.
3. Full text sees "[8 May 2023] Caroline: words", so that a query's names and dates find something (LoCoMo,
   recall@10: 0.58 without, 0.62 with). The embedder sees the words alone.
4. A message has one vector. Vectors of its sentences as well would be three times the work, and find nothing
   more once full text is beside them (LoCoMo, evidence within 600 tokens: 0.817 with, 0.817 without).
"""

from __future__ import annotations

import calendar
from datetime import datetime
from functools import lru_cache

from ltmld.core.days import local_day
from ltmld.core.exchange import StoredMessage
from ltmld.core.hit import Unit
from ltmld.core.memory import Memory
from ltmld.index.words import passages

MESSAGE, PASSAGE = "message", "passage"
SPEECH = frozenset({MESSAGE, PASSAGE})
"""Kinds of units that are what somebody said; every other kind is a memory's."""

ROLES = frozenset({"user", "assistant"})
"""Speakers that are no names."""

# A message of up to 120 words is one unit; a longer one is cut near 80 words. Measured on BEAM, evidence
# within 600 tokens: 0.54 (40 to 80 words a passage), 0.51 (150 words). LoCoMo has no longer messages.
_WHOLE_WORDS_MAX = 120
_PASSAGE_WORDS = 80

_MONTHS = tuple(calendar.month_name)


def message_units(message: StoredMessage) -> list[Unit]:
    """Return the units of one message: itself, or its passages when it is long; none when it says nothing."""
    texts = message_passages(message.text)
    name = "" if message.speaker in ROLES else message.speaker
    return [
        Unit(
            id=message.id if len(texts) == 1 else f"{message.id}:{number}",
            scope=message.scope,
            kind=MESSAGE if len(texts) == 1 else PASSAGE,
            text=f"[{spoken_date(message.at)}] {message.speaker}: {text}",
            embed_text=text,
            name=name,
        )
        for number, text in enumerate(texts)
        if text.strip()
    ]


# Recall asks for the same few long messages again and again: cutting one takes up to a millisecond.
@lru_cache(maxsize=512)
def message_passages(text: str) -> tuple[str, ...]:
    """Return the passages of a message's text, in order; the text itself when it is short."""
    return tuple(passages(text, whole_words_max=_WHOLE_WORDS_MAX, passage_words=_PASSAGE_WORDS))


def memory_unit(memory: Memory) -> Unit:
    """Return the unit of one memory, with its cues as further keys."""
    began = f"[{spoken_date(memory.valid_from)}] " if memory.valid_from else ""
    return Unit(
        id=memory.id,
        scope=memory.scope,
        kind=memory.kind.value,
        text=f"{began}{memory.subject}: {memory.text}" if memory.subject else f"{began}{memory.text}",
        embed_text=memory.text,
        extra_texts=memory.cues,
    )


def owner(unit_id: str) -> str:
    """Return the id of the message or memory that a unit was made of."""
    return unit_id.partition(":")[0]


def passage_number(unit_id: str) -> int | None:
    """Return which passage of its message a unit is, or ``None`` when it is the whole of it."""
    number = unit_id.partition(":")[2]
    return int(number) if number else None


def spoken_date(at: datetime) -> str:
    """Return a date as people write it in questions, by the clock on their wall: ``8 May 2023``."""
    day = local_day(at)
    return f"{day.day} {_MONTHS[day.month]} {day.year}"
