"""Promise: no text can hold the event loop: every pattern that meets a client's words reads them in linear time."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from time import process_time
from types import ModuleType

import pytest

import ltmld.index
import ltmld.wake
import ltmld.wire
from ltmld.core.message import Message, Role
from ltmld.wake.boilerplate_marks import marks_of
from ltmld.wake.commands import newest
from ltmld.wake.fingerprint import Said
from ltmld.wake.fingerprints import shipped
from ltmld.wake.question import read_question

SIZE = 20_000
# Quadratic work on so much text takes seconds; the clock counts this process only.
SECONDS = 0.5
ROOMS: tuple[ModuleType, ...] = (ltmld.wake, ltmld.wire, ltmld.index)

REPEATED = (
    " ", "\n", "\t", "a", "a.", "_", "-", ".", "1", "19", "<", "<abcd ", "</abcd", "</source> ", "`", "[", "{", '"',
    '"a', "\\", "you ", "you've ", "you have just ", "your ", "did you", "last ", "May ", "2023-", "2023-01-",
    "when ", "since ", "/ltm ", "```", "```a.b\n", "\n<userRequest>", "[read_file for ", "_session_", "\ud800",
)  # fmt: skip
BEGINNINGS = (
    "",
    "user_",
    '"',
    "<abcd ",
    "```",
    "[read_file for ",
    "# AGENTS.md instructions for ",
    "when",
    "/ltm ",
)
# Where many beginnings look for one end, each goes as far as the text does.
ENDS = ("\0x", "\n" + "x" * SIZE)
TEXTS = [
    beginning + part * (SIZE // len(part)) + end
    for beginning in BEGINNINGS
    for part in REPEATED
    for end in ENDS
]


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield every compiled pattern of the rooms by name, those of data files among them."""
    for room in ROOMS:
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                    yield f"{module.name}.{name}", value
    marks = marks_of(Role.USER)
    assert marks is not None
    yield from ((f"sources_end.{number}", frame.sources_end) for number, frame in enumerate(marks.frames))


PATTERNS = {found.pattern: (name, found) for name, found in patterns()}


def test_the_rooms_have_patterns_to_look_at() -> None:
    assert len(PATTERNS) > 15


@pytest.mark.parametrize(
    "found", [found for _, found in PATTERNS.values()], ids=[n for n, _ in PATTERNS.values()]
)
def test_a_pattern_reads_hostile_words_in_linear_time(found: re.Pattern[str]) -> None:
    for text in TEXTS:
        started = process_time()
        for _ in found.finditer(text):
            pass
        found.match(text)
        assert process_time() - started < SECONDS, (found.pattern, text[:40])


def test_what_is_matched_at_one_place_only_reads_hostile_words_in_linear_time() -> None:
    marks = marks_of(Role.USER)
    assert marks is not None
    for text in TEXTS:
        started = process_time()
        for found in (*marks.heads, *(frame.sources for frame in marks.frames)):
            found.match(text)
        assert process_time() - started < SECONDS, text[:40]


def test_a_request_of_hostile_words_is_judged_in_linear_time() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for text in TEXTS[:: len(ENDS)]:
        started = process_time()
        said = Said(user=text, system=text, alone=True, header=lambda _: "")
        assert not any(mark.matches(said) for mark in shipped())
        read_question(text, names={"Ana", "a"}, now=now)
        newest([Message(role=Role.USER, text=text)])
        assert process_time() - started < SECONDS, text[:40]
