"""Hints of time in questions and in what was said; by rule, in English.

Rules:
1. Relative words ("last summer", "two weeks ago", "yesterday") count from the day on which the question is asked.
2. A hint lifts what fits; it never leaves anything out.
3. Seasons are the northern ones.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ltmld.core.days import local_day

_MONTHS = tuple(name.lower() for name in calendar.month_name)
_WEEKDAYS = tuple(name.lower() for name in calendar.day_name)
# "May" is a month only where it is written large and is no verb: "in May", "May 2023", "7 May".
_MONTH = re.compile(r"\b(" + "|".join(calendar.month_name[1:]) + r")\b")
_YEAR = re.compile(r"\b((?:19|20)\d\d)\b")
_WHEN = re.compile(
    r"^\W*(?:when|how long|since when|(?:on |in )?(?:what|which) (?:date|day|week|month|year|time))\b",
    re.IGNORECASE,
)
_COUNTED = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: number for number, word in enumerate(_COUNTED, 1)} | {
    "a": 1,
    "an": 1,
    "a couple of": 2,
    "a few": 3,
    "several": 4,
}
_VAGUE = frozenset({"a couple of", "a few", "several"})
# The days of a unit, and how many it may be off: nobody counts the days of "two months ago".
_AGO_DAYS = {"day": (1, 0), "week": (7, 3), "month": (30, 15), "year": (365, 182)}
_AGO = re.compile(
    rf"\b(\d{{1,3}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))}) (day|week|month|year)s? ago\b",
    re.IGNORECASE,
)
_SEASONS = {"spring": (3, 5), "summer": (6, 8), "autumn": (9, 11), "fall": (9, 11), "winter": (12, 14)}
_TURNED = re.compile(r"\b(last|this|past) (week|weekend|month|year)\b", re.IGNORECASE)
_WEEKDAY = re.compile(rf"\b(last|this|past) ({'|'.join(_WEEKDAYS)})\b", re.IGNORECASE)
_PAST_SEASON = re.compile(rf"\b(last|this|past) ({'|'.join(_SEASONS)})\b", re.IGNORECASE)
_DAY_WORD = re.compile(
    r"\b(the day before yesterday|yesterday|last night|today|this (?:morning|afternoon|evening))\b",
    re.IGNORECASE,
)
# "What did I say today?" is about what was; "What shall I cook today?" is not.
_LOOKS_BACK = re.compile(r"\b(?:did|was|were|had|have|has|said|told)\b", re.IGNORECASE)
_SEASON_OF_YEAR = re.compile(rf"\b({'|'.join(_SEASONS)})(?: of)? ((?:19|20)\d\d)\b", re.IGNORECASE)
_ISO_DATE = re.compile(r"\b((?:19|20)\d\d)-(\d\d)(?:-(\d\d))?\b")
# What is said within a span's own length after it may still be about it.
_AFTERWARDS_WORTH = 0.5
# A year fits too much to tell much.
_YEAR_ALONE_WORTH, _LONG_DAYS = 0.3, 200

_DAYS = frozenset(_WEEKDAYS)
_TIME_WORDS = (
    _DAYS
    | frozenset(_MONTHS[1:]) - {"may", "march"}
    | {"yesterday", "today", "tonight", "tomorrow", "recently", "soon", "ago"}
)
_TURNING = frozenset({"last", "next", "this", "past", "coming"})
_SPANS = _DAYS | {
    *("night", "weekend", "week", "month", "year", "morning", "evening"),
    *("spring", "summer", "autumn", "fall", "winter"),
}
_PUNCTUATION = ".,;:!?()[]\"'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Days from *begin* to *end*, both included."""

    begin: date
    end: date

    def meets(self, day: date) -> float:
        """Return 1 for a day within (0.3 within a year), 0.5 soon after: things are told when they happen, or later."""
        length = (self.end - self.begin).days + 1
        if self.begin <= day <= self.end:
            return 1.0 if length < _LONG_DAYS else _YEAR_ALONE_WORTH
        return _AFTERWARDS_WORTH if 0 < (day - self.end).days <= min(length, _LONG_DAYS) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeHint:
    """What a question says about time: months (1 to 12), years and spans it names, and whether it asks when."""

    months: frozenset[int] = frozenset()
    years: frozenset[int] = frozenset()
    spans: tuple[Span, ...] = ()
    asks_when: bool = False

    @property
    def names_time(self) -> bool:
        """Whether anything can meet it."""
        return bool(self.months or self.years or self.spans)

    def meets(self, at: datetime) -> float:
        """Return how well a moment fits: 1 a span or a month that is named, 0.3 a year alone, 0 neither or no hint."""
        if not self.names_time:
            return 0.0
        day = local_day(at)
        return max((span.meets(day) for span in self.spans), default=self._calendar(day))

    def _calendar(self, day: date) -> float:
        if self.years and day.year not in self.years:
            return 0.0
        if self.months:
            return 1.0 if day.month in self.months else 0.0
        return _YEAR_ALONE_WORTH if self.years else 0.0


