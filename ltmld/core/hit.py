"""What recall brings back: hits in order of use, and the text that would be injected."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One retrieved message or memory, as it would be injected.

    ``refs`` are the client's own references (or message ids where it gave none) of the messages behind
    the hit, in the order of the text; ``parts`` are the named components of ``score``.
    """

    id: str
    kind: str
    text: str
    score: float
    at: datetime | None
    refs: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recollection:
    """The answer to one recall: hits in ranking order, and ``text`` packed in chronological order."""

    text: str = ""
    tokens: int = 0
    hits: tuple[Hit, ...] = ()
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One retrieval unit of the index: a message, a passage of one, or a memory.

    ``text`` is what full-text search sees ("[date] speaker: words"), ``embed_text`` what the embedder
    sees, ``extra_texts`` further vectors of the same unit (sentences, cues). ``name`` is the person who
    speaks or is spoken of, empty where there is only a role.
    """

    id: str
    scope: str
    kind: str
    text: str
    embed_text: str
    extra_texts: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One unit of the index and its score; larger is better."""

    unit_id: str
    score: float
    kind: str = ""
