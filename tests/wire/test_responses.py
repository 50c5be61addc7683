"""Responses: read as Ollama reads them, and memory goes where no answer of Ollama shows it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.exchange import Reply, Usage
from ltmld.core.message import Role, ToolCall
from ltmld.errors import WireError
from ltmld.wire.dialects import Dialect, Request, dialect_for
from ltmld.wire.sentinel import GAP, OPEN, strip, wrap
from tests.wire.relaying import capture_for, cut, relayed

BLOCK, NOTE = wrap("You met Zoe"), wrap("a note")


def dialect() -> Dialect:
    found = dialect_for("POST", "/v1/responses")
    assert found is not None
    return found


def parsed(**fields: Any) -> Request:
    return dialect().parse(json.dumps(fields).encode())


def injected(body: dict[str, Any], **what: Any) -> Any:
    arguments = {"block": BLOCK, "base_system": "You are tiny.", "notes": {}} | what
    return json.loads(dialect().inject(parsed(**body), **arguments))


def said(role: str, text: str) -> dict[str, Any]:
    part = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": part, "text": text}]}


def call(name: str, number: int) -> dict[str, Any]:
    return {
        "type": "function_call",
        "call_id": f"call_{number}",
        "name": name,
        "arguments": f'{{"n":{number}}}',
    }


def output(number: int, text: str = "22C") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"call_{number}", "output": text}


def thought(text: str) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}]
    return {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": text}


# --- what was said ---


def test_a_string_is_what_the_user_says() -> None:
    request = parsed(model="tiny", instructions="Be brief.", input="hi", prompt_cache_key="k", stream=True)
    assert [(message.role, message.text) for message in request.messages] == [
        (Role.SYSTEM, "Be brief."),
        (Role.USER, "hi"),
    ]
    assert (request.system, request.thread_key, request.stream) == ("Be brief.", "k", True)


def test_items_become_the_messages_that_ollama_makes_of_them() -> None:
    items = [
        {"role": "developer", "content": "Rules."},
        said("user", "weather?"),
        thought("I must look."),
        said("assistant", "Looking."),
        call("look", 1),
        call("see", 2),
        output(1),
        output(2),
        thought("Warm."),
        call("check", 3),
        output(3),
        {"type": "web_search_call", "id": "ws_1"},
        said("assistant", "It is warm."),
        {"role": "user", "content": "thanks"},
    ]
    request = parsed(input=items)
    assert [(message.role.value, message.text, message.thinking) for message in request.messages] == [
        ("developer", "Rules.", ""),
        ("user", "weather?", ""),
        ("assistant", "Looking.", "I must look."),
        ("tool", "22C", ""),
        ("tool", "22C", ""),
        ("assistant", "", "Warm."),
        ("tool", "22C", ""),
        ("assistant", "It is warm.", ""),
        ("user", "thanks", ""),
    ]
    looking = request.messages[2]
    assert looking.tool_calls == (
        ToolCall(name="look", arguments='{"n":1}', id="call_1"),
        ToolCall(name="see", arguments='{"n":2}', id="call_2"),
    )
    assert request.messages[3].tool_call_id == "call_1"
    assert request.system is None


def test_parts_are_joined_and_images_kept_as_digests() -> None:
    parts = [
        {"type": "input_text", "text": "what "},
        {"type": "input_image", "image_url": "data:image/png;base64,aGVsbG8="},
        {"type": "input_text", "text": "is it?"},
    ]
    (message,) = parsed(input=[{"role": "user", "content": parts}]).messages
    assert message.text == "what is it?"
    assert [(item.media, item.size_bytes) for item in message.attachments] == [("image/png", 5)]


def test_flags_and_limits_are_seen() -> None:
    schema = {"format": {"type": "json_schema", "name": "x", "schema": {}}}
    request = parsed(input="x", text=schema, tools=[{"type": "function"}], max_output_tokens=7)
    assert (request.has_format, request.has_tools, request.reply_tokens_max) == (True, True, 7)
    assert not parsed(input="x", text={"format": {"type": "text"}}).has_format


@pytest.mark.parametrize("body", [{}, {"input": ""}, {"input": []}, {"input": None}])
def test_without_input_nothing_is_said_and_nothing_is_put_in(body: dict[str, Any]) -> None:
    request = parsed(**body)
    assert request.empty
    assert dialect().inject(request, block=BLOCK, base_system="S", notes={}) is request.body


@pytest.mark.parametrize(
    "asked", [5, {"role": "user"}, ["hi"], [{"role": "wizard"}], [{"role": "user", "content": 5}]]
)
def test_an_input_of_another_shape_is_left_alone(asked: object) -> None:
    with pytest.raises(WireError):
        parsed(input=asked)


# --- what is put in ---


def test_the_block_stands_before_the_words_of_a_string() -> None:
    assert injected({"input": "hi"}) == {"input": BLOCK + GAP + "hi"}
    asked = injected({"instructions": "Be brief.", "input": "hi"}, notes={1: NOTE})
    assert asked == {"instructions": "Be brief.", "input": BLOCK + GAP + NOTE + GAP + "hi"}
    assert strip(asked["input"]) == "hi"


def test_the_block_stands_before_the_first_user_message_on_every_request() -> None:
    first = [{"role": "developer", "content": "Rules."}, said("user", "one")]
    later = [*first, said("assistant", "ok"), said("user", "two")]
    prefix = injected({"input": first})["input"]
    changed = injected({"input": later}, notes={3: NOTE})["input"]
    assert changed[: len(first)] == prefix
    assert prefix[1]["content"] == [{"type": "input_text", "text": BLOCK + GAP + "one"}]
    assert changed[3]["content"] == [{"type": "input_text", "text": NOTE + GAP + "two"}]


def test_a_user_message_without_words_gets_a_part_of_its_own() -> None:
    image = {"type": "input_image", "image_url": "data:,"}
    (asked,) = injected({"input": [{"role": "user", "content": [image]}]})["input"]
    assert asked["content"] == [{"type": "input_text", "text": BLOCK}, image]


def test_a_dropped_message_takes_its_calls_and_its_thinking_along() -> None:
    items = [
        said("user", "/ltm status"),
        thought("hm"),
        said("assistant", "all well"),
        call("look", 1),
        output(1),
        said("user", "hi"),
    ]
    changed = injected({"input": items}, drop=frozenset({0, 1, 2}))["input"]
    assert changed == [said("user", BLOCK + GAP + "hi")]


def test_thinking_between_words_and_a_call_goes_with_them() -> None:
    items = [said("user", "a"), said("assistant", "b"), thought("hm"), call("look", 1), said("user", "c")]
    assert [message.thinking for message in parsed(input=items).messages] == ["", "hm", ""]
    changed = injected({"input": items}, block="", drop=frozenset({1}))["input"]
    assert changed == [said("user", "a"), said("user", "c")]


def test_a_block_of_ours_is_seen_and_taken_out() -> None:
    request = parsed(
        input=[said("user", BLOCK + GAP + NOTE + GAP + "hi"), said("assistant", "ho"), said("user", "x")]
    )
    assert request.injected
    assert [message.text for message in request.messages] == ["hi", "ho", "x"]
    assert parsed(input=BLOCK + GAP + "hi").injected
    assert not parsed(input=[said("user", "hi"), said("assistant", BLOCK), said("user", "x")]).injected


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
items = st.one_of(
    st.builds(said, st.sampled_from(["user", "assistant", "system", "developer"]), texts),
    st.builds(
        lambda role, text: {"role": role, "content": text}, st.sampled_from(["user", "assistant"]), texts
    ),
    st.builds(call, st.sampled_from(["look", "see"]), st.integers(0, 3)),
    st.builds(output, st.integers(0, 3), texts),
    st.builds(thought, texts),
)
bodies = st.builds(
    lambda asked, instructions, tools: {
        "model": "tiny",
        "instructions": instructions,
        "tools": tools,
        "input": asked,
        "reasoning": {"effort": "low"},
    },
    texts | st.lists(items, max_size=6),
    texts,
    st.lists(st.dictionaries(texts, texts, max_size=2), max_size=2),
)


@given(bodies)
def test_nothing_of_the_answer_can_show_what_was_put_in(body: dict[str, Any]) -> None:
    """Ollama's answers repeat fields of the request, but never its input."""
    request = parsed(**body)
    notes = {index: NOTE for index, message in enumerate(request.messages) if message.role is Role.USER}
    changed = json.loads(dialect().inject(request, block=BLOCK, base_system="You are tiny.", notes=notes))
    repeated = {name: value for name, value in changed.items() if name != "input"}
    assert repeated == {name: value for name, value in body.items() if name != "input"}
    assert OPEN not in json.dumps(repeated)
    assert (OPEN in json.dumps(changed["input"])) == bool(notes)


