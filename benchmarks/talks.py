"""Read conversations with questions and marked evidence: LoCoMo (people) and BEAM (a person and a model)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ltmld.ledger.imports import ImportLine

LOCOMO = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
ADVERSARIAL = "adversarial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question and the refs of the messages that hold its answer."""

    category: str
    text: str
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One conversation, in a scope of its own, and its questions."""

    name: str
    lines: tuple[ImportLine, ...]
    questions: tuple[Question, ...]


def read(path: Path) -> Iterator[Conversation]:
    """Read the conversations of a LoCoMo file (a list) or of a BEAM file (an object)."""
    document = json.loads(path.read_text("utf-8"))
    if isinstance(document, list):
        yield from map(_locomo, document)
    else:
        yield _beam(document)


def _locomo(document: Mapping[str, Any]) -> Conversation:
    talk, name = document["conversation"], document["sample_id"]
    sessions = [key for key in talk if key.startswith("session_") and not key.endswith("date_time")]
    lines = []
    for session in sorted(sessions, key=lambda key: int(key.split("_")[1])):
        began = datetime.strptime(talk[session + "_date_time"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        for number, turn in enumerate(talk[session]):
            photo = f" [shares a photo: {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            lines.append(
                ImportLine(
                    scope=name,
                    thread=f"{name}/{session}",
                    at=began + timedelta(seconds=20 * number),
                    role="user" if turn["speaker"] == talk["speaker_a"] else "assistant",
                    name=turn["speaker"],
                    text=turn["text"] + photo,
                    ref=turn["dia_id"],
                )
            )
    known = {line.ref for line in lines}
    questions = [
        Question(
            category=LOCOMO[asked["category"]],
            text=asked["question"],
            evidence=frozenset(
                {ref.strip() for text in asked.get("evidence", []) for ref in text.replace(";", " ").split()}
                & known
            ),
        )
        for asked in document["qa"]
    ]
    return Conversation(
        name=name,
        lines=tuple(lines),
        questions=tuple(question for question in questions if question.evidence),
    )


def _beam(document: Mapping[str, Any]) -> Conversation:
    lines, last = [], datetime(2024, 1, 1, tzinfo=UTC)
    for number, batch in enumerate(document["batches"]):
        for turn in batch:
            last = max(last, _anchor(turn.get("time_anchor")) or last) + timedelta(minutes=1)
            lines.append(
                ImportLine(
                    scope=document["id"],
                    thread=f"{document['id']}/{number}",
                    at=last,
                    role=turn["role"],
                    text=turn["content"].split("->->")[0].strip(),
                    ref=str(turn["id"]),
                )
            )
    questions = [
        Question(category=category, text=item["question"], evidence=_sources(item.get("source_chat_ids")))
        for category, items in document["questions"].items()
        for item in items
    ]
    return Conversation(
        name=document["id"],
        lines=tuple(lines),
        questions=tuple(question for question in questions if question.evidence),
    )


def _anchor(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%B-%d-%Y").replace(tzinfo=UTC)
    except ValueError:
        return None


def _sources(found: Any) -> frozenset[str]:
    if isinstance(found, dict):
        found = [item for value in found.values() for item in (value if isinstance(value, list) else [value])]
    return frozenset(map(str, found or ()))
