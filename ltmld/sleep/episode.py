"""An episode: a stretch of conversation, cut where silence fell or where it grew too long for one look.

``gather`` is the first stage of a cycle: rows in, episodes out, nothing written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from ltmld.core.days import local
from ltmld.core.exchange import StoredMessage
from ltmld.core.tokens import estimate

# One episode, the instructions and the answer must fit Ollama's smallest default context, 4096 tokens,
# or the front of the prompt is cut off in silence.
EPISODE_TOKENS_MAX = 1500.0
MESSAGE_TOKENS_MAX = 500.0
"""What one message may count for: a longer one is shortened in the prompt (``transcript``)."""

# Speakers that are a role and no name.
_ROLES = frozenset({"", "user", "human", "you", "me", "assistant", "ai", "bot", "model", "system"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One stretch of one conversation, messages in order of time; never empty."""

    messages: tuple[StoredMessage, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of its messages, in order."""
        return tuple(message.id for message in self.messages)


def gather(messages: Iterable[StoredMessage], *, gap: timedelta, messages_max: int) -> list[Episode]:
    """Cut *messages* of one scope into episodes: by conversation, then by silence, then by size."""
    ordered = sorted(
        messages, key=lambda message: (message.thread_id, message.at, message.ordinal, message.id)
    )
    episodes = [
        Episode(messages=part)
        for _, thread in groupby(ordered, key=lambda message: message.thread_id)
        for part in _cut(list(thread), gap, messages_max)
    ]
    return sorted(episodes, key=lambda episode: (episode.messages[0].at, episode.messages[0].id))


def is_person(message: StoredMessage) -> bool:
    """Tell whether a person said it: a user, or a partner who goes by a name and not by a model's."""
    if message.role == "user":
        return True
    speaker = message.speaker.strip()
    # A model's name carries a tag or a size (llama3.2:1b); a person's does not.
    return speaker.casefold() not in _ROLES and not any(mark.isdecimal() or mark in ":/_" for mark in speaker)


def speaker_name(message: StoredMessage) -> str:
    """Return what to call who said *message*: a person's own name, else ``the user`` or ``the assistant``."""
    named = message.speaker.strip()
    if is_person(message) and named.casefold() not in _ROLES:
        return named
    return "the user" if message.role == "user" else "the assistant"


def transcript(episode: Episode, *, without: frozenset[str] = frozenset()) -> str:
    """Return the episode as lines for a model to read, dated by the machine's clock, less the ids in *without*."""
    return "\n".join(
        f"[{local(message.at):%Y-%m-%d %H:%M}] {_label(message)}: {shortened(message.text)}"
        for message in episode.messages
        if message.id not in without
    )


def shortened(text: str) -> str:
    """Return *text* verbatim, or its beginning and end when it is too long for a prompt."""
    if estimate(text) <= MESSAGE_TOKENS_MAX:
        return text
    spoken = text.split()
    return " ".join(spoken[:280]) + " [...] " + " ".join(spoken[-100:])


def _label(message: StoredMessage) -> str:
    name = speaker_name(message)
    return (
        name if is_person(message) and not name.startswith("the ") else name.removeprefix("the ").capitalize()
    )


def _cut(
    messages: Sequence[StoredMessage], gap: timedelta, messages_max: int
) -> Iterator[tuple[StoredMessage, ...]]:
    part: list[StoredMessage] = []
    tokens = 0.0
    for message in messages:
        weight = min(estimate(message.text), MESSAGE_TOKENS_MAX)
        full = len(part) >= messages_max or tokens + weight > EPISODE_TOKENS_MAX
        if part and (full or message.at - part[-1].at > gap):
            yield tuple(part)
            part, tokens = [], 0.0
        part.append(message)
        tokens += weight
    if part:
        yield tuple(part)
