"""Anthropic messages: read as Ollama reads them, and memory stands at the end of the system text."""

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
from ltmld.wire.sentinel import GAP, strip, wrap
from tests.wire.relaying import capture_for, cut, relayed

BLOCK, NOTE = wrap("You met Zoe"), wrap("a note")
MARK = {"cache_control": {"type": "ephemeral"}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}}


def dialect() -> Dialect:
    found = dialect_for("POST", "/v1/messages")
    assert found is not None
    return found


def parsed(**fields: Any) -> Request:
    return dialect().parse(json.dumps(fields).encode())


def injected(body: dict[str, Any], **what: Any) -> Any:
    arguments = {"block": BLOCK, "base_system": "You are tiny.", "notes": {}} | what
    return json.loads(dialect().inject(parsed(**body), **arguments))


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def said(role: str, *content: Any) -> dict[str, Any]:
    return {"role": role, "content": content[0] if isinstance(content[0], str) else list(content)}


def use(number: int) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "look", "input": {"n": number}}


def result(number: int, content: Any = "22C") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": content}


# --- what was said ---


def test_a_conversation_is_read_block_by_block() -> None:
    request = parsed(
        model="tiny",
        max_tokens=1000,
        system=[text("You are "), text("Claude.", **MARK)],
        messages=[
            said("user", "weather?"),
            said(
                "assistant",
                {"type": "thinking", "thinking": "Hm.", "signature": "x"},
                text("Looking."),
                use(1),
                use(2),
            ),
            said("user", result(1), result(2, [text("19"), text("C")]), text("and "), text("tomorrow?")),
            said("System", "tokens left: 5"),
        ],
        metadata={"user_id": "user_ab_account__session_0197"},
        tools=[{"name": "look"}],
    )
    assert [(message.role.value, message.text) for message in request.messages] == [
        ("system", "You are Claude."),
        ("user", "weather?"),
        ("assistant", "Looking."),
        ("tool", "22C"),
        ("tool", "19C"),
        ("user", "and tomorrow?"),
        ("system", "tokens left: 5"),
    ]
    assistant = request.messages[2]
    assert assistant.thinking == "Hm."
    assert assistant.tool_calls[1] == ToolCall(name="look", arguments='{"n":2}', id="toolu_2")
    assert request.messages[4].tool_call_id == "toolu_2"
    assert (request.system, request.thread_key, request.has_tools) == ("You are Claude.", "0197", True)
    assert (request.reply_tokens_max, request.stream, request.empty) == (1000, False, False)


def test_images_and_documents_are_kept_as_digests() -> None:
    document = {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}
    (message,) = parsed(messages=[said("user", text("what?"), IMAGE, document)]).messages
    assert [(item.media, item.size_bytes) for item in message.attachments] == [("image/png", 5), ("link", 0)]
    (only,) = parsed(messages=[said("user", IMAGE)]).messages
    assert (only.text, len(only.attachments)) == ("", 1)


def test_what_the_server_searched_by_itself_is_no_call_of_the_models() -> None:
    search = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}
    (message,) = parsed(messages=[said("assistant", search, found, text("It is."))]).messages
    assert (message.text, message.tool_calls) == ("It is.", ())


def test_a_message_of_nothing_is_no_message() -> None:
    request = parsed(messages=[said("user", ""), said("assistant", text("")), said("user", "hi")])
    assert [message.text for message in request.messages] == ["hi"]
    assert parsed(messages=[said("user", "")]).empty
    assert parsed(system="S", messages=[]).empty


@pytest.mark.parametrize(
    "messages", [5, ["hi"], [{"role": "user", "content": 5}], [said("user", 5)], [said("wizard", "hi")], [{}]]
)
def test_messages_of_another_shape_are_left_alone(messages: object) -> None:
    with pytest.raises(WireError):
        parsed(messages=messages)