# --- answers ---


def event(kind: str, number: int, **fields: Any) -> bytes:
    tree = fields | {"sequence_number": number, "type": kind}
    return f"event: {kind}\ndata: {json.dumps(tree, sort_keys=True)}\n\n".encode()


def response(status: str, **fields: Any) -> dict[str, Any]:
    return {"id": "resp_1", "status": status, "model": "tiny", "error": None, "output": []} | fields


USAGE = {"input_tokens": 40, "output_tokens": 7, "total_tokens": 47}
START = [
    event("response.created", 0, response=response("in_progress")),
    event("response.in_progress", 1, response=response("in_progress")),
]
THINKING = [
    event("response.output_item.added", 2, output_index=0, item={"type": "reasoning", "id": "rs_1"}),
    event("response.reasoning_summary_text.delta", 3, output_index=0, delta="Look "),
    event("response.reasoning_summary_text.delta", 4, output_index=0, delta="it up."),
    event("response.output_item.done", 5, output_index=0, item=thought("Look it up.")),
]
SPOKEN = [
    event("response.output_item.added", 6, output_index=1, item={"type": "message", "id": "msg_1"}),
    event("response.content_part.added", 7, output_index=1, part={"type": "output_text", "text": ""}),
    event("response.output_text.delta", 8, output_index=1, delta="It is"),
    event("response.output_text.delta", 9, output_index=1, delta=" warm."),
    event("response.output_text.done", 10, output_index=1, text="It is warm."),
]
CALLS = [
    event("response.output_item.added", 6, output_index=1, item=call("look", 1) | {"arguments": ""}),
    event("response.function_call_arguments.delta", 7, output_index=1, delta='{"n"'),
    event("response.function_call_arguments.delta", 8, output_index=1, delta=":1}"),
    event("response.function_call_arguments.done", 9, output_index=1, arguments='{"n":1}'),
    event("response.output_item.done", 10, output_index=1, item=call("look", 1)),
    event("response.output_item.added", 11, output_index=2, item=call("see", 2) | {"arguments": ""}),
    event("response.output_item.done", 12, output_index=2, item=call("see", 2)),
]
OUTPUT = [thought("Look it up."), said("assistant", "It is warm."), call("look", 1)]
END = event("response.completed", 20, response=response("completed", usage=USAGE, output=OUTPUT))


