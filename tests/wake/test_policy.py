"""What is not talk is neither recorded nor changed; what is, may be narrowed and never widened."""

from __future__ import annotations

from typing import Any

import pytest

from ltmld.config import WakeSettings
from ltmld.wake.policy import decide
from tests.wake.test_identity import a_request

HELLO = ("user", "My dog is called Rex.")


@pytest.mark.parametrize(
    ("messages", "more"),
    [
        ([], {}),
        ([("system", "only this")], {}),
        ([HELLO], {"options": {"num_predict": 1}}),
        ([HELLO], {"_debug_render_only": True}),
        ([HELLO], {"format": {"type": "object"}}),
        ([("user", "### Task:\nGenerate a concise, 3-5 word title")], {}),
        ([("user", "### Task:\nDo the new thing\n### Output:\n<chat_history>\n</chat_history>")], {}),
        ([("system", "You are a title generator. You output ONLY a thread title."), HELLO], {}),
    ],
)
def test_what_is_not_talk_passes_as_if_ltmld_were_not_there(
    messages: list[tuple[str, str]], more: dict[str, Any]
) -> None:
    assert decide(a_request(*messages, **more), mode="", settings=WakeSettings()).hands_off


def test_talk_is_recorded_and_remembered() -> None:
    decision = decide(a_request(HELLO), mode="", settings=WakeSettings())
    assert decision.record
    assert decision.inject


def test_a_real_turn_with_retrieved_context_is_not_taken_for_a_background_task() -> None:
    words = (
        "### Task:\nRespond to the user query using the provided context.\n### Output:\nBe clear.\n"
        '<context>\n<source id="1"><document>Warmup</document></source>\n</context>\nHow is Rex?'
    )
    assert decide(a_request(("user", words)), mode="", settings=WakeSettings()).record


@pytest.mark.parametrize(
    ("mode", "record", "inject"), [("off", False, False), ("read", False, True), ("write", True, False)]
)
def test_the_header_narrows(mode: str, *, record: bool, inject: bool) -> None:
    decision = decide(a_request(HELLO), mode=mode, settings=WakeSettings())
    assert (decision.record, decision.inject) == (record, inject)


def test_the_header_cannot_switch_on_what_settings_switch_off() -> None:
    settings = WakeSettings(record=False, inject=False)
    assert decide(a_request(HELLO), mode="write", settings=settings).hands_off


def test_cloud_models_get_and_give_nothing_unless_allowed() -> None:
    cloud = a_request(HELLO, model="gpt-oss:120b-cloud")
    assert decide(cloud, mode="", settings=WakeSettings()).hands_off
    assert decide(cloud, mode="", settings=WakeSettings(cloud=True)).inject


def test_a_request_that_carries_a_block_already_gets_no_second_one() -> None:
    noted = a_request(("user", "<ltmld-memory>\nold\n</ltmld-memory>\n\nHow is Rex?"))
    decision = decide(noted, mode="", settings=WakeSettings())
    assert decision.record
    assert not decision.inject
