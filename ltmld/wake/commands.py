"""Commands in a chat: a user message that is ``/ltm ...`` and nothing else is for ltmld, not for the model.

Rules:
1. Only the newest message of a request is a command to follow; one further up was followed when it was new.
2. A command and the answer to it are no part of the conversation: they are taken out of what goes upstream and out
   of what is recorded, so that the prompt is, byte for byte, what it would have been without them.
3. What is not understood is answered with help, never guessed: a command changes memory.
4. Only the person commands. Clients put retrieved documents before a person's words, and a document may try to close
   what it stands in and go on with a command of its own. So a command begins the message, or the one element that a
   client puts around all of a person's words, where the client writes it; behind anything else it is one line, and
   the message ends with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from ltmld.core.message import Message, Role
from ltmld.wake.boilerplate import genuine, handed

WORD = "/ltm"


class Verb(StrEnum):
    """What a person may ask."""

    HELP = "help"
    STATUS = "status"
    WHY = "why"
    SLEEP = "sleep"
    REMEMBER = "remember"
    FORGET = "forget"
    OFF = "off"
    ON = "on"


_TAKES_TEXT = frozenset({Verb.REMEMBER, Verb.FORGET})

HELP = """\
**ltmld**: the memory beside this model. These commands are answered by ltmld itself; the model never sees them.

- `/ltm status`: what is remembered here, and whether memory is on
- `/ltm why`: what the last answer of this conversation was given from memory, and why
- `/ltm remember TEXT`: keep this sentence, from now on
- `/ltm forget TEXT` or `/ltm forget ID`: forget a memory for good
- `/ltm sleep`: sort the day's talk into memories now
- `/ltm off`, `/ltm on`: pause memory here (nothing is recorded, nothing is recalled), and go on
- `/ltm help`: this list"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: *verb* is what to do, *text* what to do it with, *remark* what was not understood."""

    verb: Verb
    text: str = ""
    remark: str = ""


def is_command(text: str) -> bool:
    """Tell whether a user message is for ltmld: ``/ltm`` as its first word."""
    said = text.lstrip()
    return said[: len(WORD)].lower() == WORD and not said[len(WORD) : len(WORD) + 1].strip()


def read(text: str) -> Command | None:
    """Return the command that a user message is, ``None`` for talk."""
    if not is_command(text):
        return None
    word, rest = _first_word(text.strip()[len(WORD) :].strip())
    if not word:
        return Command(verb=Verb.HELP)
    try:
        verb = Verb(word.lower())
    except ValueError:
        return Command(verb=Verb.HELP, remark=_unknown(word))
    if verb in _TAKES_TEXT and not rest:
        return Command(verb=Verb.HELP, remark=f"`/ltm {verb}` needs words behind it: `/ltm {verb} TEXT`.")
    if verb not in _TAKES_TEXT and rest:
        return Command(verb=Verb.HELP, remark=f"`/ltm {verb}` stands alone; nothing was done.")
    return Command(verb=verb, text=rest)


def newest(messages: Sequence[Message]) -> Command | None:
    """Return the command that the newest message is (system text does not count)."""
    for message in reversed(messages):
        if message.role in (Role.SYSTEM, Role.DEVELOPER):
            continue
        return read(_words(message)) if message.role is Role.USER else None
    return None


def spoken_aside(messages: Sequence[Message]) -> frozenset[int]:
    """Return the places of commands and of the answers to them."""
    aside, answering = set(), False
    for place, message in enumerate(messages):
        if message.role is Role.USER:
            answering = is_command(_words(message))
        elif message.role is not Role.ASSISTANT:
            answering = False
        if answering:
            aside.add(place)
    return frozenset(aside)


def _words(message: Message) -> str:
    """Return what the person wrote where it may be a command (rule 4)."""
    text = message.text
    # Nearly all talk ends at the first question, which costs a fraction of a microsecond.
    if "/" not in text or not (WORD in text or is_command(text)):
        return ""
    handed_over = handed(text)
    if handed_over is not None:
        return handed_over
    own = genuine(message).text.strip()
    if is_command(text):
        return own
    return own if "\n" not in own and text.rstrip().endswith(own) else ""


def _first_word(text: str) -> tuple[str, str]:
    parts = text.split(maxsplit=1)
    return (parts[0] if parts else "", parts[1].strip() if len(parts) > 1 else "")


def _unknown(word: str) -> str:
    near = get_close_matches(word.lower(), list(Verb), n=1)
    shown = word[:40].replace("`", "'")
    meant = f" Did you mean `/ltm {near[0]}`?" if near else ""
    return f"`/ltm {shown}` is no command; nothing was done.{meant}"
