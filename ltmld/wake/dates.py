"""Hints of time in questions and in what was said; by rule, in English."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_MONTHS = tuple(name.lower() for name in calendar.month_name)
# "May" is a month only where it is written large and is no verb: "in May", "May 2023", "7 May".
_MONTH = re.compile(r"\b(" + "|".join(calendar.month_name[1:]) + r")\b")
_YEAR = re.compile(r"\b((?:19|20)\d\d)\b")
_WHEN = re.compile(
    r"^\W*(?:when|how long|since when|(?:on |in )?(?:what|which) (?:date|day|week|month|year|time))\b",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"\b(last|this) (month|year)\b|\b(yesterday)\b", re.IGNORECASE)
_DAYS = frozenset(name.lower() for name in calendar.day_name)
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
class TimeHint:
    """What a question says about time: months (1 to 12) and years it names, and whether it asks when."""

    months: frozenset[int] = frozenset()
    years: frozenset[int] = frozenset()
    asks_when: bool = False

    def meets(self, at: datetime) -> float:
        """Return how well a moment fits: 1 a month that is named, 0.3 a year alone, 0 neither or no hint."""
        if self.years and at.year not in self.years:
            return 0.0
        if self.months:
            return 1.0 if at.month in self.months else 0.0
        return 0.3 if self.years else 0.0


def time_hint(question: str, *, now: datetime) -> TimeHint:
    """Read the hints of time in a question that is asked *now*."""
    months = {_MONTHS.index(name.lower()) for name in _MONTH.findall(question)}
    years = set(map(int, _YEAR.findall(question)))
    for which, unit, yesterday in _RELATIVE.findall(question):
        then = _then(which.lower(), unit.lower(), now=now) if not yesterday else now - timedelta(days=1)
        years.add(then.year)
        if unit.lower() != "year":
            months.add(then.month)
    return TimeHint(
        months=frozenset(months), years=frozenset(years), asks_when=_WHEN.search(question) is not None
    )


def _then(which: str, unit: str, *, now: datetime) -> datetime:
    if which == "this":
        return now
    first = now.replace(day=1) if unit == "month" else now.replace(month=1, day=1)
    return first - timedelta(days=1)


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