def reply_to(pieces: list[bytes], places: list[int] | None = None) -> tuple[bytes, bytes, Reply]:
    capture = capture_for("/v1/responses")
    capture.begin(status=200, content_type="text/event-stream")
    return relayed(capture, cut(b"".join(pieces), places or []))


@given(st.lists(st.integers(0, 1 << 12), max_size=30))
def test_a_stream_is_read_however_it_is_cut_and_its_end_is_held(places: list[int]) -> None:
    before, after, reply = reply_to([*START, *THINKING, *SPOKEN, END], places)
    assert before == b"".join([*START, *THINKING, *SPOKEN])
    assert after == END
    assert (reply.text, reply.thinking, reply.tool_calls) == ("It is warm.", "Look it up.", ())
    assert (reply.model, reply.done_reason, reply.error) == ("tiny", "completed", "")
    assert reply.usage == Usage(prompt_tokens=40, reply_tokens=7)


@given(st.lists(st.integers(0, 1 << 12), max_size=30))
def test_calls_are_read_once_whether_they_come_in_pieces_or_whole(places: list[int]) -> None:
    _, _, reply = reply_to([*START, *CALLS, END], places)
    assert reply.tool_calls == (
        ToolCall(name="look", arguments='{"n":1}', id="call_1"),
        ToolCall(name="see", arguments='{"n":2}', id="call_2"),
    )


def test_an_answer_that_was_cut_at_its_limit_ends_as_incomplete() -> None:
    details = {"reason": "max_output_tokens"}
    end = event("response.incomplete", 20, response=response("incomplete", incomplete_details=details))
    before, after, reply = reply_to([*START, *SPOKEN, end])
    assert (before, after) == (b"".join([*START, *SPOKEN]), end)
    assert (reply.text, reply.done_reason, reply.error) == ("It is warm.", "max_output_tokens", "")


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (event("response.failed", 9, response=response("failed", error={"message": "it died"})), "it died"),
        (event("response.failed", 9, response=response("failed")), "the model failed in mid-answer"),
        (event("error", 9, message="too much", code="x"), "too much"),
        (event("error", 9, error={"message": "too much"}), "too much"),
    ],
)
def test_a_failed_answer_is_no_finished_one(end: bytes, sentence: str) -> None:
    before, after, reply = reply_to([*START, *SPOKEN, end])
    assert (before, after) == (b"".join([*START, *SPOKEN, end]), b"")
    assert (reply.text, reply.error) == ("It is warm.", sentence)


def test_a_whole_answer_is_read_item_by_item() -> None:
    whole = response(
        "completed", output=[thought("Hm."), said("assistant", "Warm."), call("look", 1)], usage=USAGE
    )
    capture = capture_for("/v1/responses")
    capture.begin(status=200, content_type="application/json")
    assert capture.feed(json.dumps(whole).encode()) == 0
    assert capture.complete
    reply = capture.reply()
    assert (reply.text, reply.thinking) == ("Warm.", "Hm.")
    assert reply.tool_calls == (ToolCall(name="look", arguments='{"n":1}', id="call_1"),)


def test_a_server_that_sends_no_pieces_is_read_at_its_end() -> None:
    end = event("response.completed", 2, response=response("completed", output=[said("assistant", "Warm.")]))
    assert reply_to([*START, end])[2].text == "Warm."


def test_an_answer_reads_alike_when_it_comes_and_when_the_client_sends_it_back() -> None:
    reply = reply_to([*START, *THINKING, *SPOKEN, *CALLS, END])[2]
    items = [
        said("user", "?"),
        thought("Look it up."),
        said("assistant", "It is warm."),
        call("look", 1),
        call("see", 2),
    ]
    sent_back = parsed(input=items).messages[-1]
    assert (sent_back.text, sent_back.thinking) == (reply.text, reply.thinking)
    assert sent_back.tool_calls == reply.tool_calls
