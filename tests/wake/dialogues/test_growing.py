"""The promise: a conversation is recorded once as it grows, whatever of it the client still sends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dialogues import Talk, said, system
from tests.support.tongues import GENERATE

TEN = tuple(f"{who} {number}" for number in range(10) for who in ("question", "answer"))


async def test_the_first_turn_is_two_messages(any_talk: Talk) -> None:
    await any_talk.turn("I have a dog", gets="What a joy.")
    assert any_talk.everything() == ["user: I have a dog", "assistant: What a joy."]
    assert any_talk.outcomes() == ["completed"]


async def test_ten_turns_are_twenty_messages_of_one_conversation(any_talk: Talk) -> None:
    await any_talk.converse(*TEN)
    assert any_talk.threads() == [list(TEN)]
    assert len(any_talk.everything()) == 20


async def test_what_was_said_before_ltmld_is_taken_in_once_and_marked(any_talk: Talk) -> None:
    await any_talk.turn(*TEN[:8], "question 4", gets="answer 4")
    await any_talk.turn(*TEN[:10], "question 5", gets="answer 5")
    assert any_talk.threads() == [list(TEN[:12])]
    assert len(any_talk.everything()) == 12
    with any_talk.ledger._readers.snapshot() as connection:
        rows = connection.execute(
            "SELECT text FROM messages WHERE backfilled = 1 ORDER BY ordinal"
        ).fetchall()
    assert [row["text"] for row in rows] == list(TEN[:8])


async def test_a_turn_that_was_not_recorded_is_taken_in_with_the_next(any_talk: Talk) -> None:
    await any_talk.converse(*TEN[:4])
    await any_talk.asks(*TEN[:4], "question 2")
    await any_talk.turn(*TEN[:6], "question 3", gets="answer 3")
    assert any_talk.threads() == [list(TEN[:8])]


async def test_a_system_text_that_changes_every_turn_changes_nothing(any_talk: Talk) -> None:
    await any_talk.turn(system("It is 10:31:07."), "lights on", gets="They are on.")
    await any_talk.turn(system("It is 10:33:59."), "lights on", "They are on.", "off again", gets="Off.")
    assert any_talk.threads() == [["lights on", "They are on.", "off again", "Off."]]


@pytest.mark.parametrize("window", [3, 5, 11])
async def test_a_client_that_drops_its_oldest_messages_adds_to_its_conversation(
    any_talk: Talk, window: int
) -> None:
    await any_talk.converse(*TEN, window=window)
    assert any_talk.threads() == [list(TEN)]
    assert len(any_talk.everything()) == 20


async def test_a_window_with_a_name_is_found_when_only_the_last_message_is_left(any_talk: Talk) -> None:
    await any_talk.converse(*TEN, window=3, x_ltmld_thread="kitchen")
    assert any_talk.threads() == [list(TEN)]


async def test_home_assistant_keeps_twenty_rounds(talk: Talk) -> None:
    words = tuple(f"{who} {number}" for number in range(30) for who in ("turn on lamp", "lamp is on"))
    for place in range(1, len(words), 2):
        clock = system(f"Current time is 10:{place:02}:00. Today's date is 2026-03-01.")
        await talk.turn(clock, *words[:place][-39:], gets=words[place])
    assert talk.threads() == [list(words)]
    assert len(talk.everything()) == 60


@pytest.mark.parametrize("key", ["", "kitchen"])
@pytest.mark.parametrize("window", [5, 9, 39])
@pytest.mark.parametrize("said_so_far", [("on", "off"), ("on", "on", "off"), ("on", "dim", "off")])
async def test_a_window_that_says_what_was_said_at_the_beginning_goes_on_all_the_same(
    talk: Talk, key: str, window: int, said_so_far: tuple[str, ...]
) -> None:
    named: dict[str, Any] = {"x_ltmld_thread": key} if key else {}
    words = [part for number in range(30) for part in (said_so_far[number % len(said_so_far)], "Done.")]
    await talk.converse(*words, window=window, **named)
    assert talk.threads() == [words]
    assert len(talk.everything()) == 60


@pytest.mark.parametrize("key", ["", "kitchen"])
async def test_saying_nothing_but_yes_is_saying_it_each_time(talk: Talk, key: str) -> None:
    named: dict[str, Any] = {"x_ltmld_thread": key} if key else {}
    await talk.converse(*["yes", "Sure."] * 10, **named)
    for said_before in range(20, 40, 2):
        await talk.turn(*["yes", "Sure."] * 2, "yes", gets="Sure.", **named)
        assert len(talk.everything()) == said_before + 2
    assert talk.threads() == [["yes", "Sure."] * 20]


async def test_a_repeating_window_that_broke_off_is_asked_again_once(any_talk: Talk) -> None:
    words = ["on", "Done.", "off", "Done."] * 5
    await any_talk.converse(*words, window=9)
    for ending in ("", "Do"):
        await (await any_talk.asks(*words[-8:], "on")).breaks(ending, error="closed by Ollama")
    await any_talk.turn(*words[-8:], "on", gets="Done.")
    assert any_talk.threads() == [[*words, "on", "Done."]]
    assert any_talk.everything().count("user: on") == 6


async def test_what_was_asked_word_for_word_yesterday_is_asked_today(any_talk: Talk) -> None:
    words = ["on", "Done.", "off", "Done.", "on", "Done."]
    for _ in range(3):
        await any_talk.converse(*words)
        any_talk.clock.move(hours=20)
    assert any_talk.threads() == [words] * 3


async def test_a_summary_in_place_of_the_old_messages_is_nobodys_words(any_talk: Talk) -> None:
    await any_talk.converse(*TEN)
    summary = {"role": "user", "text": "Earlier they went through eight questions and their answers."}
    taken = {"role": "assistant", "text": "Understood, let us go on."}
    await any_talk.turn(summary, taken, *TEN[-4:], "question 10", gets="answer 10")
    await any_talk.turn(
        summary, taken, *TEN[-4:], "question 10", "answer 10", "question 11", gets="answer 11"
    )
    assert any_talk.threads() == [[*TEN, "question 10", "answer 10", "question 11", "answer 11"]]
    assert not any("Earlier they" in line for line in any_talk.everything())


async def test_a_summary_after_the_first_message_is_nobodys_words(any_talk: Talk) -> None:
    await any_talk.converse(*TEN)
    summary = {"role": "assistant", "text": "So far: eight questions and their answers."}
    await any_talk.turn(TEN[0], summary, *TEN[-4:], "question 10", gets="answer 10")
    assert any_talk.threads() == [[*TEN, "question 10", "answer 10"]]


async def test_a_client_that_sums_up_at_the_front_and_has_a_name_stays_in_its_thread(any_talk: Talk) -> None:
    await any_talk.converse(*TEN, x_ltmld_thread="work")
    summary = {"role": "user", "text": "Earlier they went through eight questions and their answers."}
    await any_talk.turn(summary, *TEN[-3:], "question 10", gets="answer 10", x_ltmld_thread="work")
    assert any_talk.threads() == [[*TEN, "question 10", "answer 10"]]


async def test_generate_goes_on_by_its_context(talk: Talk) -> None:
    first = await talk.asks("hello", path=GENERATE)
    await first.gets("hi", context=[1, 2])
    second = await talk.asks("I have a dog", path=GENERATE, body={"context": [1, 2]})
    await second.gets("nice", context=[1, 2, 3])
    again = await talk.asks("I have a dog", path=GENERATE, body={"context": [1, 2]})
    await again.gets("how nice", context=[1, 2, 4])
    third = await talk.asks("called Rex", path=GENERATE, body={"context": [1, 2, 4]})
    await third.gets("good name", context=[1, 2, 4, 5])
    assert talk.threads() == [["hello", "hi", "I have a dog", "how nice", "called Rex", "good name"]]


async def test_whatever_white_space_a_client_makes_of_it_the_words_are_the_same(any_talk: Talk) -> None:
    await any_talk.turn("one\n  two", gets="  three\r\n\r\nfour\n")
    await any_talk.turn("one two", "three four", "five", gets="six")
    assert len(any_talk.everything()) == 4


async def test_a_client_that_drops_the_thinking_sends_the_same_answer(talk: Talk) -> None:
    await talk.turn("why?", gets="because")
    thought = {"role": "assistant", "text": "because", "thinking": "Hm, let me see."}
    await talk.turn(*said("why?", thought, "and?"), gets="so")
    assert len(talk.everything()) == 4


@pytest.mark.parametrize("edited", ["A short answer, then more", "A short answer", "I never said that."])
async def test_an_answer_that_the_client_changed_counts_as_the_client_has_it(
    any_talk: Talk, edited: str
) -> None:
    await any_talk.turn("dog?", gets="A short answer, then more of it.")
    await any_talk.turn("dog?", edited, "cat?", gets="No.")
    await any_talk.turn("dog?", edited, "cat?", "No.", "cow?", gets="Yes.")
    assert any_talk.threads() == [["dog?", edited, "cat?", "No.", "cow?", "Yes."]]
    assert len(any_talk.everything()) == 7


async def test_an_image_is_known_again_by_its_digest(any_talk: Talk) -> None:
    picture = {"role": "user", "text": "what is this?", "images": ["iVBORw0KGgo="]}
    other = {"role": "user", "text": "what is this?", "images": ["R0lGODlhAQABAAAAACw="]}
    await any_talk.turn(picture, gets="A dot.")
    await any_talk.turn(picture, "A dot.", "sure?", gets="Yes.")
    await any_talk.turn(other, gets="A line.")
    assert any_talk.threads() == [["what is this?", "A dot.", "sure?", "Yes."], ["what is this?", "A line."]]
