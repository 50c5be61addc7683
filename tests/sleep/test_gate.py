"""Promise: junk is refused and what people say of themselves is admitted, each with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.exchange import StoredMessage
from ltmld.core.proposal import Verdict
from ltmld.sleep.gate import KNOWN, REASONS, gate
from tests.support.nights import a_message

CODE = "def main():\n    x = load()\n    for row in x:\n        print(row)\n    return 0\n"


def judged(*messages: StoredMessage, nearest: float = 0.0) -> list[Verdict]:
    return gate(messages, nearest=[nearest] * len(messages), threshold=0.5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ok", "phatic"),
        ("Thanks!", "phatic"),
        ("thank you so much, that's great", "phatic"),
        ("Hi there!", "phatic"),
        ("good morning, how are you?", "phatic"),
        ("", "phatic"),
        ("What is the capital of France?", "question"),
        (CODE, "code"),
        (f"```python\n{CODE}```", "code"),
        (
            "### Task:\nSuggest 3-5 follow-up questions\n<chat_history>\nUSER: hi\n</chat_history>",
            "boilerplate",
        ),
    ],
)
def test_junk_is_refused_with_its_reason(text: str, reason: str) -> None:
    verdict = judged(a_message(text))[0]
    assert not verdict.admitted
    assert verdict.reason == REASONS[reason]


@pytest.mark.parametrize(
    "text",
    [
        "I live in Lisbon.",
        "I'm allergic to peanuts",
        "My sister Ana is visiting us on 3 May",
        "we adopted two cats last week",
        "Remember that my wifi password is tulip42",
        "I hate olives",
        "Can you help me? I am writing a novel about my grandmother's farm in Norway.",
    ],
)
def test_what_a_person_says_of_themselves_is_admitted(text: str) -> None:
    assert judged(a_message(text))[0].admitted


def test_general_knowledge_of_the_assistant_weighs_less_than_the_same_words_of_a_person() -> None:
    words = "That is a good way to cook rice."
    person, machine = judged(
        a_message(words), a_message(words, minute=1, role="assistant", speaker="assistant")
    )
    assert machine.score < person.score


def test_the_same_long_words_a_second_time_are_repetition() -> None:
    words = "I want to tell you about my garden in Porto again"
    first, second = judged(a_message(words), a_message(words, minute=5))
    assert first.admitted
    assert not second.admitted
    assert second.reason == REASONS["repetition"]


def test_what_is_known_already_scores_less() -> None:
    new = judged(a_message("The weather is fine here today"))[0]
    known = judged(a_message("The weather is fine here today"), nearest=1.0)[0]
    assert known.score < new.score
    assert not known.admitted
    assert known.reason == KNOWN


@given(st.lists(st.text(max_size=200), max_size=6), st.floats(0, 1))
def test_every_message_gets_one_verdict_with_a_score_and_a_reason(texts: list[str], nearest: float) -> None:
    messages = [a_message(text, id=f"msg-{place}") for place, text in enumerate(texts)]
    verdicts = gate(messages, nearest=[nearest] * len(messages), threshold=0.5)
    assert [verdict.message_id for verdict in verdicts] == [message.id for message in messages]
    assert all(0.0 <= verdict.score <= 1.0 and verdict.reason for verdict in verdicts)
    assert all(verdict.admitted == (verdict.score >= 0.5) for verdict in verdicts)


@pytest.mark.parametrize("name", ["conv-26", "conv-30"])
def test_nearly_every_message_that_a_fact_rests_on_is_admitted(shared: Path, name: str) -> None:
    talks = json.loads((shared / "data" / "locomo-dev.json").read_text("utf-8"))
    talk = next(one for one in talks if one["sample_id"] == name)["conversation"]
    facts = (shared / "data" / "facts" / f"{name}.facts.jsonl").read_text("utf-8").splitlines()
    evidence = {ref for line in facts for ref in json.loads(line)["evidence"]}
    messages = [
        a_message(turn["text"], id=turn["dia_id"], speaker=turn["speaker"])
        for key, session in talk.items()
        if key.startswith("session_") and isinstance(session, list)
        for turn in session
    ]
    admitted = {verdict.message_id for verdict in judged(*messages) if verdict.admitted}
    assert len(evidence & admitted) >= 0.97 * len(evidence & {message.id for message in messages})
