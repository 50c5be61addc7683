"""Days: on which date a moment falls, and when a date begins, by the clock on the wall.

Moments are kept in UTC; people speak of their own days. Arithmetic only: the machine's zone is asked of nothing
but the standard library, and only where no other is given.
"""

from __future__ import annotations

from datetime import date, datetime, time, tzinfo


def local_day(moment: datetime, zone: tzinfo | None = None) -> date:
    """Return the date of *moment* (aware) in *zone*, ``None`` for the machine's own."""
    return local(moment, zone).date()


def local(moment: datetime, zone: tzinfo | None = None) -> datetime:
    """Return *moment* (aware) as the clock of *zone* shows it, ``None`` for the machine's own.

    A moment at the very edge of the calendar, which that clock cannot show, is returned as it is.
    """
    try:
        return moment.astimezone(zone)
    except (OverflowError, ValueError):
        return moment


def day_start(day: date, zone: tzinfo | None = None) -> datetime:
    """Return the moment (aware) at which *day* begins in *zone*, ``None`` for the machine's own.

    Raises:
        OverflowError: the calendar of that zone does not hold the day.
    """
    begin = datetime.combine(day, time(), zone)
    return begin if zone else begin.astimezone()
