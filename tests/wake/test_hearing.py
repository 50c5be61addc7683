"""Promise: with commands anywhere in its past, a request is byte for byte the one that would have come without them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.config import WakeSettings
from ltmld.core.ports import Plan, RequestHead
from ltmld.wake.commands import Verb
from ltmld.wake.fingerprints import shipped
from ltmld.wake.hearing import ASIDE_BYTES, Heard, Hearing

ROUTES = ("/api/chat", "/v1/chat/completions", "/v1/responses", "/v1/messages")
Said = tuple[str, str]

talk = st.text(min_size=1, max_size=30).filter(lambda text: text.strip() and "ltm" not in text.lower())
turn = st.tuples(talk, talk).map(lambda said: [("user", said[0]), ("assistant", said[1])])
command = st.tuples(
    st.sampled_from(["/ltm", "/ltm why", " /ltm remember\nI like tea ", "/ltm xyzzy"]), talk
).map(lambda said: [("user", said[0]), ("assistant", said[1])])


def heard(path: str, body: bytes, **settings: bool) -> Heard:
    head = RequestHead(method="POST", target=path, headers=(), peer="127.0.0.1")
    hearing = Hearing(WakeSettings(**settings), body_bytes_max=10_000_000)
    try:
        return asyncio.run(hearing.hear(head, body, fingerprints=shipped()))
    finally:
        hearing.close()


def a_body(path: str, said: Sequence[Said], *, parts: bool = False) -> bytes:
    """Return the body that a client of the route sends; *parts*: with content in parts where it may be."""
    kinds = {"user": "input_text", "assistant": "output_text"} if path == "/v1/responses" else {}

    def item(role: str, text: str) -> dict[str, Any]:
        if not parts or path == "/api/chat":
            return {"role": role, "content": text}
        return {"role": role, "content": [{"type": kinds.get(role, "text"), "text": text}]}

    name = "input" if path == "/v1/responses" else "messages"
    tree = {"model": "m", name: [item(role, text) for role, text in said], "stream": True, "max_tokens": 900}
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "replace")


@pytest.mark.parametrize("path", ROUTES)
@given(
    pieces=st.lists(st.one_of(turn, command.map(lambda said: [*said, "aside"])), max_size=5),
    question=talk,
    parts=st.booleans(),
)
def test_any_commands_anywhere_leave_no_byte(
    path: str, pieces: list[list[Any]], question: str, *, parts: bool
) -> None:
    dressed = [said for piece in pieces for said in piece if said != "aside"]
    plain = [said for piece in pieces if piece[-1] != "aside" for said in piece]
    asked: list[Said] = [("user", question)]
    found = heard(path, a_body(path, [*dressed, *asked], parts=parts))
    assert found.command is None
    assert found.passing.body == found.plain == a_body(path, [*plain, *asked], parts=parts)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("parts", [True, False])
def test_the_newest_is_heard_in_every_dialect(path: str, *, parts: bool) -> None:
    body = a_body(path, [("user", "hi"), ("assistant", "hello"), ("user", "/ltm status")], parts=parts)
    command = heard(path, body).command
    assert command is not None
    assert command.verb is Verb.STATUS


def test_without_commands_the_body_is_the_very_object_that_came() -> None:
    body = a_body("/api/chat", [("user", "what does /ltm do?")])
    assert heard("/api/chat", body).passing == Plan(body=body)
    assert heard("/api/chat", body).passing.body is body


def test_switched_off_nothing_is_heard_and_nothing_taken_out() -> None:
    body = a_body("/api/chat", [("user", "/ltm"), ("assistant", "help"), ("user", "/ltm")])
    found = heard("/api/chat", body, commands=False)
    assert (found.command, found.passing.body) == (None, body)


def test_a_large_body_is_read_beside_the_loop_all_the_same() -> None:
    said = [
        ("user", "x" * ASIDE_BYTES),
        ("assistant", "well"),
        ("user", "/ltm"),
        ("assistant", "help"),
        ("user", "hi"),
    ]
    found = heard("/api/chat", a_body("/api/chat", said))
    assert found.plain == a_body("/api/chat", [*said[:2], said[-1]])
