"""Promise: a unit is a function of its message or memory, and leads back to it."""

from __future__ import annotations

from datetime import UTC, datetime

from ltmld.core.exchange import StoredMessage
from ltmld.core.memory import MemoryKind
from ltmld.index.units import (
    MESSAGE,
    PASSAGE,
    memory_unit,
    message_passages,
    message_units,
    owner,
    passage_number,
)
from tests.support.ledgers import a_memory


def a_message(text: str, *, speaker: str = "Caroline") -> StoredMessage:
    return StoredMessage(
        id="msg-1",
        scope="s",
        thread_id="thr-1",
        exchange_id="exc-1",
        parent_id=None,
        ordinal=0,
        role="user",
        speaker=speaker,
        text=text,
        at=datetime(2023, 5, 8, tzinfo=UTC),
    )


def test_full_text_sees_date_and_speaker_the_embedder_the_words() -> None:
    (unit,) = message_units(a_message("I went to Lisbon."))
    assert (unit.id, unit.kind, unit.name) == ("msg-1", MESSAGE, "Caroline")
    assert unit.text == "[8 May 2023] Caroline: I went to Lisbon."
    assert unit.embed_text == "I went to Lisbon."


def test_a_role_is_no_name() -> None:
    assert message_units(a_message("Hi there.", speaker="user"))[0].name == ""


def test_a_long_message_becomes_passages_that_lead_back_to_it() -> None:
    text = " ".join(f"Sentence number {number} is here." for number in range(100))
    units = message_units(a_message(text))
    assert len(units) > 3
    assert {unit.kind for unit in units} == {PASSAGE}
    assert {owner(unit.id) for unit in units} == {"msg-1"}
    for unit in units:
        number = passage_number(unit.id)
        assert number is not None
        assert unit.embed_text == message_passages(text)[number]


def test_a_message_without_words_has_no_unit() -> None:
    assert message_units(a_message("  \n ")) == []


def test_a_memory_has_its_cues_as_further_keys() -> None:
    memory = a_memory(
        "Ada has a dog.",
        kind=MemoryKind.RELATIONSHIP,
        subject="Ada",
        cues=("Who has a dog?",),
        valid_from=datetime(2024, 2, 1, tzinfo=UTC),
    )
    unit = memory_unit(memory)
    assert unit.text == "[1 February 2024] Ada: Ada has a dog."
    assert (unit.kind, unit.extra_texts) == ("relationship", ("Who has a dog?",))
