"""The stand-in's answers have the shape of a real server's, byte for byte: status line, headers, framing, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from ltmld.standin.conversation import Conversation
from ltmld.standin.faults import Fault
from ltmld.standin.server import StandIn, running_standin
from ltmld.standin.speech import Answer
from ltmld.standin.tools import Call
from tests.standin.wires import post, wire_to
from tests.support.recordings import Half, recorded

_PLAIN, _SLOW = ("completion", "insert"), ("completion",)
MODELS = {
    "tiny": _PLAIN,
    "tiny-slow": _SLOW,
    "tiny-tool": ("completion", "tools"),
    "tiny-think": ("completion", "thinking"),
    "tiny-embed": ("embedding",),
    **{f"tiny-copy{number}": _PLAIN for number in range(4)},
}
INFERENCE = (
    *(
        "chat-stream",
        "chat-stream-http10",
        "chat-load",
        "chat-debug-render",
        "chat-format-json",
        "chat-options",
    ),
    *(
        "chat-model-case-tag",
        "chat-full-name",
        "chat-unknown-option",
        "chat-logprobs",
        "chat-long-prompt-truncate",
    ),
    *("chat-format-schema-stream", "chat-slow-stream", "after-cancel", "concurrent-1", "body-invalid-utf8"),
    *("chat-think-false", "chat-think-level", "chat-think-nonstream"),
    *("chat-tools-nonstream", "chat-tools-result-turn", "chat-tools-stream"),
    *(
        "generate-stream",
        "generate-load",
        "generate-system",
        "generate-raw",
        "generate-stop",
        "generate-suffix",
    ),
    *("generate-format-schema", "keep-alive-forever"),
    *("v1-chat-stream", "v1-chat-stream-usage", "v1-chat-nonstream", "v1-chat-parts", "v1-chat-json-schema"),
    *("v1-chat-logprobs", "v1-chat-think-stream", "v1-chat-tools", "v1-chat-tools-stream"),
    *("v1-responses", "v1-responses-zstd", "v1-messages-beta-query", "queue-messages-0"),
)
REFUSED = (
    *("chat-bad-json", "chat-empty-body", "chat-no-model", "chat-wrong-type", "chat-unknown-model"),
    *("generate-unknown-model", "generate-no-model", "generate-bad-json", "embed-unknown-model"),
    *("v1-chat-bad-json", "v1-chat-no-messages", "v1-chat-unknown-model", "v1-chat-unknown-model-stream"),
    *("show-missing", "show-nomodel", "v1-model-unknown", "trailing-slash-post"),
    *("post-root-405", "head-ps-405", "options-no-origin", "pprof"),
    *(
        "chat-bad-keepalive",
        "chat-bad-option-type",
        "chat-embed-model",
        "chat-format-bad",
        "chat-image-bad-b64",
    ),
    *(
        "chat-tools-unsupported",
        "generate-bad-template",
        "generate-embed-model",
        "generate-suffix-unsupported",
    ),
    *(
        "cloud-model-disabled",
        "content-encoding-gzip",
        "embed-too-long-notruncate",
        "v1-chat-error-embed-model",
    ),
    *("v1-completions-bad-json", "v1-embeddings-bad", "v1-responses-unknown-model", "v1-audio-nofile"),
    *("v1-messages-count-tokens-404", "v1-model-encoded-slash", "copy-missing", "delete-missing"),
    *("blob-head-missing", "blob-post-mismatch", "me-offline", "web-search-offline", "no-content-type"),
    *("urlencoded-content-type", "request-chunked-body"),
)
CHUNKED_REFUSED = ("chat-image-unsupported",)
UNLIKE_IN_WORDS = ("chat-wrong-type",)
CHANGED = ("copy", "create-nostream", "pull-offline", "pull-offline-nostream")
SHOWN = (
    *("get-root", "head-root", "get-version", "get-status", "show-name-field", "keepalive-seq-2", "v1-model"),
    *("embed-empty", "embed-noinput", "embeddings-empty", "v1-embeddings"),
)
BARE = ("tags", "head-tags", "ps-empty")


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with running_standin(models=MODELS, system="You are tiny.", script=_story) as standin:
        yield standin


def _story(asked: Conversation) -> Answer | str | None:
    """Say what the recorded models say."""
    match asked.model:
        case "tiny-tool":
            return Answer(calls=(Call(name="get_weather", arguments={"city": "Paris"}),))
        case "tiny-think":
            return Answer(thinking="The user wants something simple.\n", text="The answer is forty-two!")
        case _ if asked.schema:
            return None
        case _:
            return " Once upon a time there was tiny model , made of zeros & ones 🌍 stopped ."


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
    return [line if line == "[DONE]" or line.startswith("event: ") else json.loads(line) for line in lines]


def varied(found: list[Any]) -> list[Any]:
    """Return the shapes of the documents, each run of equal ones once: answers may be longer or shorter."""
    shapes = [shape(document) if not isinstance(document, str) else document for document in found]
    # An event's name and its document come and go together.
    steps = [each for each in shapes if not (isinstance(each, str) and each.startswith("event: "))]
    names = [each for each in shapes if each not in steps]
    return [*_once(steps), *_once(names)]


def _once(items: list[Any]) -> list[Any]:
    return [item for index, item in enumerate(items) if index == 0 or item != items[index - 1]]


def assert_alike(answer: Half, real: Half) -> None:
    assert answer.first_line == real.first_line
    assert headers_of(answer) == headers_of(real)
    assert answer.chunked == real.chunked
    assert varied(documents(answer)) == varied(documents(real))
    assert answer.body[-2:].count(b"\n") == real.body[-2:].count(b"\n")


@pytest.mark.parametrize("name", INFERENCE + REFUSED + CHUNKED_REFUSED + CHANGED)
def test_an_answer_has_the_shape_that_was_recorded(server: StandIn, name: str) -> None:
    assert_alike(*exchanged(server, name))


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_has_the_length_of_its_own_words(server: StandIn, name: str) -> None:
    answer, real = exchanged(server, name)
    if recorded(name).method != "HEAD":
        assert int(answer.header("Content-Length")) == len(answer.body)
    if name not in UNLIKE_IN_WORDS:
        assert answer.body == real.body


@pytest.mark.parametrize("name", CHUNKED_REFUSED)
def test_the_runners_own_refusal_is_passed_on_in_a_chunk(server: StandIn, name: str) -> None:
    answer, real = exchanged(server, name)
    assert answer.pieces == real.pieces


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


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *((name, Fault.BUSY) for name in ("queue-2", "queue-v1-2", "queue-messages-2")),
        *((f"midstream-error-{kind}", Fault.MIDSTREAM_ERROR) for kind in ("chat", "generate")),
        *((f"midstream-error-v1-{kind}", Fault.MIDSTREAM_ERROR) for kind in ("messages", "responses")),
    ],
)
def test_what_goes_wrong_on_demand_goes_wrong_as_it_was_recorded(name: str, fault: Fault) -> None:
    with running_standin(models=MODELS, script=_story, faults=[fault]) as standin:
        assert_alike(*exchanged(standin, name))


def test_a_prompt_that_is_too_long_is_refused_where_it_may_not_be_cut(server: StandIn) -> None:
    real = recorded("prestream-error-generate").response
    with wire_to(server.port) as wire:
        asked = {"model": "tiny", "prompt": "word " * 90, "truncate": False, "options": {"num_ctx": 64}}
        wire.send(post("/api/generate", json.dumps(asked).encode()))
        answer = wire.read_answer()
    assert_alike(answer, real)
    ours, theirs = (json.loads(json.loads(half.body)["error"])["error"] for half in (answer, real))
    assert list(ours) == list(theirs)
    assert ours["type"] == theirs["type"]


def test_an_answer_ends_before_what_it_was_told_to_stop_at(server: StandIn) -> None:
    answer, real = exchanged(server, "generate-stop")
    assert documents(answer)[0]["response"] == documents(real)[0]["response"]
    assert documents(answer)[0]["done_reason"] == "stop"
