"""A request is read as Ollama reads it; whatever is not understood is a WireError, so that it passes untouched."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson
import pytest

from ltmld.core.message import Role, ToolCall
from ltmld.errors import WireError
from ltmld.wire.dialects import Request, dialect_for
from ltmld.wire.request import context_digest
from ltmld.wire.sentinel import GAP, wrap
from tests.support.recordings import recorded

ROUTES = ("/api/chat", "/api/generate", "/v1/chat/completions", "/v1/responses", "/v1/messages")


CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"n": 1}'}}


def parsed(path: str, body: bytes | dict[str, Any]) -> Request:
    dialect = dialect_for("POST", path)
    assert dialect is not None
    return dialect.parse(body if isinstance(body, bytes) else orjson.dumps(body))


def chat(**fields: Any) -> Request:
    return parsed("/api/chat", fields)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b'{"model": "tiny", ',
        b"[]",
        b'"text"',
        b"\xef\xbb\xbf{}",
        b'{"model":NaN}',
        b'{"model" "tiny"}',
        b'{1:"tiny"}',
        b'{"model":"tiny",}',
        b'{"model":' + b"[" * 100_000,
        b'{"model":' + b"9" * 5000 + b"}",
        b'{"model":1}',
        b'{"stream":"yes"}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_not_understood_is_left_alone(path: str, body: bytes) -> None:
    with pytest.raises(WireError):
        parsed(path, body)


@pytest.mark.parametrize("case", ["chat-bad-json", "chat-empty-body", "chat-wrong-type"])
def test_recorded_bad_bodies_are_left_alone(case: str) -> None:
    with pytest.raises(WireError):
        parsed("/api/chat", recorded(case).request.body)


@pytest.mark.parametrize(
    "messages",
    ["hi", [1], [{"role": "wizard", "content": ""}], [{"role": "user", "content": 5}], [{"content": "x"}]],
)
def test_messages_of_another_shape_are_left_alone(messages: object) -> None:
    with pytest.raises(WireError):
        chat(messages=messages)


def test_bytes_that_are_no_utf8_are_read_as_ollama_reads_them() -> None:
    request = parsed("/api/chat", recorded("body-invalid-utf8").request.body)
    (message,) = request.messages
    assert "\ufffd" in message.text
    message.text.encode()  # it can be stored
    again = parsed("/api/chat", b'{"model":"t\xffny","messages":[{"role":"user","content":"a\xc3(b"}]}')
    assert (again.model, again.messages[0].text) == ("t\ufffdny", "a\ufffd(b")


@pytest.mark.parametrize(
    "twice",
    [
        b'"messages":[{"role":"user","content":"a"}],"Messages":[{"role":"user"}]',
        b'"messages":[{"role":"user","content":"a"}],"messages":null',
        b'"messages":[{"role":"user","content":["a"],"content":"b"}]',
        b'"options":{"num_predict":1},"options":{}',
    ],
)
def test_lists_and_objects_that_go_would_merge_are_left_alone(twice: bytes) -> None:
    with pytest.raises(WireError, match="more than once"):
        parsed("/api/chat", b"{%s}" % twice)


def test_only_the_first_json_value_counts() -> None:
    assert parsed("/api/chat", b' {"model":"a"}{"model":"b"} garbage').model == "a"


def test_keys_are_found_in_any_case_and_the_last_of_several_wins() -> None:
    request = parsed(
        "/api/chat", b'{"Model":"a","MODEL":"b","me\xc5\xbfsages":[{"ROLE":"USER","Content":"hi"}]}'
    )
    assert request.model == "b"
    assert [(message.role, message.text) for message in request.messages] == [(Role.USER, "hi")]


def test_a_null_changes_nothing() -> None:
    assert parsed("/api/chat", b'{"model":"a","model":null,"stream":null}').model == "a"


def test_a_chat_is_read_message_by_message() -> None:
    request = parsed("/api/chat", recorded("chat-tools-result-turn").request.body)
    user, assistant, tool = request.messages
    assert (user.role, user.text) == (Role.USER, "hi there")
    assert assistant.tool_calls == (ToolCall(name="get_weather", arguments='{"city":"Paris"}', id="call_1"),)
    assert (tool.role, tool.text, tool.name, tool.tool_call_id) == (Role.TOOL, "22C", "get_weather", "call_1")
    assert (request.model, request.stream, request.has_tools) == ("tiny-tool", False, True)


def test_streaming_is_ollamas_default_and_not_openais() -> None:
    assert parsed("/api/chat", {}).stream
    assert parsed("/api/generate", {}).stream
    assert not parsed("/v1/chat/completions", {}).stream


def test_the_leading_system_message_is_the_system_text() -> None:
    system = {"role": "system", "content": "Be brief"}
    user = {"role": "user", "content": "hi"}
    assert chat(messages=[system, user]).system == "Be brief"
    assert chat(messages=[user, system]).system is None


def test_an_empty_conversation_only_loads_the_model() -> None:
    assert parsed("/api/chat", recorded("chat-load").request.body).empty
    assert parsed("/api/generate", recorded("generate-load").request.body).empty
    assert not parsed("/api/generate", recorded("generate-stream").request.body).empty


def test_generate_is_a_system_text_and_a_prompt() -> None:
    request = parsed("/api/generate", recorded("generate-system").request.body)
    assert [(message.role, message.text) for message in request.messages] == [
        (Role.SYSTEM, "Be brief"),
        (Role.USER, "hi"),
    ]
    assert (request.system, request.reply_tokens_max, request.stream) == ("Be brief", 4, False)
    assert parsed("/api/generate", {"prompt": "x", "system": ""}).system is None


def test_flags_of_a_request_are_seen() -> None:
    assert parsed("/api/generate", recorded("generate-raw").request.body).raw
    assert parsed("/api/generate", recorded("generate-suffix").request.body).suffix
    assert parsed("/api/generate", {"prompt": "x", "template": "{{ .Prompt }}"}).template
    assert parsed("/api/chat", recorded("chat-debug-render").request.body).debug_render
    assert parsed("/api/chat", recorded("chat-format-json").request.body).has_format
    schema = parsed("/v1/chat/completions", recorded("v1-chat-json-schema").request.body)
    assert (schema.has_format, schema.reply_tokens_max) == (True, 200)
    assert chat(options={"num_predict": -1}).reply_tokens_max is None


def test_the_parts_of_an_openai_message_are_joined_and_its_images_kept_as_digests() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}
    parts = [{"type": "text", "text": "one"}, image, {"type": "text", "text": "two"}]
    (message,) = parsed("/v1/chat/completions", {"messages": [{"role": "user", "content": parts}]}).messages
    assert message.text == "one\n\ntwo"
    (attachment,) = message.attachments
    assert (attachment.media, attachment.size_bytes) == ("image/png", 5)
    assert attachment.sha256 == sha256(b"hello").hexdigest()


def test_developers_and_names_and_thinking_of_an_openai_chat_are_seen() -> None:
    request = parsed(
        "/v1/chat/completions",
        {
            "messages": [
                {"role": "developer", "content": "Rules."},
                {"role": "user", "name": "Ann", "content": [{"type": "text", "text": "hi"}]},
                {"role": "assistant", "content": None, "reasoning": "Hm.", "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "call_1", "name": "look", "content": "22C"},
                {"role": "function", "name": "look", "content": "old"},
            ],
            "stream_options": {"include_usage": True},
        },
    )
    assert [message.role.value for message in request.messages] == [
        "developer",
        "user",
        "assistant",
        "tool",
        "tool",
    ]
    assert (request.messages[1].name, request.messages[2].thinking) == ("Ann", "Hm.")
    assert request.messages[2].tool_calls == (ToolCall(name="look", arguments='{"n": 1}', id="call_1"),)
    assert request.system is None


def test_sounds_and_files_of_an_openai_message_are_kept_as_digests() -> None:
    parts = [
        {"type": "input_audio", "input_audio": {"data": "aGVsbG8=", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGVsbG8="}},
        {"type": "image_url", "image_url": "https://example.org/a.png"},
    ]
    (message,) = parsed("/v1/chat/completions", {"messages": [{"role": "user", "content": parts}]}).messages
    assert [(item.media, item.size_bytes) for item in message.attachments] == [
        ("audio/wav", 5),
        ("application/pdf", 5),
        ("link", 0),
    ]


def test_a_generate_with_everything_is_read() -> None:
    request = parsed(
        "/api/generate",
        {
            "prompt": "what is it?",
            "images": ["aGVsbG8="],
            "format": {"type": "object"},
            "think": "high",
            "logprobs": True,
            "keep_alive": -1,
            "options": {"num_predict": 7, "stop": ["x"]},
        },
    )
    assert (request.has_format, request.reply_tokens_max, len(request.messages[0].attachments)) == (
        True,
        7,
        1,
    )
    assert (request.raw, request.suffix, request.template, request.context_sha256) == (
        False,
        False,
        False,
        "",
    )


def test_images_of_ollama_are_kept_as_digests() -> None:
    (message,) = chat(messages=[{"role": "user", "content": "", "images": ["aGVsbG8="]}]).messages
    assert message.attachments[0].sha256 == sha256(b"hello").hexdigest()
    generate = parsed("/api/generate", {"prompt": "what?", "images": ["not base64!"]})
    assert generate.messages[0].attachments[0].media == "image"


def test_a_block_of_ours_is_seen_and_taken_out() -> None:
    content = wrap("I know you") + GAP + "hi"
    request = chat(messages=[{"role": "user", "content": content}])
    assert request.injected
    assert request.messages[0].text == "hi"
    generate = parsed("/api/generate", {"prompt": "hi", "system": "S" + GAP + wrap("x")})
    assert (generate.injected, generate.system) == (True, "S")


def test_a_lone_surrogate_is_replaced_as_ollama_does() -> None:
    request = parsed("/api/chat", b'{"messages":[{"role":"user","content":"a\\ud800b"}]}')
    assert request.messages[0].text == "a\ufffdb"


def test_an_answers_context_and_the_next_requests_have_one_name() -> None:
    answer = orjson.loads(recorded("generate-system").response.body)
    request = parsed("/api/generate", {"prompt": "and?", "context": answer["context"]})
    assert request.context_sha256 == context_digest(answer["context"]) != ""
    assert parsed("/api/generate", {"prompt": "x", "context": []}).context_sha256 == ""