# --- what is put in ---


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("Be brief.", "Be brief." + GAP + BLOCK),
        ("", "You are tiny." + GAP + BLOCK),
        ([text("a"), text("b")], [text("a"), text("b" + GAP + BLOCK)]),
        ([text("a"), text("b", **MARK)], [text("a"), text("b", **MARK), text(GAP + BLOCK)]),
        ([text("a", **MARK)], [text("a", **MARK), text(GAP + BLOCK)]),
        ([text("a"), text("")], [text("a"), text(GAP + BLOCK)]),
        ([], [text("You are tiny." + GAP + BLOCK)]),
        ([text("")], [text(""), text("You are tiny." + GAP + BLOCK)]),
        ([text("a"), {"type": "other"}], [text("a"), {"type": "other"}, text(GAP + BLOCK)]),
    ],
)
def test_the_block_ends_the_system_text_and_leaves_marked_blocks_alone(system: Any, expected: Any) -> None:
    changed = injected({"system": system, "messages": [said("user", "hi")]})
    assert changed == {"system": expected, "messages": [said("user", "hi")]}
    again = dialect().parse(json.dumps(changed).encode())
    assert again.injected
    if parsed(system=system, messages=[said("user", "hi")]).system:
        assert again.system == parsed(system=system, messages=[said("user", "hi")]).system


@pytest.mark.parametrize("absent", [{}, {"system": None}])
def test_without_a_system_text_one_is_made_that_keeps_the_modelfiles_own(absent: dict[str, Any]) -> None:
    changed = injected(absent | {"messages": [said("user", "hi")]})
    assert changed == {"system": "You are tiny." + GAP + BLOCK, "messages": [said("user", "hi")]}


def test_a_leading_system_message_takes_the_block() -> None:
    messages = [said("system", "Be brief."), said("user", "hi")]
    assert parsed(messages=messages).system == "Be brief."
    changed = injected({"messages": messages})
    assert changed == {"messages": [said("system", "Be brief." + GAP + BLOCK), said("user", "hi")]}


def test_notes_stand_before_the_words_and_behind_the_tool_results() -> None:
    messages = [
        said("user", "one"),
        said("assistant", use(1)),
        said("user", result(1), text("two")),
        said("user", result(2), IMAGE),
    ]
    changed = injected({"messages": messages}, block="", notes=dict.fromkeys((0, 3, 5), NOTE))
    assert [message["content"] for message in changed["messages"]] == [
        NOTE + GAP + "one",
        [use(1)],
        [result(1), text(NOTE + GAP + "two")],
        [result(2), text(NOTE), IMAGE],
    ]


def test_of_a_message_that_is_several_only_the_named_ones_are_dropped() -> None:
    messages = [
        said("user", "one"),
        said("assistant", use(1)),
        said("user", result(1), text("/ltm"), text(" why")),
    ]
    assert injected({"messages": messages}, block="", drop=frozenset({3}))["messages"] == [
        *messages[:2],
        said("user", result(1)),
    ]
    assert injected({"messages": messages}, block="", drop=frozenset({2}))["messages"] == [
        *messages[:2],
        said("user", text("/ltm"), text(" why")),
    ]
    assert injected({"messages": messages}, block="", drop=frozenset({2, 3}))["messages"] == messages[:2]


def test_the_system_text_is_never_dropped_and_its_place_is_counted() -> None:
    body = {"system": "S", "messages": [said("user", "/ltm off"), said("user", "hi")]}
    changed = injected(body, block="", drop=frozenset({0, 1}), notes={2: NOTE})
    assert changed == {"system": "S", "messages": [said("user", NOTE + GAP + "hi")]}


def test_an_echo_in_an_answer_says_nothing_about_this_request() -> None:
    assert not parsed(messages=[said("user", "hi"), said("assistant", BLOCK), said("user", "x")]).injected
    assert parsed(messages=[said("user", "hi"), said("user", text(NOTE + GAP + "x"))]).injected


# --- answers ---


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | fields)}\n\n".encode()


def start(index: int, block: dict[str, Any]) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind} | fields)


