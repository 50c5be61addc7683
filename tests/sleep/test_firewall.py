"""Promise: a claim stands on words that were said in its episode, or it is refused with a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ltmld.core.memory import MemoryKind
from ltmld.sleep.candidate import Candidate
from ltmld.sleep.episode import Episode, gather
from ltmld.sleep.firewall import NO_QUOTE, QUOTE_NOT_SAID, UNFOUNDED, Refusal, admit
from ltmld.sleep.replies import read_drafts
from tests.support.nights import a_message, an_item

USER = a_message("I moved to Lisbon last year, and my dog Rex loves it here.", id="msg-user")
MODEL = a_message(
    "Lovely! You should try the Time Out Market in Lisbon.",
    minute=1,
    id="msg-model",
    role="assistant",
    speaker="assistant",
)
EPISODE = Episode(messages=(USER, MODEL))


def judge(text: str, quote: str, episode: Episode = EPISODE, **fields: Any) -> Candidate | Refusal:
    draft = read_drafts(json.dumps({"memories": [an_item(text, quote, **fields)]})).items[0]
    return admit(draft, episode)


def admitted(text: str, quote: str, episode: Episode = EPISODE, **fields: Any) -> Candidate:
    found = judge(text, quote, episode, **fields)
    assert isinstance(found, Candidate), found
    return found


def reason(text: str, quote: str, **fields: Any) -> str:
    found = judge(text, quote, **fields)
    assert isinstance(found, Refusal), found
    return found.reason


def test_a_quoted_claim_stands_on_the_message_its_quote_stands_in() -> None:
    found = admitted("The user lives in Lisbon.", "I moved to Lisbon last year")
    assert found.message_id == "msg-user"
    assert found.subject == "user"
    assert found.personal


@pytest.mark.parametrize(
    "quote", ["i moved to lisbon last year", "I moved  to Lisbon last\nyear", "I moved to Lisbon last yaer"]
)
def test_a_slip_of_case_spacing_or_a_letter_is_forgiven(quote: str) -> None:
    assert admitted("The user lives in Lisbon.", quote).message_id == "msg-user"


def test_an_invented_quote_is_refused() -> None:
    assert reason("The user has a cat.", "I have a cat called Tom") == QUOTE_NOT_SAID


def test_a_claim_without_a_quote_is_refused() -> None:
    assert reason("The user lives in Lisbon.", "") == NO_QUOTE
    assert reason("The user lives in Lisbon.", "I") == NO_QUOTE


def test_a_true_quote_does_not_carry_an_invented_name_or_number() -> None:
    assert reason("The user's name is John Doe and lives in Lisbon.", "I moved to Lisbon") == UNFOUNDED
    assert reason("The user has 3 dogs in Lisbon.", "my dog Rex loves it here") == UNFOUNDED


def test_a_date_that_follows_from_the_conversation_is_no_invention() -> None:
    found = admitted("The user moved to Lisbon in 2025.", "I moved to Lisbon last year", when="2025")
    assert found.valid_from == datetime(2025, 1, 1, tzinfo=UTC)
    admitted("The user moved to Lisbon on the weekend of 7-8 March 2026.", "I moved to Lisbon last year")


def test_a_claim_on_the_assistants_words_alone_carries_less_confidence() -> None:
    user = admitted("The user lives in Lisbon.", "I moved to Lisbon")
    model = admitted("The assistant suggested the Time Out Market.", "try the Time Out Market")
    assert model.message_id == "msg-model"
    assert model.confidence < user.confidence
    assert not model.personal


def test_words_that_both_said_count_as_the_users() -> None:
    echo = a_message(
        "You live in Lisbon now.", minute=-1, id="msg-echo", role="assistant", speaker="assistant"
    )
    said = a_message("Yes, I live in Lisbon now.", id="msg-said")
    found = admitted("The user lives in Lisbon.", "live in Lisbon now", Episode(messages=(echo, said)))
    assert found.message_id == "msg-said"


def test_a_message_that_the_model_could_not_read_proves_nothing() -> None:
    draft = read_drafts(json.dumps({"memories": [an_item("The user lives in Lisbon.", "I moved to Lisbon")]}))
    found = admit(draft.items[0], EPISODE, shown=frozenset({"msg-model"}))
    assert isinstance(found, Refusal)


def test_kinds_and_subjects_that_models_write_are_mapped() -> None:
    opinion = admitted("The user loves Lisbon.", "I moved to Lisbon", kind="opinion", subject="The User")
    assert opinion.kind is MemoryKind.PREFERENCE
    assert opinion.subject == "user"
    assert admitted("x Lisbon", "I moved to Lisbon", kind="whatever").kind is MemoryKind.FACT
    assert admitted("x Lisbon", "I moved to Lisbon", kind="lesson").kind is MemoryKind.FACT


@pytest.mark.parametrize("name", ["conv-26", "conv-30"])
def test_the_facts_of_a_careful_model_pass(shared: Path, name: str) -> None:
    talks = json.loads((shared / "data" / "locomo-dev.json").read_text("utf-8"))
    talk = next(one for one in talks if one["sample_id"] == name)["conversation"]
    lines = (shared / "data" / "facts" / f"{name}.facts.jsonl").read_text("utf-8").splitlines()
    passed = 0
    for row in (json.loads(line) for line in lines):
        said = talk[f"session_{row['session']}"]
        held = talk[f"session_{row['session']}_date_time"]
        at = datetime.strptime(f"{held} +0000", "%I:%M %p on %d %B, %Y %z")
        messages = [
            a_message(turn["text"], id=turn["dia_id"], speaker=turn["speaker"], at=at) for turn in said
        ]
        episodes = gather(messages, gap=timedelta(minutes=30), messages_max=99)
        draft = read_drafts(json.dumps({"memories": [row]})).items[0]
        judged = [admit(draft, episode) for episode in episodes]
        passed += any(isinstance(one, Candidate) and one.message_id in row["evidence"] for one in judged)
    assert passed >= 0.98 * len(lines)
