"""The promise: every turn lies in the conversation and the scope that it belongs to, named or not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dialogues import Talk
from tests.support.tongues import ANTHROPIC, CHAT, OPENAI, RESPONSES

HEADERS = [
    "x_ltmld_thread",
    "x_openwebui_chat_id",
    "x_claude_code_session_id",
    "session_id",
    "session-id",
    "conversation_id",
]
SESSION = "5d0a4c2e-0000-4000-8000-0123456789ab"
BODIES: list[tuple[str, dict[str, Any]]] = [
    (RESPONSES, {"prompt_cache_key": SESSION}),
    (OPENAI, {"prompt_cache_key": SESSION}),
    (ANTHROPIC, {"metadata": {"user_id": f"user_0f_account__session_{SESSION}"}}),
    (ANTHROPIC, {"metadata": {"user_id": f'{{"device_id":"d","session_id":"{SESSION}"}}'}}),
    (CHAT, {"metadata": {"chat_id": SESSION}}),
]


async def test_conversations_without_names_are_told_apart_by_their_words(any_talk: Talk) -> None:
    talks = [
        [f"{who} {number} of {name}" for number in range(4) for who in ("question", "answer")]
        for name in ("Ada", "Bo", "Cy")
    ]
    for place in range(1, 8, 2):
        for words in talks:
            await any_talk.turn(*words[:place], gets=words[place])
    assert any_talk.threads() == talks


async def test_two_conversations_that_open_alike_part_where_their_words_do(any_talk: Talk) -> None:
    await any_talk.converse("hi", "hello", "dog?", "yes", "old?", "nine")
    any_talk.clock.move(minutes=2)
    await any_talk.converse("hi", "hello", "cat?", "no", "why?", "so")
    assert any_talk.threads() == [
        ["hi", "hello", "dog?", "yes", "old?", "nine"],
        ["hi", "hello", "cat?", "no", "why?", "so"],
    ]


async def test_two_openings_alike_each_go_on_in_a_thread_of_their_own_whichever_is_first(
    any_talk: Talk,
) -> None:
    await any_talk.turn("hi", gets="hello")
    any_talk.clock.move(minutes=11)
    await any_talk.turn("hi", gets="hello")
    await any_talk.turn("hi", "hello", "dog?", gets="yes")
    await any_talk.turn("hi", "hello", "cat?", gets="no")
    await any_talk.turn("hi", "hello", "dog?", "yes", "old?", gets="nine")
    assert sorted(any_talk.threads()) == [
        ["hi", "hello", "cat?", "no"],
        ["hi", "hello", "dog?", "yes", "old?", "nine"],
    ]


async def test_openings_alike_that_were_answered_differently_are_both_kept(any_talk: Talk) -> None:
    await any_talk.turn("hi", gets="hello")
    await any_talk.turn("hi", gets="good day")
    await any_talk.turn("hi", "hello", "dog?", gets="yes")
    await any_talk.turn("hi", "good day", "cat?", gets="no")
    counting = [text for thread in any_talk.threads() for text in thread]
    assert {"dog?", "yes", "cat?", "no"} <= set(counting)
    assert len(any_talk.everything()) == len(set(any_talk.everything()))


async def test_two_people_with_the_same_words_never_share_a_message(any_talk: Talk) -> None:
    for name in ("ada", "bo"):
        await any_talk.converse("I have a dog", "nice", "called Rex", "good name", x_ltmld_scope=name)
    for name in ("ada", "bo"):
        assert any_talk.threads(scope=name) == [["I have a dog", "nice", "called Rex", "good name"]]
    assert len(any_talk.everything()) == 8


@pytest.mark.parametrize("header", HEADERS)
async def test_a_name_in_a_header_tells_conversations_with_the_same_words_apart(
    any_talk: Talk, header: str
) -> None:
    for name in ("one", "two"):
        await any_talk.turn("hi", gets="hello", **{header: name})
    for name in ("one", "two"):
        await any_talk.turn("hi", "hello", "dog?", gets="yes", **{header: name})
    assert any_talk.threads() == [["hi", "hello", "dog?", "yes"]] * 2


@pytest.mark.parametrize(("path", "body"), BODIES)
async def test_a_name_in_the_body_tells_conversations_apart(
    talk: Talk, path: str, body: dict[str, Any]
) -> None:
    await talk.turn("hi", gets="hello", path=path)
    await talk.turn("hi", gets="hello", path=path, body=body)
    await talk.turn("hi", "hello", "dog?", gets="yes", path=path, body=body)
    assert sorted(talk.threads()) == [["hi", "hello"], ["hi", "hello", "dog?", "yes"]]


async def test_a_name_in_a_header_counts_before_one_in_the_body(any_talk: Talk) -> None:
    body = {"metadata": {"chat_id": SESSION}}
    await any_talk.turn("hi", gets="hello", body=body, x_ltmld_thread="one")
    await any_talk.turn("hi", gets="hello", body=body, x_ltmld_thread="two")
    assert any_talk.threads() == [["hi", "hello"]] * 2


async def test_sub_agents_under_one_name_keep_out_of_the_persons_conversation(any_talk: Talk) -> None:
    main = ("fix the tests", "which?", "all of them", "done")
    agent = ("search the folder for flaky names", "found 2", "list them", "a, b")
    for place in (1, 3):
        await any_talk.turn(*main[:place], gets=main[place], session_id="s")
        await any_talk.turn(*agent[:place], gets=agent[place], session_id="s")
    await any_talk.turn(*main, "thanks", gets="gladly", session_id="s")
    [thread] = any_talk.threads()
    assert [text for text in thread if text not in agent] == [*main, "thanks", "gladly"]
    parents = {message.id: message.parent_id for message in any_talk.stored()}
    by_text = {message.text: message.id for message in any_talk.stored()}
    assert parents[by_text["all of them"]] == by_text["which?"]
    assert parents[by_text[agent[0]]] is None


async def test_an_agent_with_an_id_of_its_own_has_a_thread_of_its_own(any_talk: Talk) -> None:
    await any_talk.turn("fix the tests", gets="which?", x_claude_code_session_id="s")
    named = {"x_claude_code_session_id": "s", "x_claude_code_agent_id": "a"}
    await any_talk.turn("fix the tests", gets="found 2", **named)
    assert any_talk.threads() == [["fix the tests", "which?"], ["fix the tests", "found 2"]]


async def test_under_one_name_an_edited_first_message_takes_the_place_of_the_old_one(any_talk: Talk) -> None:
    await any_talk.converse("my dog is called Biscuit", "nice", "old?", "nine", x_ltmld_thread="t")
    await any_talk.turn("my dog is called Waffle", gets="nice", x_ltmld_thread="t")
    assert any_talk.threads() == [["my dog is called Waffle", "nice"]]


async def test_a_client_that_begins_to_send_a_name_stays_in_its_conversation(any_talk: Talk) -> None:
    await any_talk.converse("hi", "hello", "dog?", "yes")
    await any_talk.turn("hi", "hello", "dog?", "yes", "cat?", gets="no", x_ltmld_thread="t")
    assert any_talk.threads() == [["hi", "hello", "dog?", "yes", "cat?", "no"]]


async def test_a_conversation_played_in_later_is_dated_by_its_own_time(any_talk: Talk) -> None:
    await any_talk.turn("hi", gets="hello", x_ltmld_at="2021-05-01T10:00:00Z", x_ltmld_thread="t")
    [[thread], _] = any_talk.ledger.threads()
    assert (thread["started_at"][:10], thread["last_at"][:10]) == ("2021-05-01", "2021-05-01")


@pytest.mark.parametrize("mode", ["off", "read"])
async def test_what_was_said_with_memory_off_stays_out_when_it_is_resent(any_talk: Talk, mode: str) -> None:
    await any_talk.turn("hi", gets="hello")
    await any_talk.turn("hi", "hello", "a secret", gets="hush", x_ltmld_memory=mode)
    await any_talk.turn("hi", "hello", "a secret", "hush", "dog?", gets="yes")
    await any_talk.restart()
    await any_talk.turn("hi", "hello", "a secret", "hush", "dog?", "yes", "cat?", gets="no")
    assert any_talk.threads() == [["hi", "hello", "dog?", "yes", "cat?", "no"]]
    assert not any("secret" in line or "hush" in line for line in any_talk.everything())


async def test_what_was_said_with_memory_off_and_again_with_memory_on_is_recorded(any_talk: Talk) -> None:
    await any_talk.turn("I have a dog", gets="nice", x_ltmld_memory="off")
    await any_talk.turn("I have a dog", gets="nice")
    assert any_talk.threads() == [["I have a dog", "nice"]]


SECRETS = [part for at in range(3) for part in (f"secret {at}", f"hush, secret {at}")]
TEN_LATER = [
    *(f"{who} {number}" for number in range(4) for who in ("question", "answer")),
    *SECRETS,
    *(f"{who} {number}" for number in range(4, 9) for who in ("question", "answer")),
    "question 9",
]


async def paused_and_resumed(talk: Talk, window: int, **named: str) -> None:
    """Talk, say two secrets with memory off, and talk on; the client resends so many messages."""
    words = [f"{who} {number}" for number in range(4) for who in ("question", "answer")]
    await talk.converse(*words, window=window, **named)
    for secret in ("secret 0", "secret 1", "secret 2"):
        await talk.turn(*[*words, secret][-window:], gets=f"hush, {secret}", x_ltmld_memory="off", **named)
        words += [secret, f"hush, {secret}"]
    for number in range(4, 9):
        await talk.turn(*[*words, f"question {number}"][-window:], gets=f"answer {number}", **named)
        words += [f"question {number}", f"answer {number}"]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("window", [0, 3, 5, 7, 9])
@pytest.mark.parametrize("key", ["", "chat-1"])
async def test_a_window_that_holds_what_was_said_with_memory_off_goes_on_without_it(
    talk: Talk, window: int, key: str, *, restarted: bool
) -> None:
    named = {"x_ltmld_thread": key} if key else {}
    await paused_and_resumed(talk, window, **named)
    if restarted:
        await talk.restart()
        await talk.turn(*TEN_LATER[-window:], gets="answer 9", **named)
    told = [f"{who} {number}" for number in range(9 + restarted) for who in ("question", "answer")]
    assert talk.threads() == [told]
    assert not any("secret" in line for line in talk.everything())


@pytest.mark.parametrize("window", [0, 5])
async def test_words_said_with_memory_off_keep_no_other_conversation_from_being_recorded(
    talk: Talk, window: int
) -> None:
    await talk.turn("hi", gets="hello", x_ltmld_memory="off")
    await talk.turn("hi", "hello", "dog?", gets="yes", x_ltmld_memory="off")
    words = ["hi", "hello", "cat?", "no", "dog?", "yes", "cow?", "none", "hi", "hello"]
    await talk.converse(*words, window=window)
    assert talk.threads() == [words]
