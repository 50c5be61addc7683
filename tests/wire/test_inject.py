"""Memory goes into a request without changing one byte of what the client wrote."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.message import Role
from ltmld.wire.dialects import Dialect, Request, dialect_for
from ltmld.wire.sentinel import GAP, wrap

BLOCK = wrap('You met "Zoë" \N{SNOWMAN}\n\\ again')
NOTE = wrap("a note")


def dialect(path: str) -> Dialect:
    found = dialect_for("POST", path)
    assert found is not None
    return found


def injected(path: str, body: bytes | dict[str, Any], **what: Any) -> Any:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    arguments = {"block": BLOCK, "base_system": "", "notes": {}} | what
    return json.loads(dialect(path).inject(dialect(path).parse(data), **arguments))


def user(content: object = "hi") -> dict[str, object]:
    return {"role": "user", "content": content}


def test_nothing_to_inject_is_the_very_same_object() -> None:
    request = dialect("/api/chat").parse(b' {"messages":[{"role":"user","content":"x"}]} tail')
    assert dialect("/api/chat").inject(request, block="", base_system="S", notes={}) is request.body


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_the_block_goes_to_the_end_of_the_clients_system_text(path: str) -> None:
    tree = injected(
        path, {"messages": [{"role": "System", "content": "Be brief."}, user()]}, base_system="never"
    )
    assert [message["content"] for message in tree["messages"]] == ["Be brief." + GAP + BLOCK, "hi"]


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_without_a_system_text_the_modelfiles_own_is_kept_in_front(path: str) -> None:
    tree = injected(path, {"messages": [user()]}, base_system="You are tiny.")
    assert tree["messages"] == [{"role": "system", "content": "You are tiny." + GAP + BLOCK}, user()]
    assert injected(path, {"messages": [user()]})["messages"][0]["content"] == BLOCK


def test_an_empty_system_message_stays_the_only_one() -> None:
    tree = injected("/api/chat", {"messages": [{"role": "system", "content": ""}, user()]}, base_system="S")
    assert tree["messages"] == [{"role": "system", "content": BLOCK}, user()]


def test_there_is_never_a_second_system_message_for_the_sake_of_a_block() -> None:
    later = [
        user(),
        {"role": "assistant", "content": "yes"},
        {"role": "system", "content": "New rule."},
        user(),
    ]
    tree = injected("/api/chat", {"messages": later})
    assert [message["role"] for message in tree["messages"]].count("system") == 1
    assert tree["messages"][2]["content"] == "New rule." + GAP + BLOCK


def test_where_ollama_itself_would_put_the_modelfiles_system_in_front_the_block_goes_there() -> None:
    later = [user(), {"role": "system", "content": "New rule."}, user()]
    tree = injected("/api/chat", {"messages": later}, base_system="You are tiny.")
    assert tree["messages"] == [{"role": "system", "content": "You are tiny." + GAP + BLOCK}, *later]


def test_notes_stand_before_the_words_of_their_user_messages() -> None:
    messages = [user("one"), {"role": "assistant", "content": "ok"}, user("two")]
    tree = injected("/api/chat", {"messages": messages}, block="", notes={0: NOTE, 2: NOTE + "2"})
    assert [message["content"] for message in tree["messages"]] == [
        NOTE + GAP + "one",
        "ok",
        NOTE + "2" + GAP + "two",
    ]


def test_indices_of_notes_count_the_clients_messages_also_when_a_system_message_is_put_in_front() -> None:
    tree = injected("/api/chat", {"messages": [user("one")]}, notes={0: NOTE})
    assert [message["content"] for message in tree["messages"]] == [BLOCK, NOTE + GAP + "one"]


def test_content_arrays_keep_their_parts() -> None:
    text = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    tree = injected(
        "/v1/chat/completions",
        {"messages": [{"role": "system", "content": text}, user(text)]},
        notes={1: NOTE},
    )
    system, asked = (message["content"] for message in tree["messages"])
    assert [part["text"] for part in system] == ["a", "b" + GAP + BLOCK]
    assert [part["text"] for part in asked] == [NOTE + GAP + "a", "b"]


@pytest.mark.parametrize("content", [[], [{"type": "image_url", "image_url": {"url": "data:,"}}], None])
def test_a_message_without_words_gets_a_part_of_its_own(content: list[Any] | None) -> None:
    messages = [{"role": "system", "content": content}, user(content)]
    tree = injected("/v1/chat/completions", {"messages": messages}, notes={1: NOTE})
    system, asked = (message["content"] for message in tree["messages"])
    if content is None:
        assert (system, asked) == (BLOCK, NOTE)
    else:
        assert system == [*content, {"type": "text", "text": BLOCK}]
        assert asked == [{"type": "text", "text": NOTE}, *content]


def test_a_message_without_content_gets_one() -> None:
    tree = injected(
        "/api/chat", {"messages": [{"role": "user", "images": ["aGk="]}]}, block="", notes={0: NOTE}
    )
    assert tree["messages"] == [{"content": NOTE, "role": "user", "images": ["aGk="]}]


@pytest.mark.parametrize(
    ("body", "base_system", "system"),
    [
        ({"prompt": "hi"}, "S", "S" + GAP + BLOCK),
        ({"prompt": "hi", "system": None}, "S", "S" + GAP + BLOCK),
        ({"prompt": "hi", "system": ""}, "S", "S" + GAP + BLOCK),
        ({"prompt": "hi", "system": "mine"}, "S", "mine" + GAP + BLOCK),
        ({"prompt": "hi"}, "", BLOCK),
    ],
)
def test_generate_takes_the_block_in_its_system_field(
    body: dict[str, Any], base_system: str, system: str
) -> None:
    tree = injected("/api/generate", body, base_system=base_system)
    assert tree == {**body, "system": system}


def test_generate_takes_a_note_before_its_prompt() -> None:
    assert (
        injected("/api/generate", {"prompt": "hi"}, block="", notes={0: NOTE})["prompt"] == NOTE + GAP + "hi"
    )
    with_system = injected("/api/generate", {"system": "S", "prompt": "hi"}, block="", notes={1: NOTE})
    assert with_system == {"system": "S", "prompt": NOTE + GAP + "hi"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", b'{"model":"m","messages":[]}'),
        ("/api/chat", b"{}"),
        ("/api/generate", b'{"model":"m"}'),
    ],
)
def test_a_request_that_loads_a_model_never_becomes_a_question(path: str, body: bytes) -> None:
    request = dialect(path).parse(body)
    assert dialect(path).inject(request, block=BLOCK, base_system="S", notes={}) is request.body


def test_what_the_client_wrote_is_there_to_the_last_byte() -> None:
    body = (
        b'\t{ "options" : {"seed":123456789012345678901, "temperature":1.00e-0, "zeta":1,"alpha":2},\r\n'
        b'"MODEL":"tiny","messages":[ {"role":"user" , "content":"\\u00e9\\/\\ud800 \xe2\x98\x83", "x":-0.0} ]} tail'
    )
    request = dialect("/api/chat").parse(body)
    changed = dialect("/api/chat").inject(request, block=BLOCK, base_system="", notes={0: NOTE})
    block = b'{"role":"system","content":%s},' % json.dumps(BLOCK, ensure_ascii=False).encode()
    note = json.dumps(NOTE + GAP)[1:-1].encode()
    assert block in changed
    assert changed.replace(block, b"", 1).replace(note, b"", 1) == body


# --- any request ----------------------------------------------------------------------------------------------

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
parts = st.lists(
    st.builds(lambda words: {"type": "text", "text": words}, text)
    | st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}),
    max_size=3,
)
roles = st.sampled_from(["system", "user", "assistant", "tool"])
messages = st.lists(
    st.builds(
        lambda role, content, extra: {"role": role, "content": content, "zz": extra},
        roles,
        text | parts,
        plain,
    ),
    min_size=1,
    max_size=5,
)
requests = st.builds(
    lambda items, before, after: {"before": before, "messages": items, "after": after}, messages, plain, plain
)


def contents(tree: Any) -> list[Any]:
    return [message["content"] for message in tree["messages"]]


def without_content(tree: Any) -> Any:
    return tree | {"messages": [message | {"content": None} for message in tree["messages"]]}


@given(requests, st.booleans(), text)
def test_only_the_system_text_and_the_noted_messages_differ(tree: Any, spaced: bool, base: str) -> None:  # noqa: FBT001 - drawn
    body = json.dumps(tree, ensure_ascii=spaced, indent=1 if spaced else None).encode()
    talk = dialect("/v1/chat/completions")
    request = talk.parse(body)
    notes = {index: NOTE for index, message in enumerate(request.messages) if message.role is Role.USER}
    changed = json.loads(talk.inject(request, block=BLOCK, base_system=base, notes=notes))
    put_in_front = len(changed["messages"]) - len(tree["messages"])
    if put_in_front:
        assert changed["messages"].pop(0) == {
            "role": "system",
            "content": (base + GAP if base else "") + BLOCK,
        }
    assert without_content(changed) == without_content(tree)
    assert_texts(tree, changed, request, put_in_front=bool(put_in_front))


def assert_texts(tree: Any, changed: Any, request: Request, *, put_in_front: bool) -> None:
    again = dialect("/v1/chat/completions").parse(json.dumps(changed).encode())
    assert [message.text.strip() for message in again.messages] == [
        message.text.strip() for message in request.messages
    ]
    blocks = json.dumps(contents(changed), ensure_ascii=False).count(
        json.dumps(BLOCK, ensure_ascii=False)[1:-1]
    )
    assert blocks == (0 if put_in_front else 1)
    untouched = [
        (before, after)
        for message, before, after in zip(request.messages, contents(tree), contents(changed), strict=True)
        if message.role in (Role.ASSISTANT, Role.TOOL)
    ]
    assert all(before == after for before, after in untouched)
