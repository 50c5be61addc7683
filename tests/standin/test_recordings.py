"""The stand-in's answers have the shape of a real server's, byte for byte: status line, headers, framing, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from ltmld.standin.server import StandIn, running_standin
from tests.standin.wires import wire_to
from tests.support.recordings import Half, recorded

FULL = (
    *("tiny", "tiny-slow", "tiny-tool", "tiny-think", "tiny-embed", "tiny-copy0", "tiny-copy1"),
    *("tiny-copy2", "tiny-copy3"),
)
INFERENCE = (
    *(
        "chat-stream",
        "chat-load",
        "chat-debug-render",
        "chat-format-json",
        "chat-options",
        "chat-model-case-tag",
    ),
    *("body-invalid-utf8", "generate-stream", "generate-load", "generate-system"),
    *("v1-chat-stream", "v1-chat-stream-usage", "v1-chat-nonstream", "v1-chat-parts", "v1-chat-json-schema"),
    "chat-stream-http10",
)
REFUSED = (
    *("chat-bad-json", "chat-empty-body", "chat-no-model", "chat-wrong-type", "chat-unknown-model"),
    *("generate-unknown-model", "generate-no-model", "generate-bad-json", "embed-unknown-model"),
    *("v1-chat-bad-json", "v1-chat-no-messages", "v1-chat-unknown-model", "v1-chat-unknown-model-stream"),
    *("show-missing", "show-nomodel", "v1-model-unknown", "trailing-slash-post"),
    *("post-root-405", "head-ps-405", "options-no-origin", "pprof"),
)
SHOWN = (
    *("get-root", "head-root", "get-version", "get-status", "show-name-field", "keepalive-seq-2", "v1-model"),
    *("embed-empty", "embed-noinput", "embeddings-empty", "v1-embeddings"),
)
BARE = ("tags", "head-tags", "ps-empty")


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    story = " Once upon a time there was tiny model , made of zeros & ones 🌍 stopped ."
    with running_standin(
        models=FULL, system="You are tiny.", script=lambda asked: _story(asked, story)
    ) as standin:
        yield standin


def _story(asked: Any, story: str) -> str | None:
    return None if asked.schema else story


@pytest.fixture(scope="module")
def bare_server() -> Iterator[StandIn]:
    with running_standin(models=()) as standin:
        yield standin


def exchanged(standin: StandIn, name: str) -> tuple[Half, Half]:
    """Send a recorded request; return the stand-in's answer and the recorded one."""
    case = recorded(name)
    with wire_to(standin.port) as wire:
        wire.send(case.request_bytes)
        return wire.read_answer(method=case.method), case.response


def headers_of(answer: Half) -> list[tuple[str, str]]:
    """Return the headers with the values that must differ blanked."""
    return [(name, "" if name in ("Date", "Content-Length") else value) for name, value in answer.headers]


def shape(value: Any) -> Any:
    """Return keys in order and types, values gone; a list is known by its first element."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def documents(answer: Half) -> list[Any]:
    """Return the JSON documents of an answer in order, whatever their framing; text when it is none."""
    media = answer.header("Content-Type")
    text = answer.body.decode()
    if "json" not in media and media != "text/event-stream":
        return [text]
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.strip()]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def varied(found: list[Any]) -> list[Any]:
    """Return the shapes of the documents, each run of equal ones once: answers may be longer or shorter."""
    shapes = [shape(document) if not isinstance(document, str) else document for document in found]
    return [item for index, item in enumerate(shapes) if index == 0 or item != shapes[index - 1]]


def assert_alike(answer: Half, real: Half) -> None:
    assert answer.first_line == real.first_line
    assert headers_of(answer) == headers_of(real)
    assert answer.chunked == real.chunked
    assert varied(documents(answer)) == varied(documents(real))
    assert answer.body[-2:].count(b"\n") == real.body[-2:].count(b"\n")


@pytest.mark.parametrize("name", INFERENCE + REFUSED)
def test_an_answer_has_the_shape_that_was_recorded(server: StandIn, name: str) -> None:
    assert_alike(*exchanged(server, name))


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_has_the_length_of_its_own_words(server: StandIn, name: str) -> None:
    answer, real = exchanged(server, name)
    if not name.startswith("head"):
        assert int(answer.header("Content-Length")) == len(answer.body)
    if name not in ("chat-wrong-type", "generate-bad-json"):
        assert answer.body == real.body


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_has_the_shape_that_was_recorded(server: StandIn, name: str) -> None:
    answer, real = exchanged(server, name)
    if name == "show-name-field":
        assert answer.first_line == real.first_line
        assert headers_of(answer) == headers_of(real)
        ours, theirs = documents(answer)[0], documents(real)[0]
        assert list(ours) == list(theirs)
        assert [shape(ours[key]) for key in ours if key != "model_info"] == [
            shape(theirs[key]) for key in theirs if key != "model_info"
        ]
    else:
        assert_alike(answer, real)


@pytest.mark.parametrize("name", BARE)
def test_a_server_without_models_says_so(bare_server: StandIn, name: str) -> None:
    answer, real = exchanged(bare_server, name)
    assert_alike(answer, real)
    assert answer.body == real.body


def test_loaded_models_are_listed_and_unloading_takes_them_away(server: StandIn) -> None:
    exchanged(server, "chat-stream")
    answer, real = exchanged(server, "ps-loaded")
    assert_alike(answer, real)
    for zero in (0, "0s"):
        with ollama.Client(host=server.url) as client:
            assert client.generate(model="tiny", keep_alive="5m").done_reason == "load"
            assert client.generate(model="tiny", keep_alive=zero).done_reason == "unload"
            assert "tiny:latest" not in [model.model for model in client.ps().models]


def test_a_native_stream_is_one_line_a_chunk(server: StandIn) -> None:
    for name in ("chat-stream", "generate-stream"):
        answer, real = exchanged(server, name)
        for half in (answer, real):
            assert all(piece.count(b"\n") == 1 and piece.endswith(b"}\n") for piece in half.pieces)


def test_the_last_chunk_of_an_openai_stream_holds_all_that_ends_it(server: StandIn) -> None:
    for name, events in (("v1-chat-stream", 2), ("v1-chat-stream-usage", 3)):
        answer, real = exchanged(server, name)
        for half in (answer, real):
            assert [piece.count(b"\n\n") for piece in half.pieces[:-1]] == [1] * (len(half.pieces) - 1)
            assert half.pieces[-1].count(b"\n\n") == events
            assert half.pieces[-1].endswith(b"data: [DONE]\n\n")


def test_marks_of_html_are_escaped_as_go_does(server: StandIn) -> None:
    answer, real = exchanged(server, "chat-debug-render")
    assert b"\\u003c|user|\\u003e" in real.body
    assert b"\\u003c|user|\\u003e" in answer.body
    streamed, _ = exchanged(server, "chat-stream")
    assert b"\\u0026" in streamed.body
    assert "🌍".encode() in streamed.body


def test_the_end_of_a_limited_answer_says_length(server: StandIn) -> None:
    answer, real = exchanged(server, "generate-system")
    assert documents(answer)[0]["done_reason"] == documents(real)[0]["done_reason"] == "length"
    assert documents(answer)[0]["eval_count"] == documents(real)[0]["eval_count"] == 4
