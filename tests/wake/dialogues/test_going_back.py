"""The promise: made anew, edited, branched, asked of two models: each turn lies there once, the last shown counts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dialogues import Talk

START = ("hello", "hi", "dog?", "yes")


async def test_an_answer_made_anew_takes_the_place_of_the_first(any_talk: Talk) -> None:
    await any_talk.converse(*START)
    await any_talk.turn(*START[:3], gets="no")
    assert any_talk.threads() == [["hello", "hi", "dog?", "no"]]
    assert len(any_talk.everything()) == 5


async def test_a_client_that_goes_on_from_the_first_answer_has_chosen_it(any_talk: Talk) -> None:
    await any_talk.converse(*START)
    await any_talk.turn(*START[:3], gets="no")
    await any_talk.turn(*START, "cat?", gets="two")
    assert any_talk.threads() == [[*START, "cat?", "two"]]


async def test_an_answer_made_anew_that_says_the_same_is_the_same(any_talk: Talk) -> None:
    await any_talk.converse(*START)
    await any_talk.turn(*START[:3], gets="yes")
    assert any_talk.threads() == [list(START)]
    assert len(any_talk.everything()) == 4


async def test_an_answer_far_back_made_anew_takes_what_followed_with_it(any_talk: Talk) -> None:
    await any_talk.converse(*START, "cat?", "two", "cow?", "none")
    await any_talk.turn(*START[:3], gets="no")
    assert any_talk.threads() == [["hello", "hi", "dog?", "no"]]
    await any_talk.turn(*START[:3], "no", "bird?", gets="one")
    assert any_talk.threads() == [["hello", "hi", "dog?", "no", "bird?", "one"]]


async def test_an_edited_message_is_a_branch_and_the_old_tail_rests(any_talk: Talk) -> None:
    await any_talk.converse(*START, "cat?", "two")
    await any_talk.turn("hello", "hi", "any pets?", gets="Tell me.")
    assert any_talk.threads() == [["hello", "hi", "any pets?", "Tell me."]]
    assert len(any_talk.everything()) == 8


async def test_going_back_to_the_branch_that_rested_wakes_all_of_it(any_talk: Talk) -> None:
    await any_talk.converse(*START, "cat?", "two")
    await any_talk.turn("hello", "hi", "any pets?", gets="Tell me.")
    await any_talk.turn(*START, "cat?", "two", "cow?", gets="none")
    assert any_talk.threads() == [[*START, "cat?", "two", "cow?", "none"]]


async def test_an_edit_whose_answer_fails_is_still_what_the_client_shows(any_talk: Talk) -> None:
    await any_talk.converse(*START)
    asked = await any_talk.asks("hello", "hi", "any pets?")
    await asked.breaks(error="upstream closed the connection")
    assert any_talk.threads() == [["hello", "hi", "any pets?"]]


@pytest.mark.parametrize("first_done", [0, 1])
@pytest.mark.parametrize("chosen", ["from a", "from b"])
async def test_two_models_answer_one_message_and_the_next_request_chooses(
    any_talk: Talk, first_done: int, chosen: str
) -> None:
    await any_talk.converse(*START)
    asked = [await any_talk.asks(*START, "cat?", model=model) for model in ("a", "b")]
    answers = ["from a", "from b"]
    for place in (first_done, 1 - first_done):
        await asked[place].gets(answers[place])
    assert any_talk.everything().count("user: cat?") == 1
    # The one that was asked last stands until the person chooses.
    assert any_talk.threads() == [[*START, "cat?", "from b"]]
    await any_talk.turn(*START, "cat?", chosen, "why?", gets="so", model="a")
    assert any_talk.threads() == [[*START, "cat?", chosen, "why?", "so"]]


@pytest.mark.parametrize("key", ["", "chat-1"])
async def test_two_models_at_the_first_message_are_one_conversation(any_talk: Talk, key: str) -> None:
    named: dict[str, Any] = {"x_ltmld_thread": key} if key else {}
    asked = [await any_talk.asks("hello", model=model, **named) for model in ("a", "b")]
    await asked[0].gets("from a")
    await asked[1].gets("from b")
    await any_talk.turn("hello", "from a", "go on", gets="gladly", **named)
    assert any_talk.threads() == [["hello", "from a", "go on", "gladly"]]
    assert any_talk.everything().count("user: hello") == 1


async def test_two_models_that_each_keep_their_own_history_stay_side_by_side(any_talk: Talk) -> None:
    for model in ("a", "b"):
        await any_talk.turn("hello", gets=f"hello from {model}", model=model)
    for model in ("a", "b"):
        await any_talk.turn("hello", f"hello from {model}", "dog?", gets=f"yes from {model}", model=model)
    [thread] = any_talk.threads()
    assert sorted(thread) == sorted(
        ["hello", "hello from a", "dog?", "yes from a", "hello from b", "dog?", "yes from b"]
    )


async def test_an_answer_that_goes_on_from_its_beginning_is_one_answer(any_talk: Talk) -> None:
    first = await any_talk.asks("tell me a story")
    await first.breaks("Once upon")
    await any_talk.turn("tell me a story", "Once upon", gets=" a time there was a dog.")
    whole = "Once upon a time there was a dog."
    assert any_talk.threads() == [["tell me a story", whole]]
    await any_talk.turn("tell me a story", whole, "more", gets="No.")
    assert any_talk.threads() == [["tell me a story", whole, "more", "No."]]


async def test_a_beginning_that_the_client_wrote_is_part_of_the_answer(any_talk: Talk) -> None:
    await any_talk.turn("as JSON", '{"dog":', gets='"Rex"}')
    assert any_talk.everything() == ["user: as JSON", 'assistant: {"dog":"Rex"}']


async def test_a_beginning_that_was_never_gone_on_with_is_no_message(any_talk: Talk) -> None:
    asked = await any_talk.asks("as JSON", '{"dog":')
    await asked.breaks()
    assert any_talk.everything() == ["user: as JSON"]
