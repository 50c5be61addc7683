"""Promise: no text can make the night hold the interpreter: every rule reads hostile words in linear time."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

import ltmld.sleep
from ltmld.errors import CompletionError
from ltmld.sleep.dates import dated
from ltmld.sleep.episode import Episode
from ltmld.sleep.features import CHARS_MAX, measure
from ltmld.sleep.firewall import admit
from ltmld.sleep.replies import Draft, read_drafts, read_lesson
from ltmld.sleep.rules import SENTENCE_CHARS_MAX, by_rules
from ltmld.sleep.slots import filled
from ltmld.sleep.words import names, numbers
from tests.support.ledgers import EPOCH, a_memory
from tests.support.nights import a_message

SIZE = 100_000
# The slowest reader needs a little over one on a slow machine; a square cost would take minutes.
SECONDS = 4.0

# What is repeated, between a beginning that wakes a rule and an end that lets it fail.
REPEATED = (
    "\n", " ", "\t", "\n \n", "a", "A", "1", "1,", "1 ", "-", "#", "<", "<a ", "`", "[", "{", '{"', '[{"a":', "(", "; ",
    "'", "a'", "@", "a@", ".", "? ", "! ", "word ", "Word ", "my ", "i ", "i am ", "i like ", "i just ", "I went ",
    "and ", "an ", "is ", "to ", "from ", "moved from ", "please ", "please, ", "remember that ", "remember ",
    "favorite ", "my favorite ", "favorite is ", "a dog, ", "one two ", "I have a dog and ", "one dog and ",
    "in 1999 ", "1 of ", "last ", "may ", "last mon", "<think>", "</think>", "at a.b", "a.", "{{a", "and i ",
    "# System\n", "---\n", "called A ", "email is ",
)  # fmt: skip
BEGINNINGS = (
    "", "log:", "<", "i am ", "i like ", "I live in ", "my name is A", "remember that ", "i am a ", "I went ",
    "moved from ", "email is ", "my favorite ", "1", "I have one ", "---\n", "at a", "on 1", "{", "name is ",
)  # fmt: skip


def texts(size: int = SIZE) -> Iterator[str]:
    for part in REPEATED:
        yield part * (size // len(part)) + "\0x"


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield every compiled pattern of the room by name; not the one for the person's own prompt files."""
    met: set[str] = set()
    for module in pkgutil.iter_modules(ltmld.sleep.__path__, "ltmld.sleep."):
        for name, value in vars(importlib.import_module(module.name)).items():
            for place, found in enumerate(_patterns_in(value)):
                if found.pattern not in met and name != "_FILE":
                    met.add(found.pattern)
                    yield f"{name}.{place}", found


def _patterns_in(value: object) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _patterns_in(getattr(part, "pattern", None))
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _patterns_in(getattr(part, "statement", None))


def took_s(work: Callable[[str], object], text: str) -> float:
    started = time.thread_time()
    work(text)
    return time.thread_time() - started


def judged(text: str) -> object:
    episode = Episode(messages=(a_message(text),))
    quote = "I have two dogs, and the one that is black is called Rex after my uncle"
    return admit(Draft(text="Ann has two dogs.", quote=quote), episode)


def answered(text: str) -> object:
    with contextlib.suppress(CompletionError):
        read_lesson(text)
    with contextlib.suppress(CompletionError):
        return read_drafts(text)
    return None


READERS: Mapping[str, Callable[[str], object]] = {
    "features": lambda text: measure(text, nearest=0.0, repeated=False, person=True),
    "rules": lambda text: by_rules(a_message(text)),
    "firewall": judged,
    "replies": answered,
    "slots": lambda text: [filled(a_memory(text, attribute=name)) for name in ("home", "email", "favorite")],
    "names": names,
    "numbers": numbers,
    "dates": lambda text: dated(text[:SENTENCE_CHARS_MAX], at=EPOCH),
}


@pytest.mark.parametrize(("name", "pattern"), [pytest.param(*one, id=one[0]) for one in patterns()])
def test_no_pattern_takes_longer_than_its_text_is_long(name: str, pattern: re.Pattern[str]) -> None:
    """One of square cost takes more than ten milliseconds on a text this short, and minutes on a megabyte."""
    beginnings = [""] + [one for one in BEGINNINGS if one.strip() and pattern.search(one + "a@b Ann.")]

    def read(text: str) -> int:
        return sum(1 for _ in pattern.finditer(text))

    slow = {
        (beginning, text[:12]): cost
        for text in texts(4_000)
        for beginning in (*beginnings, "log:", "I live in ", "<")
        if (cost := min(took_s(read, beginning + text) for _ in range(3))) > 0.008
    }
    assert slow == {}, name


@pytest.mark.parametrize("name", sorted(READERS))
def test_hostile_texts_are_read_within_seconds_altogether(name: str) -> None:
    assert sum(took_s(READERS[name], text) for text in texts()) < SECONDS


def test_only_the_beginning_of_a_message_is_measured() -> None:
    words = "I moved to Bergen with my dog. " * 1_000
    long = measure(words[:CHARS_MAX] + "```code```" * 100_000, nearest=0.0, repeated=False, person=True)
    assert long == measure(words[:CHARS_MAX], nearest=0.0, repeated=False, person=True)


def test_blank_lines_and_indents_before_a_log_line_are_still_boilerplate_and_code() -> None:
    log = measure("\n\n   [error] disk full", nearest=0.0, repeated=False, person=True)
    code = measure(
        "\n  def f():\n    return 1;  \n  <b class='x'>\n", nearest=0.0, repeated=False, person=True
    )
    assert (log.boilerplate, code.code) == (1.0, 1.0)