def time_hint(question: str, *, now: datetime) -> TimeHint:
    """Read the hints of time in a question that is asked *now*."""
    months = {_MONTHS.index(name.lower()) for name in _MONTH.findall(question)}
    return TimeHint(
        months=frozenset(months),
        years=frozenset(map(int, _YEAR.findall(question))),
        spans=tuple(_named_spans(question, today=local_day(now))),
        asks_when=_WHEN.search(question) is not None,
    )


def iso_span(when: str) -> Span | None:
    """Return the days of ``2023``, ``2023-05`` or ``2023-05-07``; ``None`` for anything else."""
    parts = when.split("-")
    if not all(part.isdecimal() and part.isascii() for part in parts) or len(parts) > 3:
        return None
    try:
        numbers = [int(part) for part in parts]
        if len(numbers) == 3:
            day = date(*numbers)
            return Span(begin=day, end=day)
        return _month(*numbers) if len(numbers) == 2 else _year(*numbers)
    except (ValueError, OverflowError):
        return None


def _named_spans(question: str, *, today: date) -> Iterator[Span]:
    looks_back = _LOOKS_BACK.search(question) is not None
    for pattern, read in _READERS:
        for match in pattern.finditer(question):
            said = match[0].lower()
            if said.startswith(("this", "today")) and not looks_back:
                continue
            try:
                span = read(match, today)
            except (ValueError, OverflowError):
                # Beyond the calendar: "9999 years ago" meets nothing.
                continue
            if span is not None:
                yield span


def _day_word(match: re.Match[str], today: date) -> Span:
    back = {"the day before yesterday": 2, "yesterday": 1, "last night": 1}.get(match[1].lower(), 0)
    day = today - timedelta(days=back)
    return Span(begin=day, end=day)


def _ago(match: re.Match[str], today: date) -> Span:
    number, unit = match[1].lower(), match[2].lower()
    count = _NUMBERS.get(number) or int(number)
    days, slack = _AGO_DAYS[unit]
    if number in _VAGUE:
        slack += days
    middle = today - timedelta(days=count * days)
    return Span(begin=middle - timedelta(days=slack), end=middle + timedelta(days=slack))


def _turned(match: re.Match[str], today: date) -> Span:
    """Return "last week", "this month", as seen from *today*."""
    back, unit = 0 if match[1].lower() == "this" else 1, match[2].lower()
    if unit in ("week", "weekend"):
        monday = today - timedelta(days=today.weekday() + 7 * back)
        return Span(
            begin=monday + timedelta(days=5 if unit == "weekend" else 0), end=monday + timedelta(days=6)
        )
    if unit == "year":
        return _year(today.year - back)
    months = 12 * today.year + today.month - 1 - back
    return _month(months // 12, months % 12 + 1)


def _weekday(match: re.Match[str], today: date) -> Span:
    back = 0 if match[1].lower() == "this" else 7
    day = today - timedelta(days=(today.weekday() - _WEEKDAYS.index(match[2].lower())) % 7 or back)
    return Span(begin=day, end=day)


def _past_season(match: re.Match[str], today: date) -> Span:
    ended, name = match[1].lower() != "this", match[2].lower()
    span = _season(name, today.year)
    # Winter begins in the year before; a season that has not come yet is no memory.
    while span.begin > today or (ended and span.end >= today):
        span = _season(name, span.begin.year - 1)
    return span


def _season(name: str, year: int) -> Span:
    first, last = _SEASONS[name]
    return Span(
        begin=date(year, first, 1), end=_month(year + (last > 12), last - 12 if last > 12 else last).end
    )


def _month(year: int, month: int) -> Span:
    return Span(begin=date(year, month, 1), end=date(year, month, calendar.monthrange(year, month)[1]))


def _year(year: int) -> Span:
    return Span(begin=date(year, 1, 1), end=date(year, 12, 31))


def speaks_of_time(text: str) -> bool:
    """Tell whether a text says when something happens."""
    # Word by word: one regular expression of all these takes ten times as long, and every candidate is looked at.
    previous = ""
    for spelled in text.lower().split():
        word = spelled.strip(_PUNCTUATION)
        if word in _TIME_WORDS or (previous in _TURNING and word in _SPANS):
            return True
        if len(word) == 4 and word.isdigit():
            return True
        previous = word
    return False


def _season_of_year(match: re.Match[str], today: date) -> Span:
    del today
    return _season(match[1].lower(), int(match[2]))


def _iso(match: re.Match[str], today: date) -> Span | None:
    del today
    return iso_span(match[0])


_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date], Span | None]], ...] = (
    (_DAY_WORD, _day_word),
    (_AGO, _ago),
    (_TURNED, _turned),
    (_WEEKDAY, _weekday),
    (_PAST_SEASON, _past_season),
    (_SEASON_OF_YEAR, _season_of_year),
    (_ISO_DATE, _iso),
)
