"""The firewall between a model's claims and the ledger: a claim stands on words that were said, or it falls.

Rules:
1. The quote must stand in one message of the episode (almost verbatim: small models drop a comma).
2. Every name and number of the text must stand in the episode, or follow from its dates.
   5.2 % of another memory's entries were invented profiles ("John Doe"; mem0 issue 4573).
3. Where a person and the assistant said the same words, the person's message is the source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rapidfuzz import fuzz

from ltmld.core.days import local_day
from ltmld.core.exchange import StoredMessage
from ltmld.sleep.candidate import Candidate, kind_of
from ltmld.sleep.dates import moment
from ltmld.sleep.episode import Episode, is_person, speaker_name
from ltmld.sleep.replies import Draft
from ltmld.sleep.words import names, numbers, plain, words

QUOTE_RATIO_MIN = 90.0
"""Partial ratio (0-100) from which a quote counts as said: one slip in ten characters."""
QUOTE_CHARS_MIN = 6

NO_QUOTE = "no quote"
QUOTE_NOT_SAID = "quote was not said"
UNFOUNDED = "name or number was not said"

PERSON_CONFIDENCE, ASSISTANT_CONFIDENCE = 0.8, 0.5

# "last weekend" rightly becomes "8-9 July": the days of a month are worked out, not quoted.
_DAY = r"\d{1,2}(?:st|nd|rd|th)?(?:\s*[-\u2013]\s*\d{1,2})?"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_DAYS_OF_MONTH = re.compile(
    rf"\d{{4}}-\d{{2}}(?:-\d{{2}})?|\b{_DAY}(?: of)? (?={_MONTH})|(?<=[a-z] ){_DAY},? (?=\d{{4}})",
    re.IGNORECASE,
)

# Names that stand for roles, and words that models like to capitalize.
_ROLE_NAMES = frozenset({"user", "assistant", "ai", "mr", "mrs", "ms", "dr"})
_SELF = frozenset({"", "i", "me", "user", "the user", "speaker", "human"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A claim that fell, and why."""

    text: str
    reason: str


def admit(draft: Draft, episode: Episode, *, shown: frozenset[str] | None = None) -> Candidate | Refusal:
    """Return *draft* as a candidate founded on a message of *episode*, or the reason it is refused.

    ``shown`` are the ids of the messages that the model could read; all of them when ``None``.
    """
    readable = [message for message in episode.messages if shown is None or message.id in shown]
    if len(plain(draft.quote)) < QUOTE_CHARS_MIN and plain(draft.quote) not in {
        plain(m.text) for m in readable
    }:
        return Refusal(text=draft.text, reason=NO_QUOTE)
    source = _source(draft.quote, readable)
    if source is None:
        return Refusal(text=draft.text, reason=QUOTE_NOT_SAID)
    if not draft.quote.strip() or _unfounded(draft, episode):
        return Refusal(text=draft.text, reason=UNFOUNDED if draft.quote.strip() else NO_QUOTE)
    return _candidate(draft, source)


def _source(quote: str, messages: list[StoredMessage]) -> StoredMessage | None:
    """Return the message in which *quote* stands best; a person's before the assistant's."""
    wanted = plain(quote)
    best: tuple[float, StoredMessage] | None = None
    for message in messages:
        said = plain(message.text)
        # partial_ratio looks for the shorter in the longer: a message inside its quote is no proof.
        if len(said) < 0.8 * len(wanted):
            continue
        ratio = 100.0 if wanted in said else fuzz.partial_ratio(wanted, said, score_cutoff=QUOTE_RATIO_MIN)
        if ratio < QUOTE_RATIO_MIN:
            continue
        worth = ratio + (20.0 if is_person(message) else 0.0)
        if best is None or worth > best[0]:
            best = (worth, message)
    return best[1] if best else None


def _unfounded(draft: Draft, episode: Episode) -> bool:
    """Tell whether the text has a name or a number that nobody said and no date explains."""
    said = " ".join(f"{speaker_name(message)} {message.text}" for message in episode.messages)
    known = plain(said)
    spoken = set(words(said))
    for name in names(draft.text) - _ROLE_NAMES:
        if name not in known and not _nearly(name, spoken):
            return True
    founded = numbers(said) | _years(episode, draft.when)
    claimed = numbers(_DAYS_OF_MONTH.sub(" ", draft.text))
    return any(number not in founded for number in claimed)


def _nearly(name: str, spoken: set[str]) -> bool:
    """Tell whether a word like *name* was said: "Mel" for Melanie, "Canadian" for Canada."""
    return any(
        word[:3] == name[:3]
        and (word.startswith(name) or name.startswith(word) or fuzz.ratio(word, name) >= 75)
        for word in spoken
        if len(word) >= 3
    )


def _years(episode: Episode, when: str) -> frozenset[str]:
    """Return the years that "last year" or ``when`` may have become."""
    year = local_day(episode.messages[0].at).year
    around = {str(year + step) for step in range(-3, 4)}
    return frozenset(around | {part for part in when.split("-") if len(part) == 4})


def _candidate(draft: Draft, source: StoredMessage) -> Candidate:
    person = is_person(source)
    begins = moment(draft.when) if draft.when else None
    return Candidate(
        text=draft.text,
        kind=kind_of(draft.kind),
        message_id=source.id,
        quote=draft.quote,
        said_at=source.at,
        subject=_subject(draft.subject, source),
        attribute="_".join(words(draft.attribute.replace("_", " "))),
        when=draft.when,
        valid_from=begins,
        importance=draft.importance,
        confidence=PERSON_CONFIDENCE if person else ASSISTANT_CONFIDENCE,
        cues=draft.cues,
        personal=person,
    )


def _subject(subject: str, source: StoredMessage) -> str:
    if plain(subject) not in _SELF:
        return subject
    name = speaker_name(source) if source.role == "user" else "the user"
    return "user" if name == "the user" else name
