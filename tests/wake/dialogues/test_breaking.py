"""The promise: however an exchange ends, it is recorded as what it is, and asked again it is the same turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.dialogues import Asked, Talk
from tests.support.tongues import EVERY

Ending = Callable[[Asked], Awaitable[None]]

# How it ends; what the exchange is then, what the ledger keeps of the answer, and whether it is said why.
ENDINGS: dict[str, tuple[Ending, str, bool, bool]] = {
    "whole": (lambda asked: asked.gets("one two"), "completed", True, False),
    "nothing said": (lambda asked: asked.gets(""), "completed", False, False),
    "client left": (lambda asked: asked.breaks("one two"), "cut_short", True, False),
    "client left at once": (lambda asked: asked.breaks(), "cut_short", False, False),
    "Ollama died": (lambda asked: asked.breaks("one two", error="closed by Ollama"), "failed", True, True),
    "refused with 500": (lambda asked: asked.refused(500), "failed", False, True),
    "busy": (lambda asked: asked.refused(503), "failed", False, True),
}


@pytest.mark.parametrize("path", EVERY)
@pytest.mark.parametrize("name", ENDINGS)
async def test_an_exchange_is_recorded_as_it_ended(tmp_path: Path, path: str, name: str) -> None:
    ends, outcome, kept, told = ENDINGS[name]
    talk = Talk(tmp_path, path=path)
    await ends(await talk.asks("I have a dog"))
    assert talk.outcomes() == [outcome]
    assert talk.everything() == ["user: I have a dog", *(["assistant: one two"] if kept else [])]
    assert bool(talk.errors()[0]) is told
    await talk.close()


@pytest.mark.parametrize("path", EVERY)
async def test_a_failure_in_mid_stream_never_counts_as_an_end(tmp_path: Path, path: str) -> None:
    talk = Talk(tmp_path, path=path)
    await (await talk.asks("I have a dog")).fails("one two")
    assert talk.outcomes() == ["failed"]
    assert talk.everything() == ["user: I have a dog", "assistant: one two"]
    await talk.close()


@pytest.mark.parametrize("path", EVERY)
@pytest.mark.parametrize("status", [400, 403, 404])
async def test_what_ollama_refuses_was_never_said(tmp_path: Path, path: str, status: int) -> None:
    talk = Talk(tmp_path, path=path)
    await (await talk.asks("I have a dog")).refused(status)
    assert (talk.outcomes(), talk.everything()) == ([], [])
    await talk.close()


async def test_an_abort_keeps_what_the_person_said_and_the_answer_so_far(any_talk: Talk) -> None:
    await (await any_talk.asks("tell me a story")).breaks("Once upon")
    assert any_talk.everything() == ["user: tell me a story", "assistant: Once upon"]
    assert any_talk.outcomes() == ["cut_short"]


@pytest.mark.parametrize("before", ["", "Once upon"])
async def test_a_retry_takes_the_place_of_what_broke_off(any_talk: Talk, before: str) -> None:
    await (await any_talk.asks("tell me a story")).breaks(before, error="closed by Ollama")
    await any_talk.turn("tell me a story", gets="Once upon a time.")
    assert any_talk.threads() == [["tell me a story", "Once upon a time."]]
    assert any_talk.everything().count("user: tell me a story") == 1
    assert any_talk.outcomes() == ["failed", "completed"]


async def test_a_retry_that_breaks_off_leaves_the_whole_answer_standing(any_talk: Talk) -> None:
    await any_talk.turn("tell me a story", gets="Once upon a time.")
    await (await any_talk.asks("tell me a story")).breaks("Twice")
    assert any_talk.threads() == [["tell me a story", "Once upon a time."]]


async def test_an_old_answer_that_ends_after_its_retry_takes_nothings_place(any_talk: Talk) -> None:
    await any_talk.converse("hello", "hi")
    slow = await any_talk.asks("hello", "hi", "a story?")
    await any_talk.turn("hello", "hi", "a story?", gets="Once upon a time.")
    await slow.gets("Long ago.")
    assert any_talk.threads() == [["hello", "hi", "a story?", "Once upon a time."]]


async def test_an_identical_request_after_a_restart_is_the_same_turn(any_talk: Talk) -> None:
    await any_talk.converse("hello", "hi")
    await any_talk.turn("hello", "hi", "dog?", gets="yes")
    await any_talk.restart()
    await any_talk.turn("hello", "hi", "dog?", gets="yes")
    await any_talk.turn("hello", "hi", "dog?", "yes", "cat?", gets="no")
    assert any_talk.threads() == [["hello", "hi", "dog?", "yes", "cat?", "no"]]
    assert len(any_talk.everything()) == 6


async def test_one_request_sent_twice_at_once_is_one_turn(any_talk: Talk) -> None:
    asked = await asyncio.gather(*(any_talk.asks("I have a dog") for _ in range(8)))
    await asyncio.gather(*(one.gets("nice") for one in asked))
    assert any_talk.threads() == [["I have a dog", "nice"]]
    assert any_talk.everything() == ["user: I have a dog", "assistant: nice"]


async def test_requests_in_flight_over_a_restart_are_one_turn(any_talk: Talk) -> None:
    first = await any_talk.asks("I have a dog")
    await first.gets("nice")
    await any_talk.restart()
    again = await any_talk.asks("I have a dog")
    await again.gets("how nice")
    assert any_talk.threads() == [["I have a dog", "how nice"]]
