"""Whatever the dialect, the stand-in says the same: words, thoughts, calls of tools, instances of a schema."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ltmld.standin.server import StandIn, running_standin

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
FUNCTION = {"name": "get_weather", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
CALL_IT = "Please use get_weather for Lisbon."
MODEL = "thinker"


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with running_standin(models=["stand-in", "thinker"], script={"Hello": "Hello yourself, Zoë."}) as standin:
        yield standin


def asked(path: str, words: str, *, tools: bool = False, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"model": MODEL} | more
    messages = [{"role": "user", "content": words}]
    match path:
        case "/api/generate" | "/v1/completions":
            return body | {"prompt": words}
        case "/v1/responses":
            return body | {"input": words} | ({"tools": [{"type": "function"} | FUNCTION]} if tools else {})
        case "/v1/messages":
            offered = {"tools": [{"name": FUNCTION["name"], "input_schema": SCHEMA}]} if tools else {}
            return body | {"messages": messages, "max_tokens": 99} | offered
        case _:
            return body | {"messages": messages} | ({"tools": [TOOL]} if tools else {})


def documents(server: StandIn, path: str, body: Any) -> list[Any]:
    answer = httpx.post(server.url + path, json=body)
    assert answer.status_code == 200, answer.text
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    return [json.loads(line) for line in lines if line.startswith("{")]


def found(value: Any, *names: str) -> Iterator[str]:
    """Yield the texts that members called *names* hold, wherever they stand."""
    if isinstance(value, list):
        for each in value:
            yield from found(each, *names)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in names and isinstance(inner, str):
                yield inner
            else:
                yield from found(inner, *names)


TEXTS = {
    "/api/chat": ("content", "thinking"),
    "/api/generate": ("response", "thinking"),
    "/v1/chat/completions": ("content", "reasoning"),
    "/v1/completions": ("text", ""),
    "/v1/responses": ("delta", ""),
    "/v1/messages": ("text", "thinking"),
}


@pytest.mark.parametrize("path", TEXTS)
def test_a_stream_says_the_same_in_every_dialect(server: StandIn, path: str) -> None:
    came = documents(server, path, asked(path, "Hello", stream=True))
    text, thinking = TEXTS[path]
    assert "".join(found(came, text)).endswith("Hello yourself, Zoë.")
    assert not thinking or "".join(found(came, thinking)) == "The user says: Hello\n"


@pytest.mark.parametrize("path", TEXTS)
def test_one_piece_says_what_the_stream_says(server: StandIn, path: str) -> None:
    came = documents(server, path, asked(path, "Hello", stream=False))
    text = "text" if path == "/v1/responses" else TEXTS[path][0]
    assert list(found(came, text))[-1] == "Hello yourself, Zoë."


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_a_tool_that_is_named_is_called_in_every_dialect(server: StandIn, path: str, *, stream: bool) -> None:
    came = documents(server, path, asked(path, CALL_IT, tools=True, stream=stream))
    assert set(found(came, "name")) == {"get_weather"}
    written = json.dumps(came)
    assert "Lisbon" in written
    assert '\\"days\\": 0' in written or '\\"days\\":0' in written or '"days": 0' in written


def test_a_tools_result_ends_the_loop(server: StandIn) -> None:
    turns = [
        {"role": "user", "content": CALL_IT},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "get_weather", "arguments": {}}}],
        },
        {"role": "tool", "content": "22 degrees", "tool_name": "get_weather"},
    ]
    (came,) = documents(
        server, "/api/chat", {"model": "stand-in", "messages": turns, "tools": [TOOL], "stream": False}
    )
    assert came["message"] == {"role": "assistant", "content": "The tool says: 22 degrees"}


def test_a_schema_is_filled_and_json_of_any_shape_is_an_object(server: StandIn) -> None:
    for wanted in (SCHEMA, "json"):
        (came,) = documents(server, "/api/chat", asked("/api/chat", "Where?", format=wanted, stream=False))
        filled = json.loads(came["message"]["content"])
        assert list(filled) == (["city", "days"] if wanted is SCHEMA else ["answer"])


def test_thoughts_are_left_out_where_they_are_not_wanted_and_refused_where_there_are_none(
    server: StandIn,
) -> None:
    (came,) = documents(server, "/api/chat", asked("/api/chat", "Hello", think=False, stream=False))
    assert "thinking" not in came["message"]
    refused = httpx.post(
        server.url + "/api/chat", json=asked("/api/chat", "Hello", model="stand-in", think=True)
    )
    assert (refused.status_code, refused.json()) == (
        400,
        {"error": '"stand-in" does not support thinking'},
    )
    for model in ("thinker", "stand-in"):
        body = asked("/v1/messages", "Hello", model=model, thinking={"type": "enabled"})
        assert documents(server, "/v1/messages", body)


def test_instructions_and_tools_are_echoed_by_responses(server: StandIn) -> None:
    body = asked("/v1/responses", "Hello", tools=True, stream=True, instructions="Be brief.")
    echoed = [event["response"] for event in documents(server, "/v1/responses", body) if "response" in event]
    assert [event["instructions"] for event in echoed] == ["Be brief."] * 3
    assert [event["tools"][0]["name"] for event in echoed] == ["get_weather"] * 3


def test_vectors_can_be_packed_cut_and_limited(server: StandIn) -> None:
    body = {"model": MODEL, "input": "my dog Bruno", "dimensions": 16}
    (plain,) = documents(server, "/v1/embeddings", body)
    (packed,) = documents(server, "/v1/embeddings", body | {"encoding_format": "base64"})
    floats = struct.unpack("<16f", base64.b64decode(packed["data"][0]["embedding"]))
    assert floats == pytest.approx(plain["data"][0]["embedding"])
    assert sum(value * value for value in floats) == pytest.approx(1)


def test_the_context_of_an_answer_begins_with_the_requests_own(server: StandIn) -> None:
    first = documents(server, "/api/generate", asked("/api/generate", "Hello", stream=False))[0]
    more = asked("/api/generate", "And now?", stream=False, context=first["context"])
    second = documents(server, "/api/generate", more)[0]
    assert second["context"][: len(first["context"])] == first["context"]
    assert second["prompt_eval_count"] > first["prompt_eval_count"]


@pytest.mark.parametrize(
    ("keep_alive", "words"),
    [
        *(("5", 'time: missing unit in duration "5"'), ("5x", 'time: unknown unit "x" in duration "5x"')),
        ("soon", 'time: invalid duration "soon"'),
        (True, "Unsupported type: 'bool'"),
    ],
)
def test_what_is_no_length_of_time_is_refused_in_gos_words(
    server: StandIn, keep_alive: Any, words: str
) -> None:
    body = asked("/api/chat", "Hello", keep_alive=keep_alive)
    answer = httpx.post(server.url + "/api/chat", json=body)
    assert (answer.status_code, answer.json()) == (400, {"error": words})
