"""Promise: whatever a small model writes becomes values or one clear error; a broken item costs that item."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.errors import CompletionError
from ltmld.sleep.replies import DRAFTS_MAX, EXTRACT_SCHEMA, read_drafts, read_lesson
from tests.support.nights import an_item

ITEM = an_item("The user lives in Lisbon.", "I live in Lisbon", attribute="home", cues=["Where?"])
GOOD = json.dumps({"memories": [ITEM]})


def texts(answer: str) -> list[str]:
    return [draft.text for draft in read_drafts(answer).items]


def test_the_schema_asks_for_exactly_the_fields_of_the_facts_files() -> None:
    assert list(EXTRACT_SCHEMA["properties"]) == ["memories"]
    item = EXTRACT_SCHEMA["properties"]["memories"]["items"]
    fields = ["text", "kind", "subject", "attribute", "when", "importance", "quote", "cues"]
    assert list(item["properties"]) == fields
    assert item["required"] == fields


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"Sure! Here are the memories:\n```json\n{GOOD}\n```\nLet me know if you need more.",
        f"<think>The user said {{something}} about home.</think>{GOOD}",
        f'<reasoning>Maybe {{"memories": [{{"text": "A draft."}}]}}?</reasoning>{GOOD}',
        f"so the user lives there</think>\n{GOOD}",
        f"[thinking] hm {GOOD}",
        json.dumps([ITEM]),
        json.dumps({"facts": [ITEM]}),
        json.dumps({"memories": ITEM}),
        json.dumps(ITEM),
    ],
)
def test_the_items_are_found_whatever_stands_around_them(answer: str) -> None:
    assert texts(answer) == ["The user lives in Lisbon."]


def test_an_empty_list_is_an_answer_and_an_empty_text_is_none() -> None:
    assert texts('{"memories": []}') == []
    for nothing in ("", "   ", "I could not find anything.", "{", '{"a": 1}', "null", "<think>hm</think>"):
        with pytest.raises(CompletionError):
            read_drafts(nothing)


def test_an_answer_cut_short_keeps_its_whole_items() -> None:
    whole = json.dumps({"memories": [ITEM, {**ITEM, "text": "The user has a cat."}]})
    drafts = read_drafts(whole[:-30])
    assert [draft.text for draft in drafts.items] == ["The user lives in Lisbon."]
    assert drafts.cut


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"importance": "0.8"}, {"importance": 0.8}),
        ({"importance": "high"}, {"importance": 0.8}),
        ({"importance": 7}, {"importance": 0.7}),
        ({"importance": -3}, {"importance": 0.0}),
        ({"importance": None}, {"importance": 0.5}),
        ({"importance": True}, {"importance": 0.5}),
        ({"cues": "Where does the user live?"}, {"cues": ("Where does the user live?",)}),
        ({"cues": [None, 3, "Who?", "Who?"]}, {"cues": ("Who?",)}),
        ({"when": 2019}, {"when": "2019"}),
        ({"when": "null"}, {"when": ""}),
        ({"subject": ["user"]}, {"subject": ""}),
        ({"text": " two\n words "}, {"text": "two words"}),
    ],
)
def test_a_field_of_the_wrong_type_is_mended(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    draft = read_drafts(json.dumps({"memories": [{**ITEM, **fields}]})).items[0]
    assert {name: getattr(draft, name) for name in expected} == expected


def test_a_malformed_item_is_counted_and_the_others_stay() -> None:
    drafts = read_drafts(json.dumps({"memories": [ITEM, "words", {"kind": "fact"}, None, {"text": 3}]}))
    assert [draft.text for draft in drafts.items] == ["The user lives in Lisbon."]
    assert drafts.malformed == 4


def test_missing_fields_have_defaults() -> None:
    assert read_drafts('{"memories": [{"text": "The user has a cat."}]}').items[0].quote == ""


def test_a_model_that_loops_is_cut_off() -> None:
    drafts = read_drafts(json.dumps({"memories": [ITEM] * 500}))
    assert len(drafts.items) == DRAFTS_MAX
    assert drafts.cut


def test_a_lesson_is_one_line() -> None:
    assert read_lesson('Here: {"lesson": "Ana\\nlikes tea."}') == "Ana likes tea."
    for nothing in ('{"lesson": ""}', '{"lesson": 3}', "no", "[]"):
        with pytest.raises(CompletionError):
            read_lesson(nothing)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["memories", "text", "quote", "cues", "importance", "lesson", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON.map(json.dumps) | st.text(max_size=80), st.text(max_size=10), st.integers(0, 200))
def test_no_answer_raises_anything_but_a_completion_error(answer: str, around: str, cut: int) -> None:
    for read in (read_drafts, read_lesson):
        try:
            read((around + answer)[: cut or None])
        except CompletionError:
            continue


@given(st.integers(0, len(json.dumps({"memories": [ITEM] * 3}))))
def test_a_cut_anywhere_never_invents_an_item(cut: int) -> None:
    try:
        found = texts(json.dumps({"memories": [ITEM] * 3})[:cut])
    except CompletionError:
        return
    assert set(found) <= {"The user lives in Lisbon."}
    assert len(found) <= 3
