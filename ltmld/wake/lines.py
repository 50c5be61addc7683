"""Write hits down: one line each, dated, with its speaker, in the shortest form that suffices.

Rules:
1. A line bears the day on which it was said, or of which it tells; a memory whose words name that day bears it once.
2. A whole message is told by its gist, a part of a long one as it is; a memory in its own words.
3. A disputed memory says so.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Set as AbstractSet

from ltmld.core.days import local_day
from ltmld.core.hit import Hit
from ltmld.core.memory import Memory, MemoryState
from ltmld.index.units import MESSAGE, PASSAGE, ROLES, owner, passage_number
from ltmld.wake.dates import iso_span
from ltmld.wake.found import Found, began, words_of
from ltmld.wake.gist import gist
from ltmld.wake.packing import Line
from ltmld.wake.ranking import Ranked

_DISPUTED = "(disputed) "
_NUMBER = re.compile(r"\d+")


def line_of(
    item: Ranked, found: Found, *, score: float, asked: AbstractSet[str], names: AbstractSet[str]
) -> Line:
    """Return the line of one hit; *asked* and *names* are words in lower case."""
    unit_id = item.candidate.unit_id
    memory = found.memories.get(unit_id)
    if memory is not None:
        return _of_memory(item, memory, found, score=score)
    message = found.messages[owner(unit_id)]
    words, whole = words_of(unit_id, message), passage_number(unit_id) is None
    if whole:
        words = gist(words, asked=asked, names=names, between_people=message.speaker not in ROLES)
    hit = Hit(
        id=unit_id,
        kind=MESSAGE if whole else PASSAGE,
        text=f"[{local_day(message.at)}] {message.speaker}: {' '.join(words.split())}",
        score=round(score, 4),
        at=message.at,
        refs=(message.ref or message.id,),
        message_ids=(message.id,),
        parts=item.parts,
    )
    return Line(hit=hit, at=message.at, order=(message.thread_id, message.ordinal), match=item.match)


def _of_memory(item: Ranked, memory: Memory, found: Found, *, score: float) -> Line:
    at = began(memory, found)
    words = " ".join(memory.text.split())
    date = memory.when if iso_span(memory.when) else f"{local_day(at)}"
    doubt = _DISPUTED if memory.state is MemoryState.DISPUTED else ""
    behind = list(dict.fromkeys(source.message_id for source in memory.sources))
    hit = Hit(
        id=memory.id,
        kind=memory.kind.value,
        text=f"{doubt}{words}" if _tells_day(words, date) else f"[{date}] {doubt}{words}",
        score=round(score, 4),
        at=at,
        refs=tuple(found.messages[name].ref or name for name in behind if name in found.messages)
        or tuple(behind),
        message_ids=tuple(behind),
        parts=item.parts,
    )
    return Line(hit=hit, at=at, order=("", 0), match=item.match)


def _tells_day(words: str, date: str) -> bool:
    """Tell whether *words* name the year, month and day of an ISO date, as far as it goes: "on 7 May 2023"."""
    year, *rest = date.split("-")
    numbers = set(_NUMBER.findall(words))
    if year not in numbers:
        return False
    month = calendar.month_name[int(rest[0])] if rest else ""
    return month in words and (len(rest) < 2 or str(int(rest[1])) in numbers)
