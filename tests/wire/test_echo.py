"""Promise: a model that repeats a block of ltmld changes neither what is remembered nor whether memory is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ltmld.core.exchange import Reply
from ltmld.wire.dialects import Dialect, Request, dialect_for
from ltmld.wire.sentinel import GAP, wrap

BLOCK, NOTE, ECHOED = wrap("You met Zoe"), wrap("a note"), wrap("likes tea")
ECHO = f"Sure: {ECHOED} you like tea."
CHATS = ("/api/chat", "/v1/chat/completions")

STREAMED: dict[str, tuple[str, Callable[[str, str], dict[str, Any]], str]] = {
    "/api/chat": (
        "application/x-ndjson",
        lambda text, thought: {"message": {"content": text, "thinking": thought}},
        '{"done":true}\n',
    ),
    "/api/generate": (
        "application/x-ndjson",
        lambda text, thought: {"response": text, "thinking": thought},
        '{"done":true}\n',
    ),
    "/v1/chat/completions": (
        "text/event-stream",
        lambda text, thought: {"choices": [{"delta": {"content": text, "reasoning": thought}}]},
        "data: [DONE]\n\n",
    ),
    "/v1/responses": (
        "text/event-stream",
        lambda text, thought: (
            {"type": "response.output_text.delta", "delta": text}
            if text
            else {"type": "response.reasoning_summary_text.delta", "delta": thought}
        ),
        'data: {"type":"response.completed","response":{}}\n\n',
    ),
    "/v1/messages": (
        "text/event-stream",
        lambda text, thought: {
            "type": "content_block_delta",
            "delta": {"type": "text_delta", "text": text}
            if text
            else {"type": "thinking_delta", "thinking": thought},
        },
        'data: {"type":"message_stop"}\n\n',
    ),
}


def dialect(path: str) -> Dialect:
    found = dialect_for("POST", path)
    assert found is not None
    return found


def chat(path: str, *messages: tuple[str, str]) -> Request:
    items = [{"role": role, "content": content} for role, content in messages]
    return dialect(path).parse(json.dumps({"messages": items}).encode())


def streamed(path: str, text: str, thought: str) -> Reply:
    """Return the reply that says and thinks this, a few characters at a time."""
    media, shape, end = STREAMED[path]
    lead, close = ("data: ", "\n\n") if path.startswith("/v1") else ("", "\n")
    capture = dialect(path).capture(bytes_max=1 << 20)
    capture.begin(status=200, content_type=media)
    for at in range(0, max(len(text), len(thought)), 5):
        piece = shape(text[at : at + 5], thought[at : at + 5])
        capture.feed((lead + json.dumps(piece) + close).encode())
    capture.feed(end.encode())
    assert capture.complete
    return capture.reply()


@pytest.mark.parametrize("path", STREAMED)
def test_an_echo_is_left_out_of_what_a_model_said_and_thought(path: str) -> None:
    assert streamed(path, ECHO, "").text == "Sure:  you like tea."
    assert streamed(path, "", ECHOED + GAP + "So.").thinking == "So."


@pytest.mark.parametrize("path", CHATS)
def test_an_echo_reads_alike_when_it_comes_and_when_the_client_sends_it_back(path: str) -> None:
    sent_back = chat(path, ("user", "hi"), ("assistant", ECHO), ("user", "and?"))
    assert sent_back.messages[1].text == streamed(path, ECHO, "").text


@pytest.mark.parametrize("path", CHATS)
def test_an_echo_in_an_answer_or_an_old_turn_says_nothing_about_this_request(path: str) -> None:
    assert not chat(path, ("user", "hi"), ("assistant", ECHO), ("user", "and?")).injected
    assert not chat(path, ("user", ECHOED + GAP + "hi"), ("assistant", "yes"), ("user", "and?")).injected
    assert not chat(path, ("user", "hi"), ("tool", ECHO)).injected


@pytest.mark.parametrize("path", CHATS)
def test_a_block_where_one_is_put_was_put_there(path: str) -> None:
    assert chat(path, ("system", "S" + GAP + BLOCK), ("user", "hi")).injected
    assert chat(path, ("user", "hi"), ("system", "S" + GAP + BLOCK), ("user", "and?")).injected
    assert chat(
        path, ("user", "hi"), ("assistant", "x"), ("user", NOTE + GAP + "and?"), ("tool", "")
    ).injected


@pytest.mark.parametrize("path", CHATS)
def test_blocks_in_the_clients_own_messages_stay_its_own_bytes(path: str) -> None:
    old = ECHOED + GAP + "what do I like?"
    request = chat(path, ("user", old), ("assistant", ECHO), ("user", "and?"))
    changed: dict[str, Any] = json.loads(
        dialect(path).inject(request, block=BLOCK, base_system="Be brief.", notes={0: NOTE, 2: NOTE})
    )
    assert [message["content"] for message in changed["messages"]] == [
        "Be brief." + GAP + BLOCK,
        NOTE + GAP + old,
        ECHO,
        NOTE + GAP + "and?",
    ]
