"""The extractor that needs no model: plain first-person statements become memories, by rule.

Rules:
1. Only what a person said of themselves counts; the assistant's words never do.
2. The quote is the sentence as it was said; the text stands on its own: a name, no "I", no "yesterday".
3. A sentence that is uncertain (an if, a wish, a question, a task for the model) gives nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from ltmld.core.exchange import StoredMessage
from ltmld.core.memory import MemoryKind
from ltmld.sleep.candidate import Candidate
from ltmld.sleep.dates import dated, moment
from ltmld.sleep.episode import is_person, speaker_name
from ltmld.sleep.patterns import REMEMBER, RULES, UNCERTAIN, Rule
from ltmld.sleep.words import plain, sentences

RULES_CONFIDENCE = 0.75
SENTENCE_WORDS_MAX = 45
SENTENCE_CHARS_MAX = 600
"""A longer "sentence" of so few words is no speech."""
PER_MESSAGE_MAX = 8

_THIRD_PERSON = {
    "i": "they", "i'm": "they are", "i've": "they have", "i'll": "they will", "i'd": "they would", "am": "are",
    "me": "them", "my": "their", "mine": "theirs", "myself": "themselves", "we": "they", "we're": "they are",
    "we've": "they have", "us": "them", "our": "their", "ours": "theirs", "ourselves": "themselves",
}  # fmt: skip
_SELF_WORD = re.compile(
    r"\b(?:" + "|".join(sorted(_THIRD_PERSON, key=len, reverse=True)) + r")\b(?!')", re.IGNORECASE
)
# "I took your advice": half of it is about someone else.
_SECOND_PERSON = re.compile(r"\b(?:you|your|yours|you're)\b", re.IGNORECASE)
_LEADING = re.compile(r"^(?:my|our)\b\s*(?=\S)", re.IGNORECASE)


def by_rules(message: StoredMessage) -> list[Candidate]:
    """Return what *message* states of the person who said it, at most ``PER_MESSAGE_MAX`` candidates."""
    if not is_person(message):
        return []
    spoken = (
        sentence
        for sentence in sentences(message.text)
        if len(sentence) <= SENTENCE_CHARS_MAX and len(sentence.split()) <= SENTENCE_WORDS_MAX
    )
    found = (candidate for sentence in spoken for candidate in _statements(sentence, message))
    return list(islice(found, PER_MESSAGE_MAX))


def _statements(sentence: str, message: StoredMessage) -> Iterator[Candidate]:
    spelled = sentence.replace("\u2019", "'")
    order = REMEMBER.match(spelled)
    if order:
        whole = _ordered(order["v"], sentence, message)
        inside = list(_matches(order["v"], sentence, message))
        # A rule that caught only part of an order would lose the rest of what is to be remembered.
        caught = max((len(candidate.text) for candidate in inside), default=0)
        yield from inside if caught >= len(order["v"]) else [whole]
        return
    if not UNCERTAIN.search(spelled):
        yield from _matches(spelled, sentence, message)


def _matches(spelled: str, sentence: str, message: StoredMessage) -> Iterator[Candidate]:
    met: set[str] = set()
    covered: list[tuple[int, int]] = []
    for rule in RULES:
        for match in rule.pattern.finditer(spelled):
            # An event inside "I moved to Porto" has already said what it says.
            inside = any(start < match.end() and match.start() < end for start, end in covered)
            candidate = None if inside else _candidate(rule, match, sentence, message)
            if candidate is not None and plain(candidate.text) not in met:
                met.add(plain(candidate.text))
                covered.append(match.span())
                yield candidate


def _candidate(rule: Rule, match: re.Match[str], sentence: str, message: StoredMessage) -> Candidate | None:
    caught = match.groupdict()
    value, when = dated(_third_person(caught["v"].strip()), at=message.at)
    if not when:
        when = dated(sentence, at=message.at)[1]
    if (rule.needs_date and not when) or _SECOND_PERSON.search(value):
        return None
    second = " ".join((caught.get("n") or "").lower().split())
    text = rule.template.format(S=_sentence_subject(message), v=value, n=second)
    attribute = rule.attribute.format(n=second.replace(" ", "_"))
    # A home or a trade holds from when it was said; only what happens on a day has a date of its own.
    dateless = rule.kind not in (MemoryKind.EVENT, MemoryKind.PLAN) and rule.attribute not in (
        "birth",
        "birthday",
    )
    return _made(
        text,
        sentence,
        message,
        kind=rule.kind,
        attribute=attribute,
        when="" if dateless else when,
        importance=rule.importance,
    )


def _ordered(words: str, sentence: str, message: StoredMessage) -> Candidate:
    spoken, when = dated(words, at=message.at)
    body = _LEADING.sub(f"{_sentence_subject(message)}'s ", spoken, count=1)
    text = f"{_sentence_subject(message)} asked to remember: {_third_person(body)}"
    return _made(text, sentence, message, kind=MemoryKind.FACT, attribute="", when=when, importance=0.9)


def _made(
    text: str,
    sentence: str,
    message: StoredMessage,
    *,
    kind: MemoryKind,
    attribute: str,
    when: str,
    importance: float,
) -> Candidate:
    return Candidate(
        text=" ".join(text.split()).rstrip(" ,;:-") + ".",
        kind=kind,
        message_id=message.id,
        quote=sentence,
        said_at=message.at,
        subject=_subject(message),
        attribute=attribute,
        when=when,
        valid_from=moment(when) if when else None,
        importance=importance,
        confidence=RULES_CONFIDENCE,
    )


def _subject(message: StoredMessage) -> str:
    name = speaker_name(message)
    return "user" if name == "the user" else name


def _sentence_subject(message: StoredMessage) -> str:
    name = speaker_name(message)
    return "The user" if name == "the user" else name


def _third_person(clause: str) -> str:
    return _SELF_WORD.sub(lambda found: _THIRD_PERSON[found[0].lower()], clause)
