"""What one recall knows before it orders anything: the units offered, and the messages and memories behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ltmld.core.days import day_start
from ltmld.core.exchange import StoredMessage
from ltmld.core.hit import Scored
from ltmld.core.memory import Memory
from ltmld.core.message import Role
from ltmld.index.units import PASSAGE, ROLES, SPEECH, message_passages, owner, passage_number
from ltmld.wake.dates import iso_span, speaks_of_time
from ltmld.wake.news import has_news
from ltmld.wake.question import Question
from ltmld.wake.ranking import Candidate


@dataclass(slots=True, kw_only=True)
class Found:
    """Scores by unit, and the entities behind the units."""

    units: dict[str, Scored]
    lexical: Mapping[str, float]
    cosine: Mapping[str, float]
    messages: dict[str, StoredMessage]
    memories: Mapping[str, Memory]


def candidates(found: Found, question: Question, *, news_only: bool) -> list[Candidate]:
    """Return what can be ordered: what the ledger still has, with *news_only* what says more than the question."""
    made: list[Candidate] = []
    for unit_id, unit in found.units.items():
        scores = {"lexical": found.lexical.get(unit_id), "cosine": found.cosine.get(unit_id)}
        if unit.kind not in SPEECH:
            memory = found.memories.get(unit_id)
            if memory is not None:
                made.append(_of_memory(memory, found, question, **scores))
            continue
        message = found.messages.get(owner(unit_id))
        # Left out here already, so that it never makes its neighbors look important either.
        if message is not None and (not news_only or has_news(words_of(unit_id, message), question.text)):
            made.append(_of_message(unit_id, message, question, passage=unit.kind == PASSAGE, **scores))
    return made


def words_of(unit_id: str, message: StoredMessage) -> str:
    """Return the words of a unit: its message's, or those of the passage that it is."""
    number = passage_number(unit_id)
    return message.text if number is None else message_passages(message.text)[number]


def began(memory: Memory, found: Found) -> datetime:
    """Return when what a memory tells of was so, or else was said, or else was learned."""
    if memory.valid_from is not None:
        return memory.valid_from
    span = iso_span(memory.when)
    return day_start(span.begin) if span is not None else _said(memory, found)


def _said(memory: Memory, found: Found) -> datetime:
    said = [
        found.messages[source.message_id].at
        for source in memory.sources
        if source.message_id in found.messages
    ]
    return min(said, default=memory.recorded_at)


def _of_message(
    unit_id: str,
    message: StoredMessage,
    question: Question,
    *,
    passage: bool,
    lexical: float | None,
    cosine: float | None,
) -> Candidate:
    # Looking for words of time in every candidate costs a third of a recall: only where it is asked for.
    looks = question.time.asks_when
    return Candidate(
        unit_id=unit_id,
        at=message.at,
        lexical=lexical,
        cosine=cosine,
        message_id=message.id,
        previous_id=message.parent_id or "",
        thread_id=message.thread_id,
        person="" if message.speaker in ROLES else message.speaker,
        by_model=message.speaker == Role.ASSISTANT,
        passage=passage,
        tells_time=looks and speaks_of_time(words_of(unit_id, message)),
        dated=question.time.meets(message.at),
    )


def _of_memory(
    memory: Memory, found: Found, question: Question, *, lexical: float | None, cosine: float | None
) -> Candidate:
    said, then = _said(memory, found), began(memory, found)
    return Candidate(
        unit_id=memory.id,
        at=then,
        lexical=lexical,
        cosine=cosine,
        person=memory.subject,
        tells_time=question.time.asks_when and (bool(memory.when) or speaks_of_time(memory.text)),
        dated=max(question.time.meets(said), question.time.meets(then)),
        strength=memory.strength,
        sources=tuple(source.message_id for source in memory.sources),
    )
