"""Memories stand where the model reads them, and nobody loses a system text by them, nor gets a second one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ltmld.core.ports import Plan, RequestHead
from ltmld.standin.server import StandIn, running_standin
from tests.models.test_template import DEAF, GEMMA3, JINJA_GEMMA
from tests.wake.test_attendant import Room

PLAIN, OPEN = "plain:latest", "<ltmld-memory>"
SHOWN: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "messages:latest": {"messages": [{"role": "user", "content": "Hi."}]},
    "olmo:latest": {"renderer": "olmo3-think"},
    "coder:latest": {"renderer": "qwen3-coder"},
    "glimmer:latest": {"renderer": "glimmer"},
    "qwen:latest": {"renderer": "qwen3.5"},
    "gemma3:latest": {"template": GEMMA3},
    "deaf:latest": {"template": DEAF},
    "bare:latest": {"template": "{{ .Prompt }}"},
    "jinja:latest": {"template": "", "model_info": {"tokenizer.chat_template": JINJA_GEMMA}},
    "stub:latest": {"remote_host": "https://ollama.com:443", "remote_model": "gpt-oss:120b"},
}
ASKED = {"role": "user", "content": "How is my dog?"}
ANSWERED = {"role": "assistant", "content": "Well."}
AGAIN = {"role": "user", "content": "And now?"}
SYSTEM = {"role": "system", "content": "Be brief."}
PARTS = {
    "role": "system",
    "content": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
}
DEVELOPER = {"role": "developer", "content": "Be brief."}
TOOL = {"role": "tool", "content": "12 degrees"}
Chat = list[dict[str, Any]]


@pytest.fixture(scope="module")
def standin() -> Iterator[StandIn]:
    """Run a stand-in whose models differ in what they read."""
    with running_standin(models=tuple(SHOWN), system={PLAIN: "I am plain."}, shown=SHOWN) as standin:
        yield standin


@pytest.fixture
async def room(tmp_path: Path, standin: StandIn) -> AsyncIterator[Room]:
    """Return a room whose recall offers one line."""
    room = Room(tmp_path, standin.url)
    yield room
    await room.attendant.close()
    room.ledger.close()


async def attend(room: Room, path: str, tree: dict[str, Any]) -> Plan:
    """Let one request be attended to."""
    head = RequestHead(method="POST", target=path, headers=(), peer="127.0.0.1")
    return await room.attendant.attend(head, json.dumps(tree).encode())


async def sent(
    room: Room, model: str, *messages: dict[str, Any], path: str = "/api/chat", answer: str = "Well."
) -> Chat:
    """Return what goes upstream of a conversation, which is answered and recorded."""
    plan = await attend(room, path, {"model": model, "messages": list(messages)})
    if plan.recording is not None:
        plan.recording.begin(status=200, content_type="application/json")
        reply = {"message": {"role": "assistant", "content": answer}, "done": True}
        plan.recording.feed(json.dumps(reply).encode())
        await plan.recording.close()
    return list(json.loads(plan.body)["messages"])


def places(messages: Chat) -> list[str]:
    """Return the roles of the messages that hold a block."""
    return [message["role"] for message in messages if OPEN in json.dumps(message["content"])]


@pytest.mark.parametrize(
    ("model", "front", "role"),
    [
        (PLAIN, [], "system"),
        (PLAIN, [SYSTEM], "system"),
        (PLAIN, [DEVELOPER], "user"),
        ("messages:latest", [], "user"),
        ("messages:latest", [SYSTEM], "user"),
        ("olmo:latest", [], "user"),
        ("olmo:latest", [SYSTEM], "system"),
        ("coder:latest", [], "user"),
        ("glimmer:latest", [], "user"),
        ("qwen:latest", [], "system"),
        ("gemma3:latest", [], "user"),
        ("gemma3:latest", [SYSTEM], "user"),
        ("deaf:latest", [], "user"),
        ("deaf:latest", [SYSTEM], "user"),
        ("bare:latest", [], "user"),
        ("jinja:latest", [], "user"),
    ],
)
async def test_memories_stand_where_the_model_reads_them(
    room: Room, model: str, front: Chat, role: str
) -> None:
    messages = await sent(room, model, *front, ASKED)
    assert places(messages) == [role]
    assert len(messages) == len(front) + (1 if front or role == "user" else 2)


@pytest.mark.parametrize(
    ("model", "role"), [("olmo:latest", "user"), ("coder:latest", "user"), (PLAIN, "system")]
)
async def test_a_system_text_in_parts_is_several_and_some_models_read_one(
    room: Room, model: str, role: str
) -> None:
    assert places(await sent(room, model, PARTS, ASKED, path="/v1/chat/completions")) == [role]


@pytest.mark.parametrize("model", [name for name in SHOWN if name != "stub:latest"])
async def test_the_place_is_kept_byte_for_byte_on_every_later_turn(room: Room, model: str) -> None:
    first = await sent(room, model, ASKED)
    second = await sent(room, model, ASKED, ANSWERED, AGAIN)
    third = await sent(room, model, ASKED, ANSWERED, AGAIN, ANSWERED, AGAIN)
    assert second[: len(first)] == first
    assert third[: len(second)] == second
    assert len(places(third)) == 1


async def test_another_model_of_the_thread_gets_the_block_where_that_model_reads_it(room: Room) -> None:
    first = await sent(room, PLAIN, ASKED)
    other = await sent(room, "deaf:latest", ASKED, ANSWERED, AGAIN)
    back = await sent(room, PLAIN, ASKED, ANSWERED, AGAIN, ANSWERED, AGAIN)
    assert places(first) == places(back) == ["system"]
    assert places(other) == ["user"]
    assert OPEN in other[0]["content"]
    assert back[: len(first)] == first


@pytest.mark.parametrize("model", list(SHOWN))
@pytest.mark.parametrize("front", [[], [SYSTEM], [DEVELOPER]], ids=["none", "system", "developer"])
async def test_there_is_never_a_second_system_message_and_none_after_another(
    room: Room, model: str, front: Chat
) -> None:
    history: Chat = []
    calls = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "t", "arguments": {}}}]}
    turns: list[Chat] = [[ASKED], [calls, TOOL], [ANSWERED, AGAIN], [calls, TOOL, ANSWERED, AGAIN]]
    for turn in turns:
        history += turn
        messages = await sent(room, model, *front, *history)
        systems = [place for place, message in enumerate(messages) if message["role"] == "system"]
        assert systems in ([], [0])
        assert not (front and len(messages) != len(front) + len(history))


async def test_responses_have_their_block_before_the_first_words_whatever_the_model_reads(room: Room) -> None:
    tree = {"model": "deaf", "instructions": "Be brief.", "input": [DEVELOPER, ASKED]}
    sent_on = json.loads((await attend(room, "/v1/responses", tree)).body)
    assert sent_on["instructions"] == "Be brief."
    assert places(sent_on["input"]) == ["user"]


async def test_a_system_text_in_the_middle_stays_the_only_one(room: Room) -> None:
    first = await sent(room, "qwen:latest", ASKED, SYSTEM, AGAIN)
    assert [message["role"] for message in first] == ["user", "system", "user"]


async def test_a_model_that_ollama_sends_to_its_cloud_gets_nothing_and_gives_nothing(room: Room) -> None:
    plan = await attend(room, "/api/chat", {"model": "stub", "messages": [ASKED]})
    assert plan.recording is None
    assert OPEN.encode() not in plan.body


async def test_cloud_models_are_told_where_the_settings_allow_it(tmp_path: Path, standin: StandIn) -> None:
    room = Room(tmp_path, standin.url, cloud=True)
    assert places(await sent(room, "stub:latest", ASKED)) == ["system"]
    await room.attendant.close()
    room.ledger.close()
