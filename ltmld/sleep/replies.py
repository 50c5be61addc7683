"""Read what a small model really answers: prose around the JSON, thinking, fences, half an answer.

A model's reply is an untrusted proposal. This module turns its text into values or says that it cannot;
it believes nothing about them (``firewall`` does that).

Rules:
1. Nothing a model writes can raise anything but ``CompletionError``.
2. One malformed item costs that item, never the rest of the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ltmld.errors import CompletionError

DRAFTS_MAX = 64
"""Most items taken from one answer: an episode of forty messages holds fewer; a looping model writes more."""
ANSWER_CHARS_MAX = 65_536
"""How much of an answer is read: four times what the model may write (``completion.REPLY_TOKENS_MAX``)."""
TEXT_CHARS_MAX = 600
CUES_MAX = 6

EXTRACT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "memories": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "text": {"type": "string"},
                    "kind": {
                        "type": "string",
                        "enum": ["fact", "preference", "event", "plan", "relationship", "identity"],
                    },
                    "subject": {"type": "string"},
                    "attribute": {"type": "string"},
                    "when": {"type": ["string", "null"]},
                    "importance": {"type": "number"},
                    "quote": {"type": "string"},
                    "cues": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["text", "kind", "subject", "attribute", "when", "importance", "quote", "cues"],
            },
        }
    },
    "required": ["memories"],
}

SUMMARIZE_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"lesson": {"type": "string"}},
    "required": ["lesson"],
}

_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_IMPORTANCE_WORDS = {"low": 0.3, "medium": 0.5, "moderate": 0.5, "high": 0.8, "critical": 0.95}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One item of an answer, every field of its right type, nothing believed."""

    text: str
    kind: str = ""
    subject: str = ""
    attribute: str = ""
    when: str = ""
    importance: float = 0.5
    quote: str = ""
    cues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafts:
    """What one answer held: usable items, and how many were malformed or lost to a cut."""

    items: tuple[Draft, ...]
    malformed: int = 0
    cut: bool = False


def read_drafts(text: str) -> Drafts:
    """Return the items of an extraction's answer.

    Raises:
        CompletionError: nothing in the text is an answer to the question.
    """
    bare = _without_thinking(text)
    rows, cut = _rows(bare)
    drafts = [draft for row in rows[:DRAFTS_MAX] if (draft := _draft(row)) is not None]
    malformed = len(rows[:DRAFTS_MAX]) - len(drafts)
    if rows and not drafts:
        raise CompletionError("the model's answer has items, and none of them has a text")
    return Drafts(items=tuple(drafts), malformed=malformed, cut=cut or len(rows) > DRAFTS_MAX)


def read_lesson(text: str) -> str:
    """Return the sentence of a summary's answer.

    Raises:
        CompletionError: there is none.
    """
    for value in _documents(_without_thinking(text)):
        if isinstance(value, dict) and isinstance(lesson := value.get("lesson"), str) and lesson.strip():
            return _line(lesson)
    raise CompletionError('the model\'s answer has no "lesson"')


def _without_thinking(text: str) -> str:
    bare = _THINKING.sub("", text[:ANSWER_CHARS_MAX])
    # Some templates open the thinking in the prompt, so that only its end is in the answer.
    _, closing, rest = bare.rpartition("</think>")
    return (rest if closing else bare).strip()


def _rows(text: str) -> tuple[list[Any], bool]:
    """Return the raw items of the first JSON value that holds any, and whether it was cut short."""
    for value in _documents(text):
        rows = _items(value)
        if rows is not None:
            return rows, False
    salvaged = _salvage(text)
    if salvaged:
        return salvaged, True
    raise CompletionError(
        "the model's answer is not the JSON that was asked for" if text else "the model's answer is empty"
    )


def _documents(text: str) -> Iterator[Any]:
    """Yield the outermost JSON values that stand anywhere in *text*, in order."""
    decoder = json.JSONDecoder(strict=False)
    position = 0
    while (found := re.compile(r"[{\[]").search(text, position)) is not None:
        try:
            value, position = decoder.raw_decode(text, found.start())
        except RecursionError:
            return  # nested deeper than any answer, and every bracket of it would be tried
        except ValueError:
            position = found.start() + 1
            if found.group() == "{":
                return  # an object that is cut short: what is inside it belongs to the salvage
        else:
            yield value


def _items(value: Any) -> list[Any] | None:
    """Return the list of items in *value*, whatever the model called it; ``None`` when there is no such list."""
    if isinstance(value, list):
        return value if not value or any(isinstance(row, dict) for row in value) else None
    if not isinstance(value, dict):
        return None
    for name in ("memories", "facts", "memory", "items"):
        if isinstance(rows := value.get(name), list):
            return rows
        if isinstance(rows, dict):
            return [rows]
    return [value] if isinstance(value.get("text"), str) else None


def _salvage(text: str) -> list[Any]:
    """Return the whole objects with a ``text`` inside an answer that was cut short or broken in one place."""
    decoder = json.JSONDecoder(strict=False)
    rows: list[Any] = []
    for found in re.finditer(r"\{\s*\"", text):
        try:
            value, _ = decoder.raw_decode(text, found.start())
        except RecursionError:
            break
        except ValueError:
            continue
        if isinstance(value, dict) and "text" in value:
            rows.append(value)
    return rows


def _draft(row: Any) -> Draft | None:
    if not isinstance(row, dict) or not isinstance(text := row.get("text"), str) or not text.strip():
        return None
    return Draft(
        text=_line(text)[:TEXT_CHARS_MAX],
        kind=_string(row.get("kind")),
        subject=_string(row.get("subject"))[:80],
        attribute=_string(row.get("attribute"))[:80],
        when=_string(row.get("when"))[:40],
        importance=_importance(row.get("importance")),
        quote=_string(row.get("quote"))[:TEXT_CHARS_MAX],
        cues=_cues(row.get("cues")),
    )


def _string(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, (int, float)):
        return str(value)
    text = value.strip() if isinstance(value, str) else ""
    return "" if text.casefold() in ("null", "none", "n/a", "unknown") else text


def _importance(value: Any) -> float:
    if isinstance(value, str):
        spelled = value.strip().casefold()
        if spelled in _IMPORTANCE_WORDS:
            return _IMPORTANCE_WORDS[spelled]
        try:
            value = float(spelled)
        except ValueError:
            return 0.5
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:  # noqa: PLR0124 - NaN
        return 0.5
    number = float(value)
    if number > 1.0:  # a model that counts to ten
        number /= 10.0
    return min(1.0, max(0.0, number))


def _cues(value: Any) -> tuple[str, ...]:
    rows = value if isinstance(value, list) else [value]
    texts = [_line(row)[:200] for row in rows if isinstance(row, str) and row.strip()]
    return tuple(dict.fromkeys(texts))[:CUES_MAX]


def _line(text: str) -> str:
    return " ".join(text.split())
