"""The stand-in plays the model of sleep: facts by their quotes, else by plain rules, always inside the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ollama
import pytest

from ltmld.standin.extraction import fill, read_facts, summary
from ltmld.standin.server import running_standin

KINDS = ["fact", "preference", "event", "plan", "relationship", "identity"]
FIELDS = ["text", "kind", "subject", "attribute", "when", "importance", "quote", "cues"]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "memories": {
            "type": "array",
            "items": {"type": "object", "properties": {"kind": {"type": "string", "enum": KINDS}}},
        }
    },
}
FACT = {
    "text": "Ann adores her new cat.",
    "kind": "opinion",
    "subject": "Ann",
    "attribute": "cat",
    "when": "2026-05-07",
    "importance": 0.6,
    "evidence": ["D1:1"],
    "quote": "I'm in love with my   new cat",
    "cues": ["What pet does Ann have?"],
}


@pytest.fixture
def facts_file(tmp_path: Path) -> Path:
    path = tmp_path / "ann.facts.jsonl"
    path.write_text(json.dumps(FACT) + "\n\n", encoding="utf-8")
    return path


def memories(prompt: str, *files: Path) -> list[dict[str, Any]]:
    facts = [fact for file in files for fact in read_facts(file)]
    found: list[dict[str, Any]] = fill(SCHEMA, prompt, facts)["memories"]
    return found


def test_a_fact_is_found_by_its_quote_case_spaces_and_quotes_aside(facts_file: Path) -> None:
    (memory,) = memories("[2026-05-07 10:00] Ann: Oh, i\u2019m in LOVE\nwith my new cat!", facts_file)
    assert list(memory) == FIELDS
    assert memory["text"] == FACT["text"]
    assert memory["quote"] == FACT["quote"]


def test_a_fact_whose_quote_is_not_there_is_not_told(facts_file: Path) -> None:
    assert memories("[2026-05-07 10:00] Ann: I have a dog.", facts_file) == []


def test_a_kind_outside_the_schema_becomes_one_inside(facts_file: Path) -> None:
    assert memories("I'm in love with my new cat", facts_file)[0]["kind"] == "preference"
    free = fill({"properties": {"memories": {}}}, "I'm in love with my new cat", read_facts(facts_file))
    assert free["memories"][0]["kind"] == "opinion"


@pytest.mark.parametrize(
    ("line", "text", "kind", "attribute"),
    [
        ("My dog is called Bruno.", "The user's dog is called Bruno.", "fact", "dog"),
        (
            "I live in Lisbon with my wife.",
            "The user lives in Lisbon with the user's wife.",
            "relationship",
            "",
        ),
        ("I'm allergic to peanuts.", "The user is allergic to peanuts.", "preference", ""),
    ],
)
def test_without_facts_a_users_own_statements_are_noted(
    line: str, text: str, kind: str, attribute: str
) -> None:
    (memory,) = memories(f"[2026-05-07 10:00] the user: {line}")
    assert list(memory) == FIELDS
    assert (memory["text"], memory["kind"], memory["attribute"]) == (text, kind, attribute)
    assert (memory["quote"], memory["subject"], memory["when"]) == (line, "user", "2026-05-07")


def test_neither_questions_nor_what_the_assistant_says_is_noted() -> None:
    assert (
        memories("[2026-05-07 10:00] the user: What is my name?\n[2026-05-07] the assistant: I like you.")
        == []
    )


def test_a_named_speaker_is_the_subject() -> None:
    (memory,) = memories("[2026-05-07 10:00] Ann: I live in Oslo.")
    assert (memory["text"], memory["subject"]) == ("Ann lives in Oslo.", "Ann")


def test_a_lesson_is_made_of_the_notes_and_shorter_than_they_are() -> None:
    prompt = "The notes:\n\n- [2026-05-07] Ann's dog is a beagle.\n- Ann walks her dog by the river daily.\n"
    lesson = fill({"type": "object", "properties": {"lesson": {"type": "string"}}}, prompt, [])
    assert lesson == {"lesson": "Ann's dog is a beagle."} == {"lesson": summary(prompt)}


def test_any_schema_is_filled_with_the_plainest_value() -> None:
    schema = {
        "type": "object",
        "properties": {
            "ok": {"type": "boolean"},
            "n": {"type": "integer", "minimum": 2},
            "color": {"enum": ["red", "green"]},
            "when": {"type": ["null", "string"]},
            "lessons": {"type": "array", "items": {"type": "string"}},
            "none": {"type": "array", "items": {"type": "number"}},
        },
    }
    filled = fill(schema, "- Ann has a dog.", [])
    assert filled == {
        "ok": True,
        "n": 2,
        "color": "red",
        "when": None,
        "lessons": ["Ann has a dog."],
        "none": [],
    }


def test_the_schema_in_a_request_asks_for_it(facts_file: Path) -> None:
    content = "Notes please.\n[2026-05-07 10:00] Ann: I'm in love with my new cat!"
    with running_standin(facts=[facts_file]) as standin, ollama.Client(host=standin.url) as client:
        answer = client.chat(model="stand-in", messages=[{"role": "user", "content": content}], format=SCHEMA)
        assert [memory["subject"] for memory in json.loads(answer.message.content or "")["memories"]] == [
            "Ann"
        ]


def test_every_fact_of_a_whole_conversation_is_found_in_it(shared: Path) -> None:
    data = json.loads((shared / "data" / "locomo-dev.json").read_text("utf-8"))
    talk = json.dumps(next(item for item in data if item["sample_id"] == "conv-26"), ensure_ascii=False)
    facts = read_facts(shared / "data" / "facts" / "conv-26.facts.jsonl")
    found = fill(SCHEMA, talk.replace('\\"', '"').replace("\\n", "\n"), facts)["memories"]
    assert len(found) >= 0.95 * len(facts) > 200
