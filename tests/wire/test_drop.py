"""Messages that are not for the model are taken out whole, and nothing else moves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.wire.dialects import Dialect, dialect_for
from ltmld.wire.sentinel import GAP, wrap

BLOCK, NOTE = wrap("You met Zoe"), wrap("a note")
SYSTEM = {"role": "system", "content": "Be brief."}


def dialect(path: str = "/api/chat") -> Dialect:
    found = dialect_for("POST", path)
    assert found is not None
    return found


def turn(number: int) -> dict[str, Any]:
    return {"role": "assistant" if number % 2 else "user", "content": f"turn {number}, [with] {{marks}}"}


def left(body: bytes, drop: set[int], **what: Any) -> bytes:
    arguments = {"block": "", "base_system": "", "notes": {}} | what
    return dialect().inject(dialect().parse(body), drop=frozenset(drop), **arguments)


@given(st.integers(1, 6), st.sets(st.integers(0, 6)), st.sampled_from([None, 1]), st.booleans())
def test_exactly_the_messages_named_are_gone(
    count: int,
    drop: set[int],
    indent: int | None,
    noted: bool,  # noqa: FBT001 - drawn
) -> None:
    messages = [turn(number) for number in range(count)]
    tree = {"b": 1, "messages": messages, "a": [1.50]}
    body = json.dumps(tree, indent=indent).encode()
    notes = dict.fromkeys(range(0, count, 2), NOTE) if noted else {}
    changed = json.loads(left(body, drop, notes=notes))
    kept = [
        message | ({"content": f"{NOTE}{GAP}{message['content']}"} if index in notes else {})
        for index, message in enumerate(messages)
        if index not in drop
    ]
    assert changed == tree | {"messages": kept}
    assert list(changed) == list(tree)


def test_what_stays_keeps_its_own_bytes() -> None:
    body = (
        b'{"messages":[ {"role":"user","content":"\\u00e9"} ,\t{"role":"user","content":"b"}, '
        b'{"role":"user","content":"c"} ],"n":1.0}tail'
    )
    assert left(body, {1}) == (
        b'{"messages":[ {"role":"user","content":"\\u00e9"}, {"role":"user","content":"c"} ],"n":1.0}tail'
    )
    assert left(body, {0, 1}) == b'{"messages":[ {"role":"user","content":"c"} ],"n":1.0}tail'
    assert left(body, {1, 2}) == b'{"messages":[ {"role":"user","content":"\\u00e9"} ],"n":1.0}tail'


def test_nothing_to_drop_is_the_very_same_object() -> None:
    request = dialect().parse(json.dumps({"messages": [turn(0)]}).encode())
    same = dialect().inject(request, block="", base_system="", notes={}, drop=frozenset({7}))
    assert same is request.body


def test_the_block_finds_its_place_among_the_messages_that_stay() -> None:
    body = json.dumps({"messages": [turn(0), turn(1), SYSTEM, turn(2)]}).encode()
    changed = json.loads(left(body, {0, 1}, block=BLOCK, base_system="never"))
    assert changed["messages"] == [SYSTEM | {"content": "Be brief." + GAP + BLOCK}, turn(2)]


@pytest.mark.parametrize("drop", [{0}, {0, 1}])
def test_a_block_in_front_of_dropped_messages_makes_well_formed_json(drop: set[int]) -> None:
    changed = json.loads(left(json.dumps({"messages": [turn(0), turn(1)]}).encode(), drop, block=BLOCK))
    assert changed["messages"][0] == {"role": "system", "content": BLOCK}
    assert len(changed["messages"]) == 3 - len(drop)
