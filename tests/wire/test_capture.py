"""A reply is read as it goes by; how the bytes were cut makes no difference, and its end waits for the ledger."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltmld.core.exchange import Reply, Usage
from ltmld.core.message import ToolCall
from ltmld.wire.request import context_digest
from tests.support.recordings import Case, recorded
from tests.wire.relaying import begun, capture_for, cut, over, relayed

STORY = (
    " Once upon a time there was tiny model made of zeros and ones that could only ever tell this very short story"
    " about rivers , mountains quiet lanterns ; then it smiled said goodbye to everybody listening"
    " \N{EARTH GLOBE EUROPE-AFRICA} stopped ."
)
STREAMS = (
    "chat-stream",
    "chat-logprobs",
    "chat-tools-stream",
    "chat-stream-http10",
    "generate-stream",
    "v1-chat-stream",
    "v1-chat-stream-usage",
    "v1-chat-think-stream",
    "v1-chat-tools-stream",
    "v1-chat-too-long-stream",
    "queue-messages-0",
)
DOCUMENTS = (
    "chat-load",
    "chat-think-nonstream",
    "chat-tools-nonstream",
    "generate-load",
    "generate-system",
    "v1-chat-nonstream",
    "v1-chat-tools",
    "v1-responses",
    "v1-messages-beta-query",
)
# Streams that Ollama broke off in mid-answer, its model's process killed.
BROKEN = (
    "midstream-error-chat",
    "midstream-error-generate",
    "midstream-error-v1-responses",
    "midstream-error-v1-messages",
)
ERRORS = {
    "chat-unknown-model": "model 'nope' not found",
    "v1-chat-unknown-model": "model 'nope' not found",
    "generate-bad-json": "invalid character 'o' in literal null (expecting 'u')",
    "queue-v1-2": "server busy, please try again.  maximum pending requests exceeded",
    "queue-messages-2": "server busy, please try again.  maximum pending requests exceeded",
    "v1-responses-unknown-model": "model 'nope' not found",
    "v1-messages-bad-json": "unexpected EOF",
    "prestream-error-generate": "request (9039 tokens) exceeds the available context size (2048 tokens), "
    "try increasing it",
}


def ends_with_a_whole_unit(case: Case, passed: bytes) -> bool:
    return passed == b"" or passed.endswith(b"\n\n" if case.target.startswith("/v1") else b"\n")


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_is_read_and_its_last_chunk_held_whole(name: str) -> None:
    case = recorded(name)
    pieces = case.response.pieces if case.response.chunked else case.response.body.splitlines(keepends=True)
    # An Anthropic answer says that it ends one event before it ends.
    held = 2 if case.target == "/v1/messages" else 1
    before, after, _ = relayed(begun(case), case.response.pieces)
    assert before == b"".join(pieces[:-held])
    assert after == b"".join(pieces[-held:])


@pytest.mark.parametrize("name", STREAMS + DOCUMENTS)
@given(st.lists(st.integers(0, 1 << 16), max_size=40))
def test_how_a_body_is_cut_makes_no_difference(name: str, places: list[int]) -> None:
    case = recorded(name)
    whole = relayed(begun(case), [case.response.body])
    capture = begun(case)
    before, after, reply = relayed(capture, cut(case.response.body, places))
    assert capture.complete
    assert reply == whole[2]
    assert before == whole[0]
    assert before + after == case.response.body


@pytest.mark.parametrize("name", BROKEN)
@given(st.lists(st.integers(0, 1 << 16), max_size=40))
def test_a_stream_that_breaks_off_is_passed_whole_and_never_counts_as_ended(
    name: str, places: list[int]
) -> None:
    case = recorded(name)
    capture = begun(case)
    before, after, reply = relayed(capture, cut(case.response.body, places))
    assert (before, after) == (case.response.body, b"")
    assert not over(capture)
    assert reply.text.startswith(" one two three")
    assert reply.done_reason == ""


@pytest.mark.parametrize("name", STREAMS)
def test_a_body_that_comes_byte_by_byte_passes_in_whole_lines(name: str) -> None:
    case = recorded(name)
    capture = begun(case)
    held = b""
    for index in range(len(case.response.body)):
        held += case.response.body[index : index + 1]
        passing = capture.feed(case.response.body[index : index + 1])
        if capture.complete:
            break
        assert ends_with_a_whole_unit(case, held[:passing])
        held = held[passing:]


lines = st.lists(
    st.one_of(
        st.builds(
            lambda text: orjson.dumps({"message": {"role": "assistant", "content": text}, "done": False}),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        ),
        st.just(b"not json"),
        st.just(b""),
        st.just(b'{"done":true,"done_reason":"stop"}'),
        st.just(b'{"error":"broke"}'),
    ),
    max_size=8,
)


@given(lines, st.lists(st.binary(min_size=1, max_size=12), max_size=12))
def test_joined_chunks_and_their_sum_are_one_stream(written: list[bytes], tail: list[bytes]) -> None:
    chunks = [piece + b"\n" for piece in written] + tail
    halves = [half for chunk in chunks for half in (chunk[: len(chunk) // 2], chunk[len(chunk) // 2 :])]
    answers = []
    for pieces in (chunks, halves, [b"".join(chunks)]):
        capture = capture_for("/api/chat")
        capture.begin(status=200, content_type="application/x-ndjson")
        before, after, reply = relayed(capture, pieces)
        assert before + after == b"".join(chunks)
        answers.append((before, capture.complete, reply))
    assert answers[0] == answers[1] == answers[2]


NAMES = (
    *(
        "message",
        "content",
        "thinking",
        "tool_calls",
        "function",
        "arguments",
        "done",
        "error",
        "usage",
        "choices",
    ),
    *("delta", "index", "model", "response", "context", "finish_reason", "prompt_eval_count"),
    *("type", "item", "output", "output_index", "summary", "text", "partial_json", "content_block", "input"),
)
KINDS = (
    *("response.completed", "response.failed", "response.output_item.done", "response.output_text.delta"),
    *("response.function_call_arguments.delta", "function_call", "reasoning", "message", "error"),
    *("message_start", "message_delta", "content_block_start", "content_block_delta", "tool_use", "thinking"),
    *("input_json_delta", "text", "text_delta"),
)
nonsense = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(KINDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)


@given(nonsense)
@settings(max_examples=50)
@pytest.mark.parametrize(
    "path", ["/api/chat", "/api/generate", "/v1/chat/completions", "/v1/responses", "/v1/messages"]
)
@pytest.mark.parametrize("media", ["application/x-ndjson", "text/event-stream", "application/json"])
def test_nonsense_never_raises(path: str, media: str, tree: Any) -> None:
    capture = capture_for(path)
    capture.begin(status=200, content_type=media)
    document = json.dumps(tree).encode()
    body = b"data: " + document + b"\n\n" if media == "text/event-stream" else document + b"\n"
    before, after, reply = relayed(capture, [body])
    assert before + after == body
    assert isinstance(reply, Reply)


def reply_of(name: str) -> Reply:
    case = recorded(name)
    return relayed(begun(case), case.response.pieces)[2]


def test_a_streamed_answer_is_joined() -> None:
    reply = reply_of("chat-stream")
    assert reply.text == STORY
    assert (reply.model, reply.done_reason, reply.error) == ("tiny", "stop", "")
    assert reply.usage.reply_tokens == 41
    assert reply.usage.prompt_ms is not None
    assert reply_of("v1-chat-stream").text == reply_of("generate-stream").text == STORY


def test_usage_is_read_in_every_dialect() -> None:
    assert reply_of("chat-think-nonstream").usage == Usage(
        prompt_tokens=15, reply_tokens=13, prompt_ms=0.515, reply_ms=3.52
    )
    assert reply_of("v1-chat-stream-usage").usage == Usage(prompt_tokens=47, reply_tokens=4)
    assert reply_of("v1-chat-nonstream").usage == Usage(prompt_tokens=47, reply_tokens=41)
    assert reply_of("v1-responses").usage == Usage(prompt_tokens=41, reply_tokens=41)
    assert reply_of("v1-messages-beta-query").usage == Usage(prompt_tokens=47, reply_tokens=5)


@pytest.mark.parametrize("number", [2**63, -1, 10**30, 1.5, "7", True])
def test_a_number_that_the_ledger_cannot_hold_counts_as_not_given(number: object) -> None:
    names = ("prompt_eval_count", "eval_count", "prompt_eval_duration", "eval_duration")
    capture = capture_for("/api/chat")
    capture.begin(status=200, content_type="application/x-ndjson")
    capture.feed(json.dumps({"done": True} | dict.fromkeys(names, number)).encode() + b"\n")
    assert capture.complete
    assert capture.reply().usage == Usage()
    capture = capture_for("/v1/chat/completions")
    capture.begin(status=200, content_type="application/json")
    usage = {"prompt_tokens": number, "completion_tokens": number}
    capture.feed(json.dumps({"choices": [{}], "usage": usage}).encode())
    assert capture.reply().usage == Usage()


def test_thinking_is_kept_apart_from_the_answer() -> None:
    for name in ("chat-think-nonstream", "v1-chat-think-stream"):
        reply = reply_of(name)
        assert reply.text == "The answer is forty-two!"
        assert reply.thinking.strip() == "The user wants something simple."


def test_tool_calls_are_read_in_every_dialect() -> None:
    for name in ("chat-tools-stream", "chat-tools-nonstream", "v1-chat-tools-stream", "v1-chat-tools"):
        (call,) = reply_of(name).tool_calls
        assert (call.name, call.arguments) == ("get_weather", '{"city":"Paris"}')
        assert call.id.startswith("call_")


def test_a_tool_call_that_comes_in_pieces_is_joined() -> None:
    capture = capture_for("/v1/chat/completions")
    capture.begin(status=200, content_type="text/event-stream; charset=utf-8")
    deltas = [
        {"index": 0, "id": "call_1", "function": {"name": "look", "arguments": '{"a'}},
        {"index": 1, "id": "call_2", "function": {"name": "see", "arguments": "{}"}},
        {"index": 0, "function": {"arguments": '":1}'}},
    ]
    events = [{"choices": [{"index": 0, "delta": {"tool_calls": [delta]}}]} for delta in deltas]
    relayed(capture, [b"data: " + orjson.dumps(event) + b"\r\n\r\n" for event in events])
    assert capture.reply().tool_calls == (
        ToolCall(name="look", arguments='{"a":1}', id="call_1"),
        ToolCall(name="see", arguments="{}", id="call_2"),
    )


def test_the_context_of_an_answer_gets_a_name() -> None:
    context = orjson.loads(recorded("generate-system").response.body)["context"]
    assert reply_of("generate-system").context_sha256 == context_digest(context)
    assert reply_of("generate-stream").context_sha256 != ""
    assert reply_of("generate-raw").context_sha256 == ""


def test_load_is_an_answer_with_its_own_reason() -> None:
    assert reply_of("chat-load").done_reason == reply_of("generate-load").done_reason == "load"


@pytest.mark.parametrize("name", ["midstream-error-chat", "midstream-error-generate"])
def test_an_error_in_mid_stream_is_no_end(name: str) -> None:
    case = recorded(name)
    capture = begun(case)
    before, after, reply = relayed(capture, case.response.pieces)
    assert (before, after) == (case.response.body, b"")
    assert not capture.complete
    assert reply.text.startswith(" one two three")
    assert reply.error == "an error was encountered while running the model: unexpected EOF"


def test_an_openai_stream_that_breaks_off_is_seen_by_its_nameless_chunk() -> None:
    capture = capture_for("/v1/chat/completions")
    capture.begin(status=200, content_type="text/event-stream")
    first, *_ = recorded("v1-chat-stream").response.pieces
    broken = first.replace(b'"model":"tiny"', b'"model":""').replace(b" Once", b"")
    before, after, reply = relayed(capture, [first, broken])
    assert (before, after) == (first + broken, b"")
    assert not capture.complete
    assert (reply.text, reply.model, reply.error) == (" Once", "tiny", "Ollama broke off in mid-answer")


def test_an_openai_stream_without_its_end_is_unfinished_and_loses_nothing() -> None:
    pieces = recorded("v1-chat-stream").response.pieces
    capture = capture_for("/v1/chat/completions")
    capture.begin(status=200, content_type="text/event-stream")
    before, after, reply = relayed(capture, pieces[:-1])
    assert (before, after) == (b"".join(pieces[:-1]), b"")
    assert (over(capture), capture.unfinished, reply.done_reason) == (False, True, "")


@pytest.mark.parametrize("name", [*STREAMS, *DOCUMENTS])
def test_what_ended_as_it_should_is_not_unfinished(name: str) -> None:
    case = recorded(name)
    capture = begun(case)
    relayed(capture, case.response.pieces)
    assert not capture.unfinished


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_answer_passes_at_once_and_its_sentence_is_kept(name: str) -> None:
    case = recorded(name)
    capture = begun(case)
    before, _, reply = relayed(capture, cut(case.response.body, [7, 30]))
    assert before == case.response.body
    assert not capture.complete
    assert reply.error == ERRORS[name]


def test_an_error_answer_that_is_no_json_is_kept_as_it_is() -> None:
    capture = capture_for("/api/chat")
    capture.begin(status=502, content_type="text/html")
    assert capture.reply().error == "HTTP 502"
    assert capture.feed(b"Bad gateway\n") == 12
    assert capture.reply().error == "Bad gateway"


def test_what_is_no_answer_passes_unread() -> None:
    capture = capture_for("/api/chat")
    assert capture.feed(b"before any head") == 15
    capture.begin(status=301, content_type="text/html")
    assert capture.feed(b'{"done":true}\n') == 14
    assert not capture.complete


def test_a_last_line_without_a_line_end_is_read_at_the_end() -> None:
    capture = capture_for("/api/chat")
    capture.begin(status=200, content_type="application/x-ndjson")
    assert capture.feed(b'{"message":{"content":"hi"},"done":true,"done_reason":"stop"}') == 0
    assert not over(capture)
    capture.end()
    assert over(capture)
    assert (capture.reply().text, capture.reply().done_reason) == ("hi", "stop")


def test_nothing_after_a_finish_reason_passes_before_the_commit() -> None:
    case = recorded("v1-chat-stream-usage")
    finish, usage, done, _ = case.response.pieces[-1].split(b"\n\n")
    capture = begun(case)
    for piece in case.response.pieces[:-1]:
        assert capture.feed(piece) == len(piece)
    assert capture.feed(finish + b"\n\n") == 0
    assert capture.feed(usage + b"\n\n") == 0
    assert not over(capture)
    assert capture.feed(done + b"\n\n") == 0
    assert over(capture)
    assert capture.feed(b"later") == 5
