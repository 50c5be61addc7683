"""Promise: a key means here what it means to Ollama, which reads some objects into structs and others into maps."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.wire.dialects import Dialect, Request, dialect_for
from ltmld.wire.json_text import Node
from tests.wire.spelling import bodies

ROUTES = ("/api/chat", "/api/generate", "/v1/chat/completions", "/v1/responses", "/v1/messages")
BLOCK = "<ltmld-memory>\nZoe\n</ltmld-memory>"


def dialect(path: str) -> Dialect:
    found = dialect_for("POST", path)
    assert found is not None
    return found


def read(path: str, body: bytes) -> Request:
    return dialect(path).parse(body)


def words(path: str, body: bytes) -> list[str]:
    return [message.text for message in read(path, body).messages]


def test_a_part_of_openais_is_a_map_with_exact_keys() -> None:
    body = (
        b'{"messages":[{"role":"user","content":[{"type":"text","text":"real","TEXT":"decoy","Type":"x"}]}]}'
    )
    assert words("/v1/chat/completions", body) == ["real"]
    shouted = b'{"messages":[{"role":"user","content":[{"TYPE":"text","TEXT":"unheard"}]}]}'
    assert words("/v1/chat/completions", shouted) == [""]


def test_a_block_of_anthropics_system_is_a_map_with_exact_keys() -> None:
    system = b'{"system":[{"type":"text","text":"real","TEXT":"decoy"}],"messages":[{"role":"user","content":"hi"}]}'
    assert words("/v1/messages", system) == ["real", "hi"]


def test_a_block_of_anthropics_message_is_a_struct_and_what_a_result_holds_is_a_map() -> None:
    said = b'{"messages":[{"role":"user","content":[{"Type":"text","text":"first","TEXT":"last"}]}]}'
    assert words("/v1/messages", said) == ["last"]
    result = (
        b'{"type":"tool_result","Tool_Use_Id":"t","content":[{"type":"text","text":"real","TEXT":"decoy"}]}'
    )
    told = read("/v1/messages", b'{"messages":[{"role":"user","content":[%s]}]}' % result)
    assert [(message.text, message.tool_call_id) for message in told.messages] == [("real", "t")]


def test_a_part_of_responses_is_a_struct() -> None:
    body = b'{"input":[{"role":"user","content":[{"TYPE":"input_text","text":"first","Text":"last"}]}]}'
    assert words("/v1/responses", body) == ["last"]


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_a_tool_call_is_a_struct_and_its_arguments_are_a_map(path: str) -> None:
    arguments = b'{"City":"Paris","city":"Rome"}' if path == "/api/chat" else b'"{}"'
    call = b'{"ID":"c","Function":{"NAME":"look","Arguments":%s}}' % arguments
    request = read(path, b'{"messages":[{"role":"assistant","Tool_Calls":[%s]}]}' % call)
    (found,) = request.messages[0].tool_calls
    assert (found.id, found.name) == ("c", "look")
    assert found.arguments.encode() == arguments.strip(b'"')


def test_options_are_a_map_with_exact_keys() -> None:
    options = b'{"messages":[],"options":{"num_predict":5,"NUM_PREDICT":9}}'
    assert read("/api/chat", options).reply_tokens_max == 5


@pytest.mark.parametrize(
    ("path", "body", "left"),
    [
        ("/v1/messages", b'{"system":"x","System":null,"messages":[{"role":"user","content":"hi"}]}', ["hi"]),
        ("/v1/messages", b'{"messages":[{"role":"assistant","content":"x","Content":null}]}', []),
        ("/v1/chat/completions", b'{"messages":[{"role":"user","content":"x","content":null}]}', [""]),
        ("/v1/responses", b'{"input":"x","input":null}', []),
        ("/v1/responses", b'{"input":[{"role":"user","content":"x","content":null}]}', [""]),
        # Strings of structs: there a null says nothing.
        ("/api/chat", b'{"messages":[{"role":"user","content":"x","content":null}]}', ["x"]),
        ("/api/generate", b'{"prompt":"x","prompt":null}', ["x"]),
        ("/v1/responses", b'{"instructions":"x","instructions":null}', ["x"]),
    ],
)
def test_a_null_empties_what_may_be_anything_and_nothing_else(
    path: str, body: bytes, left: list[str]
) -> None:
    assert words(path, body) == left


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", b'{"system":"x","System":null,"messages":[{"role":"user","content":"hi"}]}'),
        (
            "/v1/chat/completions",
            b'{"messages":[{"role":"system","content":"x","CONTENT":null},{"role":"user","content":"hi"}]}',
        ),
        ("/v1/responses", b'{"input":[{"role":"user","content":"x","Content":null}]}'),
    ],
)
def test_what_is_put_in_stands_where_ollama_reads_it_after_a_null_has_emptied(path: str, body: bytes) -> None:
    found = dialect(path)
    written = found.inject(found.parse(body), block=BLOCK, base_system="", notes={})
    again = found.parse(written)
    assert again.injected
    assert not any("x" in message.text for message in again.messages)


def _agrees(node: Node) -> None:
    for name, value in node.value.items() if isinstance(node.value, dict) and node.members else ():
        member = node.member(name)
        assert (None if member is None else member.value) == value
        if member is not None:
            _agrees(member)
    if node.items:
        assert [item.value for item in node.items] == node.value
    for item in node.items:
        _agrees(item)


@pytest.mark.parametrize("path", ROUTES)
@given(data=st.data())
def test_a_place_holds_what_was_read(path: str, data: st.DataObject) -> None:
    request = read(path, data.draw(bodies(path)))
    _agrees(request.root)
    text: Any = request.source
    for _, node in request.root.members:
        again = dialect(path).parse(
            b'{"a":%s}' % text[node.start : node.end].encode("utf-8", "surrogateescape")
        )
        assert "a" in again.tree
