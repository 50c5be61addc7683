"""Memory adds words, and changes nothing else of a request: not an option, not a space, not the order of a key."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ltmld.core.ports import RequestHead
from ltmld.standin.server import StandIn, running_standin
from tests.wake.test_attendant import MODEL, Room

_BLOCK = re.compile(r"(?:\\n\\n)?<ltmld-memory>.*?</ltmld-memory>(?:\\n\\n)?")

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_OPTIONS = st.dictionaries(
    st.sampled_from(["num_ctx", "num_keep", "temperature", "seed", "stop", "top_k", "anything"]), _VALUES
)
_MORE = st.fixed_dictionaries(
    {},
    optional={
        "options": _OPTIONS,
        "keep_alive": st.sampled_from([0, -1, "5m", 300, None]),
        "think": st.sampled_from([True, False, "low", None]),
        "shift": st.booleans(),
        "truncate": st.booleans(),
        "stream": st.booleans(),
        "tools": st.lists(st.dictionaries(st.text(max_size=5), _VALUES, max_size=2), max_size=2),
        "logprobs": st.booleans(),
        "something new": _VALUES,
    },
)
_STYLES = st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])


@pytest.fixture(scope="module")
def standin() -> Iterator[StandIn]:
    """Run a stand-in with one model."""
    with running_standin(models=(MODEL,)) as standin:
        yield standin


@pytest.fixture
async def room(tmp_path: Path, standin: StandIn) -> AsyncIterator[Room]:
    """Return a room whose recall offers one line."""
    room = Room(tmp_path, standin.url)
    yield room
    await room.attendant.close()
    room.ledger.close()


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    more=_MORE,
    words=st.text(min_size=1, max_size=20).filter(lambda text: text.strip() and "<" not in text),
    system=st.none() | st.text(min_size=1, max_size=20).filter(lambda text: "<" not in text),
    style=_STYLES,
    route=st.sampled_from(
        ["/api/chat", "/api/generate", "/v1/chat/completions", "/v1/messages", "/v1/responses"]
    ),
    fresh=st.integers(0, 10**9),
)
async def test_every_byte_outside_the_added_words_is_the_clients(
    room: Room,
    more: dict[str, Any],
    words: str,
    system: str | None,
    style: dict[str, Any],
    route: str,
    fresh: int,
) -> None:
    asked = {"role": "user", "content": f"{words} {fresh}"}
    front = [{"role": "system", "content": system}] if system else []
    tree: dict[str, Any] = {**more, "model": MODEL}
    match route:
        case "/api/generate":
            tree |= {"prompt": f"{words} {fresh}"} | ({"system": system} if system else {})
        case "/v1/messages":
            tree |= {"messages": [asked], "max_tokens": 900} | ({"system": system} if system else {})
        case "/v1/responses":
            tree |= {"input": [asked]} | ({"instructions": system} if system else {})
        case _:
            tree |= {"messages": [*front, asked]}
    tree |= {"last": "é\u2028\\/"}
    body = json.dumps(tree, **style).encode("utf-8", "surrogatepass")
    head = RequestHead(method="POST", target=route, headers=(), peer="127.0.0.1")
    plan = await room.attendant.attend(head, body)
    if plan.body == body:
        return
    sent = plan.body.decode()
    assert len(re.findall("<ltmld-memory>", sent)) == 1
    left = _BLOCK.sub("", sent)
    for made in ('{"role":"system","content":""},', '"system":"",'):
        if left != body.decode():
            left = left.replace(made, "", 1)
    assert left == body.decode()


async def test_the_property_is_about_something(room: Room) -> None:
    for route in ("/api/chat", "/v1/messages", "/v1/chat/completions", "/v1/responses"):
        asked = [{"role": "user", "content": f"dog? {route}"}]
        more = {"options": {"num_ctx": 2048}, "keep_alive": -1, "max_tokens": 900}
        tree = {"model": MODEL, "input" if "responses" in route else "messages": asked, **more}
        head = RequestHead(method="POST", target=route, headers=(), peer="127.0.0.1")
        plan = await room.attendant.attend(head, json.dumps(tree).encode())
        assert b"<ltmld-memory>" in plan.body
        assert json.loads(plan.body)["options"] == {"num_ctx": 2048}
