"""Whatever a body looks like, taking out what was put in gives back the very bytes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltmld.core.message import Role
from ltmld.errors import WireError
from ltmld.wire.dialects import Dialect, Request, dialect_for
from ltmld.wire.json_text import inner
from ltmld.wire.sentinel import GAP, wrap
from tests.wire.spelling import PATHS, bodies

BASE = "You are tiny."
BLOCK = wrap('You met "Zoë" \N{SNOWMAN}\n\\ again')
NOTE = wrap("a note")

_block, _note, _gap = (re.escape(inner(text)) for text in (BLOCK, NOTE, GAP))
_made = f"(?:{re.escape(BASE)}{_gap})?{_block}"
_text = rf'"(?:{_gap})?(?:{_made}|{_note}|{_block}{_gap}{_note})"'
# Everything that is ever put in.
_INSERTED = [
    re.compile(pattern)
    for pattern in (
        rf'\{{"role":"system","content":"{_made}"\}}',
        rf'\{{"role":"system","content":"{_made}"\}},',
        rf',"system":"{_made}"',
        rf'"system":"{_made}",',
        rf'\{{"type":"(?:input_)?text","text":{_text}\}},',
        rf',\{{"type":"(?:input_)?text","text":{_text}\}}',
        rf'\{{"type":"(?:input_)?text","text":{_text}\}}',
        rf',"content":{_text}',
        rf"(?:{_block}|{_note}){_gap}",
        rf"{_gap}{_block}",
        _block,
    )
]


def dialect(path: str) -> Dialect:
    found = dialect_for("POST", path)
    assert found is not None
    return found


def only_puts_in(changed: bytes, body: bytes) -> bool:
    """Tell whether *changed* is *body* to the last byte, and between its bytes nothing but what is ever put in."""
    new, old = (text.decode("utf-8", "surrogateescape") for text in (changed, body))
    paths, seen = [(0, 0)], set()
    while paths:
        at = paths.pop()
        if at in seen:
            continue
        seen.add(at)
        there, here = at
        if (there, here) == (len(new), len(old)):
            return True
        paths += [(found.end(), here) for one in _INSERTED if (found := one.match(new, there))]
        if there < len(new) and here < len(old) and new[there] == old[here]:
            paths.append((there + 1, here + 1))
    return False


def users(request: Request) -> list[int]:
    return [index for index, message in enumerate(request.messages) if message.role is Role.USER]


@pytest.mark.parametrize("path", PATHS)
@given(data=st.data())
@settings(max_examples=100)
def test_what_was_put_in_can_be_taken_out_to_the_last_byte(path: str, data: st.DataObject) -> None:
    body = data.draw(bodies(path))
    request = dialect(path).parse(body)
    notes = dict.fromkeys(data.draw(st.sets(st.sampled_from(users(request) or [99]))), NOTE)
    notes.pop(99, None)
    base = data.draw(st.sampled_from(["", BASE]))
    changed = dialect(path).inject(request, block=BLOCK, base_system=base, notes=notes)
    assert only_puts_in(changed, body)
    assert (changed != body) == (bool(users(request)) if path == "/v1/responses" else not request.empty)


@pytest.mark.parametrize("path", PATHS)
@given(data=st.data())
@settings(max_examples=50)
def test_what_is_put_in_is_read_as_put_in_and_the_rest_as_before(path: str, data: st.DataObject) -> None:
    request = dialect(path).parse(data.draw(bodies(path)))
    notes = dict.fromkeys(users(request), NOTE)
    changed = dialect(path).inject(request, block=BLOCK, base_system="", notes=notes)
    again = dialect(path).parse(changed)
    assert again.injected or changed == request.body
    spoken = [message for message in request.messages if message.role is not Role.SYSTEM]
    assert [message for message in again.messages if message.role is not Role.SYSTEM] == spoken


@pytest.mark.parametrize("path", PATHS)
@given(data=st.data())
@settings(max_examples=10)
def test_with_nothing_to_put_in_the_body_is_the_very_same_object(path: str, data: st.DataObject) -> None:
    request = dialect(path).parse(data.draw(bodies(path)))
    assert dialect(path).inject(request, block="", base_system=BASE, notes={}) is request.body


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/api/generate"])
@given(data=st.data())
@settings(max_examples=50)
def test_of_the_clients_messages_exactly_the_dropped_ones_are_gone(path: str, data: st.DataObject) -> None:
    request = dialect(path).parse(data.draw(bodies(path)))
    asked = users(request)
    drop = frozenset(data.draw(st.sets(st.sampled_from(asked)))) if asked else frozenset()
    if isinstance(request.tree.get("input"), str):
        drop = frozenset()
    changed = dialect(path).inject(request, block="", base_system="", notes={}, drop=drop)
    again = dialect(path).parse(changed)
    left = [message for index, message in enumerate(request.messages) if index not in drop]
    assert [message.text for message in again.messages if message.role is not Role.ASSISTANT] == [
        message.text for message in left if message.role is not Role.ASSISTANT
    ]


@pytest.mark.parametrize("path", PATHS)
@given(body=st.binary(max_size=60) | st.text('{}[]":,\\ntruefalsmg0e1.-', max_size=30).map(str.encode))
def test_rubbish_is_read_or_left_alone_and_never_anything_else(path: str, body: bytes) -> None:
    try:
        request = dialect(path).parse(body)
    except WireError:
        return
    dialect(path).inject(request, block=BLOCK, base_system="", notes={})


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
@given(system=st.text("ab \n", min_size=1, max_size=6), asked=st.text("ab \n", min_size=1, max_size=6))
@settings(max_examples=30)
def test_the_model_is_told_the_same_however_the_client_spells_it(path: str, system: str, asked: str) -> None:
    """Clients write a text as a string on one turn and as marked parts on the next; the prompt must not move."""
    kind = "text" if path == "/v1/messages" else "input_text"
    mark = {"cache_control": {"type": "ephemeral"}}
    part: dict[str, object] = {"type": kind, "text": asked, **mark}
    blocks = [{"type": "text", "text": system, **mark}]
    said: list[dict[str, object]] = [
        {"system": system, "messages": [{"role": "user", "content": asked}]},
        {"system": blocks, "messages": [{"role": "user", "content": [part]}]},
    ]
    if path == "/v1/responses":
        said = [
            {"input": asked},
            {"input": [{"role": "user", "content": asked}]},
            {"input": [{"type": "message", "role": "user", "content": [part]}]},
        ]
    prompts = []
    for tree in said:
        request = dialect(path).parse(json.dumps(tree).encode())
        notes = dict.fromkeys(users(request), NOTE)
        changed = dialect(path).inject(request, block=BLOCK, base_system="", notes=notes)
        prompts.append(told(json.loads(changed)))
    assert all(prompt == prompts[0] for prompt in prompts)
    assert BLOCK in prompts[0]


def told(tree: Any) -> str:
    """Return every text of a body, one after the other, as Ollama joins them."""
    if isinstance(tree, str):
        return tree
    if isinstance(tree, list):
        return "".join(map(told, tree))
    names = ("system", "messages", "input", "content", "text")
    return "".join(told(tree[name]) for name in names if name in tree)