HEAD = event("message_start", message={"model": "tiny", "content": [], "usage": {"input_tokens": 3}})
BEGUN = [
    HEAD,
    event("ping"),
    start(0, {"type": "thinking", "thinking": ""}),
    delta(0, "thinking_delta", thinking="Look "),
    delta(0, "thinking_delta", thinking="it up."),
    delta(0, "signature_delta", signature="abc"),
    event("content_block_stop", index=0),
    start(1, text("")),
    delta(1, "text_delta", text="Wait"),
    delta(1, "text_delta", text=" \N{EARTH GLOBE EUROPE-AFRICA}."),
    event("content_block_stop", index=1),
    start(2, use(1) | {"input": {}}),
    delta(2, "input_json_delta", partial_json='{"n"'),
    delta(2, "input_json_delta", partial_json=": 1}"),
    event("content_block_stop", index=2),
    start(3, {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}),
    delta(3, "input_json_delta", partial_json='{"query":"x"}'),
]
ENDING = event(
    "message_delta", delta={"stop_reason": "tool_use"}, usage={"input_tokens": 47, "output_tokens": 9}
)
END = event("message_stop")


def reply_to(pieces: list[bytes], places: list[int] | None = None) -> tuple[bytes, bytes, Reply]:
    capture = capture_for("/v1/messages")
    capture.begin(status=200, content_type="text/event-stream")
    return relayed(capture, cut(b"".join(pieces), places or []))


@given(st.lists(st.integers(0, 1 << 12), max_size=30))
def test_a_stream_is_read_however_it_is_cut_and_its_end_is_held(places: list[int]) -> None:
    before, after, reply = reply_to([*BEGUN, ENDING, END], places)
    assert (before, after) == (b"".join(BEGUN), ENDING + END)
    assert (reply.text, reply.thinking) == ("Wait \N{EARTH GLOBE EUROPE-AFRICA}.", "Look it up.")
    assert reply.tool_calls == (ToolCall(name="look", arguments='{"n": 1}', id="toolu_1"),)
    assert (reply.model, reply.done_reason, reply.error) == ("tiny", "tool_use", "")
    assert reply.usage == Usage(prompt_tokens=47, reply_tokens=9)


def test_an_error_in_mid_stream_is_no_end() -> None:
    error = event("error", error={"type": "api_error", "message": "it died"})
    before, after, reply = reply_to([*BEGUN, error])
    assert (before, after) == (b"".join([*BEGUN, error]), b"")
    assert reply.error == "it died"


def test_a_stream_that_stops_behind_its_stop_reason_is_passed_whole() -> None:
    before, after, reply = reply_to([*BEGUN, ENDING])
    assert (before, after) == (b"".join(BEGUN), ENDING)
    assert reply.done_reason == "tool_use"


def test_a_whole_answer_is_read_block_by_block() -> None:
    whole = {
        "type": "message",
        "model": "tiny",
        "content": [{"type": "thinking", "thinking": "Hm."}, text("Wait."), use(1)],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 5, "output_tokens": 2},
    }
    capture = capture_for("/v1/messages")
    capture.begin(status=200, content_type="application/json")
    assert capture.feed(json.dumps(whole).encode()) == 0
    assert capture.complete
    reply = capture.reply()
    assert (reply.text, reply.thinking, reply.done_reason) == ("Wait.", "Hm.", "tool_use")
    assert reply.tool_calls == (ToolCall(name="look", arguments='{"n":1}', id="toolu_1"),)
    assert reply.usage == Usage(prompt_tokens=5, reply_tokens=2)
    sent_back = parsed(messages=[said("assistant", *whole["content"])]).messages[0]
    assert (sent_back.text, sent_back.tool_calls) == (reply.text, reply.tool_calls)


blocks = st.lists(
    st.builds(text, st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
    | st.builds(lambda words: text(words, **MARK), st.text("ab", max_size=3))
    | st.just({"type": "other", "text": "x"}),
    max_size=4,
)


@given(blocks | st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_taking_the_block_out_of_what_the_model_sees_gives_the_system_text_again(system: Any) -> None:
    before = parsed(system=system, messages=[said("user", "hi")])
    changed = injected({"system": system, "messages": [said("user", "hi")]}, base_system="")["system"]
    seen = changed if isinstance(changed, str) else "".join(b["text"] for b in changed if b["type"] == "text")
    assert seen.endswith(BLOCK)
    assert strip(seen) == strip(before.system or "")
    assert before.messages[-1].role is Role.USER
