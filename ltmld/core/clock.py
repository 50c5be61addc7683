"""Time and names as values that arrive from outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

Clock = Callable[[], datetime]
"""Return the present as an aware datetime in UTC."""

NewId = Callable[[str], str]
"""Return a fresh id with the given prefix: ``new_id("exc")`` gives ``exc-01J...``; ids sort by time."""
