"""Read the dates that people and models write, by rule: "yesterday", "last Friday", "2023-05", "7 May 2023".

Rules:
1. Every answer is a ``when``: ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``, no more exact than the words were.
2. What cannot be read is no date; nothing is guessed ("on Friday" may be either side of today).
3. Days are those of the person, by the machine's zone: "yesterday", said in the evening in Los Angeles, is the day
   before that evening, though it was tomorrow already in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ltmld.core.days import day_start, local_day

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_DAYS = {name: number for number, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))}
_COUNTS = {
    name: number
    for number, name in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), 1
    )
} | {"a": 1, "an": 1}

_TAIL = r"(?:uary|ruary|ch|il|e|y|ust|t|tember|ober|ember)?\b"
_MONTH = rf"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec){_TAIL}"
_COUNT = r"(\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten)"
_ISO = re.compile(r"\b(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?\b")
_DAY_MONTH = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH}\b,?(?: (\d{{4}}))?")
_MONTH_DAY = re.compile(rf"\b{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?\b,?(?: (\d{{4}}))?")
_MONTH_YEAR = re.compile(rf"\b{_MONTH},? (\d{{4}})\b")
_YEAR = re.compile(r"\b(?:in|since|until|by|during) ((?:19|20)\d{2})\b")
_NEAR = re.compile(
    r"\b(the day before yesterday|yesterday|last night|today|tonight|this morning|this evening|tomorrow)\b"
)
_NEAR_DAYS = {"the day before yesterday": -2, "yesterday": -1, "last night": -1, "tomorrow": 1}
_AGO = re.compile(rf"\b{_COUNT} (day|week|month|year)s? ago\b")
_IN = re.compile(rf"\bin {_COUNT} (day|week|month|year)s?\b")
_RELATIVE = re.compile(r"\b(last|this past|this|next) (week|month|year|weekend)\b")
_WEEKDAY = re.compile(
    r"\b(last|this past|next) (mon|tue|wed|thu|fri|sat|sun)(?:day|sday|nesday|rsday|urday)?\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A date found in a text: its ``when``, how to spell it, and where its words stand.

    ``relative`` tells that the words mean something only on the day they were said.
    """

    when: str
    spelled: str
    start: int
    end: int
    relative: bool


def moment(when: str) -> datetime | None:
    """Return the moment at which the day, month or year that *when* names begins here, or ``None``."""
    first = _first_day(when)
    try:
        return day_start(first) if first else None
    except (OverflowError, ValueError):  # the edge of the calendar
        return None


def spoken_date(text: str, *, at: datetime) -> Spoken | None:
    """Return the first date that *text*, said at *at*, speaks of."""
    lowered, day = text.lower(), local_day(at)
    for read in (_near, _ago, _relative, _weekday):
        found = read(lowered, day)
        if found:
            return found
    return _absolute(lowered, day.year)


def dated(text: str, *, at: datetime) -> tuple[str, str]:
    """Return *text* with a relative date spelled out as of *at*, and its ``when`` (``""`` without a date)."""
    found = spoken_date(text, at=at)
    if found is None:
        return text, ""
    if not found.relative:
        return text, found.when
    before = text[: found.start]
    return f"{before}{found.spelled}{text[found.end :]}", found.when


def spelled(when: str) -> str:
    """Return *when* as words that fit into a sentence: "on 7 May 2023", "in May 2023", "in 2022"."""
    first = _first_day(when)
    if first is None:
        return when
    month = first.strftime("%B %Y")
    match when.count("-"):
        case 2:
            return f"on {first.day} {month}"
        case 1:
            return f"in {month}"
        case _:
            return f"in {first.year}"


def _first_day(when: str) -> date | None:
    text = when.strip().casefold()
    found = _ISO.match(text)
    if found:
        year, month, day = (int(part) if part else 1 for part in found.groups())
        return _date(year, month, day)
    spoken = _absolute(text, 0)
    return _first_day(spoken.when) if spoken else None


def _spoken(found: re.Match[str], when: str, *, words: str = "", relative: bool = True) -> Spoken:
    return Spoken(
        when=when, spelled=words or spelled(when), start=found.start(), end=found.end(), relative=relative
    )


def _near(text: str, at: date) -> Spoken | None:
    found = _NEAR.search(text)
    return _spoken(found, _day(at + timedelta(days=_NEAR_DAYS.get(found[1], 0)))) if found else None


def _ago(text: str, at: date) -> Spoken | None:
    for pattern, sign in ((_AGO, -1), (_IN, 1)):
        found = pattern.search(text)
        if found:
            count = int(found[1]) if found[1].isdecimal() else _COUNTS[found[1]]
            return _spoken(found, _moved(at, sign * count, found[2]))
    return None


def _relative(text: str, at: date) -> Spoken | None:
    found = _RELATIVE.search(text)
    if not found:
        return None
    step = {"last": -1, "this past": -1, "this": 0, "next": 1}[found[1]]
    if found[2] != "weekend":
        return _spoken(found, _moved(at, step, found[2]))
    saturday = at + timedelta(days=5 - at.weekday() + 7 * step)
    words = f"on the weekend of {saturday.day} {saturday:%B %Y}"
    return _spoken(found, f"{saturday:%Y-%m}", words=words)


def _weekday(text: str, at: date) -> Spoken | None:
    found = _WEEKDAY.search(text)
    if not found:
        return None
    away = (_DAYS[found[2]] - at.weekday()) % 7
    days = (away or 7) if found[1] == "next" else -((7 - away) or 7)
    return _spoken(found, _day(at + timedelta(days=days)))


def _absolute(text: str, year_now: int) -> Spoken | None:
    readers: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[int, int, int]]], ...] = (
        (_DAY_MONTH, lambda found: (int(found[3] or year_now), _MONTHS[found[2]], int(found[1]))),
        (_MONTH_DAY, lambda found: (int(found[3] or year_now), _MONTHS[found[1]], int(found[2]))),
    )
    for pattern, read in readers:
        if (found := pattern.search(text)) and (day := _date(*read(found))):
            return _spoken(found, _day(day), relative=False)
    if found := _MONTH_YEAR.search(text):
        return _spoken(found, f"{int(found[2]):04d}-{_MONTHS[found[1]]:02d}", relative=False)
    if (found := _ISO.search(text)) and found[3] and _date(int(found[1]), int(found[2]), int(found[3])):
        return _spoken(found, found[0], relative=False)
    if found := _YEAR.search(text):
        return _spoken(found, found[1], relative=False)
    return None


def _moved(at: date, count: int, unit: str) -> str:
    if unit == "day":
        return _day(at + timedelta(days=count))
    if unit == "week":
        # "Last week" is no day: the month it fell in is as much as was said.
        return f"{at + timedelta(weeks=count):%Y-%m}"
    if unit == "year":
        return f"{max(1, at.year + count):04d}"
    months = max(12, at.year * 12 + at.month - 1 + count)
    return f"{months // 12:04d}-{months % 12 + 1:02d}"


def _day(at: date) -> str:
    return f"{at:%Y-%m-%d}"


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
