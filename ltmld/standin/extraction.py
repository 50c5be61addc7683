"""Play the model of sleep: fill the JSON schema that was asked for, from facts files or by plain rules.

Rules:
1. A fact of a facts file is written down when its ``quote`` stands in the prompt (case and spaces aside).
2. Without facts files, a user's plain first-person statements are written down, quoted word for word.
3. What the schema allows is obeyed, as Ollama's grammar would: a kind outside its list becomes one inside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ltmld.errors import BadInputError
from ltmld.standin.words import flat, sentences
from ltmld.wire.fields import listed, said, told

Tree = Mapping[str, Any]

_LINE = re.compile(r"^[\s*\u2022-]*(?:\[(?P<at>[^\]]*)\]\s*)?(?P<speaker>[^:\n]{1,40}):\s+(?P<words>.+)$")
_ASSISTANT = re.compile(r"\b(assistant|ai|model|system|tool)\b", re.IGNORECASE)
_MINE = re.compile(r"\bmy (?P<what>[\w' -]{2,40}?) (?:is|are|was)\b", re.IGNORECASE)
_FIRST = re.compile(
    r"^(?:i|i'm|i've|my|we|our)\b|\bmy\b|\bi (?:am|live|work|like|love|hate|prefer|have)\b", re.IGNORECASE
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_KINDS = tuple(
    (kind, re.compile(rf"\b(?:{words})\b", re.IGNORECASE))
    for kind, words in (
        ("preference", "like|love|hate|prefer|favou?rite|enjoy|allergic"),
        ("plan", "will|going to|plan|want to|next (?:week|month|year)"),
        ("relationship", "my (?:wife|husband|partner|sister|brother|mother|father|son|daughter|friend)"),
        ("identity", "my name is|i am called|call me"),
        ("event", "yesterday|last (?:week|month|year)|today|went|visited|bought|moved"),
    )
)
_PERSONS = (
    (r"\bI'm\b|\bI am\b", "{who} is"),
    (r"\bI've\b|\bI have\b", "{who} has"),
    (r"\bI'll\b", "{who} will"),
    (r"\bI\b (can|could|will|would|should|was|had|did|might|must)\b", r"{who} \1"),
    (
        r"\bI (live|work|like|love|hate|prefer|want|need|play|speak|eat|drink|drive|own|keep|know)\b",
        r"{who} \1s",
    ),
    (r"\bI\b|\bme\b", "{who}"),
    (r"\b[Mm]y\b|\b[Mm]ine\b", "{whose}"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a facts file: the memory as it will be answered, and its quote for comparing."""

    memory: Tree
    quote: str


def read_facts(path: Path) -> list[Fact]:
    """Read a facts file: one JSON object a line with text, kind, subject, attribute, when, importance, quote, cues.

    Raises:
        BadInputError: it cannot be read, or a line is no fact.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
        return [Fact(memory=_memory(row), quote=flat(row["quote"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInputError(
            f"{path} is not a facts file ({error!r}). It holds one JSON object a line."
        ) from error


def fill(schema: Tree, prompt: str, facts: Sequence[Fact]) -> Any:
    """Return a value of *schema*: memories, a lesson, or the plainest value that fits."""
    properties = told(schema, "properties")
    if "memories" in properties:
        found = _quoted(prompt, facts) if facts else _ruled(prompt)
        kinds = listed(told(told(told(told(properties, "memories"), "items"), "properties"), "kind"), "enum")
        return {"memories": [_allowed(memory, kinds) for memory in found]}
    return plain(schema, summary(prompt))


def plain(schema: Tree, text: str) -> Any:
    """Return the plainest value of a schema; strings get *text*."""
    if choices := listed(schema, "enum"):
        return choices[0]
    kinds = listed(schema, "type") or [schema.get("type")]
    match kinds[0]:
        case "object":
            members = told(schema, "properties")
            return {name: plain(told(members, name), text) for name in members}
        case "array":
            item = told(schema, "items")
            return [plain(item, text)] if said(item, "type") in ("string", "object") else []
        case "integer" | "number":
            return max(schema.get("minimum", 0), 0)
        case other:
            return {"boolean": True, "null": None}.get(other, text)


def summary(prompt: str) -> str:
    """Return one sentence made of the prompt's notes: the shortest that still says something."""
    notes = [
        line.lstrip("-*\u2022 ").strip()
        for line in prompt.splitlines()
        if line.strip().startswith(("-", "*", "["))
    ]
    told_by_notes = sorted((note for note in notes if len(note.split()) > 2), key=len)
    first = told_by_notes[0] if told_by_notes else next(iter(sentences(prompt)), "Nothing was said.")
    return re.sub(r"^\[[^\]]*\]\s*", "", first)


def _memory(row: Tree) -> Tree:
    names = ("text", "kind", "subject", "attribute", "when", "importance", "quote", "cues")
    return {name: row.get(name) for name in names}


def _quoted(prompt: str, facts: Sequence[Fact]) -> list[Tree]:
    text = flat(prompt)
    return [fact.memory for fact in facts if fact.quote and fact.quote in text]


def _allowed(memory: Tree, kinds: Sequence[Any]) -> Tree:
    if not kinds or memory["kind"] in kinds:
        return memory
    near = "preference" if memory["kind"] == "opinion" and "preference" in kinds else "fact"
    return {**memory, "kind": near if near in kinds else kinds[0]}


def _ruled(prompt: str) -> list[Tree]:
    memories = []
    for line in prompt.splitlines():
        found = _LINE.match(line)
        if found and not _ASSISTANT.search(found["speaker"]):
            day = _DATE.search(found["at"] or "")
            memories += [
                _stated(sentence, speaker=found["speaker"].strip(), day=day[0] if day else None)
                for sentence in sentences(found["words"])
                if _FIRST.search(sentence) and not sentence.endswith("?")
            ]
    return memories


def _stated(sentence: str, *, speaker: str, day: str | None) -> Tree:
    named = "" if speaker.lower() in ("user", "the user", "you", "me") else speaker
    mine = _MINE.search(sentence)
    attribute = mine["what"].strip().lower() if mine else ""
    who = named or "the user"
    return {
        "text": _third_person(sentence, who=named or "The user"),
        "kind": next((kind for kind, pattern in _KINDS if pattern.search(sentence)), "fact"),
        "subject": named or "user",
        "attribute": attribute.replace(" ", "_"),
        "when": day,
        "importance": 0.7,
        "quote": sentence,
        "cues": [f"What is {who}'s {attribute}?"] if attribute else [f"What did {who} say about this?"],
    }


def _third_person(sentence: str, *, who: str) -> str:
    for pattern, put in _PERSONS:
        sentence = re.sub(pattern, put.format(who=who, whose=f"{who}'s"), sentence)
    # "The user" inside a sentence is written small.
    return re.sub(r"(?<=[\w,;] )The user", "the user", sentence)
