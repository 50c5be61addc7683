"""Bodies of every dialect, spelled in any way that JSON allows: spaces, escapes, numbers, repeated keys, a tail."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

PATHS = ("/api/chat", "/api/generate", "/v1/chat/completions", "/v1/responses", "/v1/messages")
# Numbers that a float, a 64-bit integer or another writer would not give back as they were.
_NUMBERS = ("1.0", "1e400", "-0", "0.10", "1E+2", "123456789012345678901234567890", "3")
_SPACES = ("", "", "", " ", "\n\t", "\r\n")
# Words with quotes, escapes, broken bytes (as ``decode`` holds them) and lone surrogates.
words = st.text(
    st.sampled_from('ab "\\/\n\x7fé\N{SNOWMAN}\N{EARTH GLOBE EUROPE-AFRICA}\udcff\ud800'), max_size=8
)


class Number(str):
    """A number as it is spelled."""

    __slots__ = ()


class Pairs(tuple):  # type: ignore[type-arg]  # a tuple of anything, and no type of its own
    """The members of an object in their order, repeated keys too."""

    __slots__ = ()


extras = st.recursive(
    st.none() | st.booleans() | words | st.sampled_from(_NUMBERS).map(Number),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)


def _text(kind: str) -> st.SearchStrategy[Any]:
    return st.builds(lambda text, more: {"type": kind, "text": text, **more}, words, _more)


_more = st.dictionaries(st.sampled_from(["x", "citations", "cache_control"]), extras, max_size=1)
_image = st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})
_input_image = st.just({"type": "input_image", "image_url": "data:image/png;base64,AAAA"})
_source = st.just({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}})
_result = st.builds(lambda text: {"type": "tool_result", "tool_use_id": "t", "content": text}, words)


def _message(roles: list[str], content: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda role, said, extra: Pairs([("role", role), ("x", extra), ("content", said)]),
        st.sampled_from(roles),
        content,
        extras,
    )


def _messages(path: str) -> st.SearchStrategy[Any]:
    roles = ["system", "user", "USER", "assistant", "tool"]
    if path == "/api/chat":
        return st.lists(_message(roles, words | st.none()), min_size=1, max_size=4)
    if path == "/v1/chat/completions":
        parts = st.lists(_text("text") | _image, max_size=3)
        return st.lists(_message([*roles, "developer"], words | parts | st.none()), min_size=1, max_size=4)
    if path == "/v1/messages":
        parts = st.lists(_text("text") | _source | _result, max_size=3)
        return st.lists(_message(roles[:4], words | parts), min_size=1, max_size=4)
    parts = st.lists(_text("input_text") | _input_image, max_size=3)
    call = st.just({"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"})
    thought = st.builds(lambda text: {"type": "reasoning", "encrypted_content": text}, words)
    said = _message([*roles[:4], "developer"], words | parts)
    return words | st.lists(said | call | thought, min_size=1, max_size=5)


def _members(path: str) -> st.SearchStrategy[list[tuple[str, Any]]]:
    """Return the members that a dialect knows, keys in any case."""
    name = {"/api/generate": "prompt", "/v1/responses": "input"}.get(path, "messages")
    said = words if path == "/api/generate" else _messages(path)
    blocks = st.lists(_text("text") | st.just({"type": "other"}), max_size=3)
    systems: dict[str, list[tuple[str, st.SearchStrategy[Any]]]] = {
        "/api/generate": [("system", words | st.none())],
        "/v1/messages": [("system", words | st.none() | blocks)],
        "/v1/responses": [("instructions", words)],
    }
    known = st.tuples(st.tuples(_cased(name), said)).map(list)
    system = st.tuples(*(st.tuples(_cased(name), value) for name, value in systems.get(path, []))).map(list)
    return st.builds(lambda one, two: one + two, known, system | st.just([]))


def _cased(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name, name, name.upper(), name.title()])


@st.composite
def bodies(draw: st.DrawFn, path: str) -> bytes:
    """Draw a body of the route's dialect."""
    members = draw(_members(path))
    members += draw(st.lists(st.tuples(st.sampled_from(["model", "Model", "seed", "zz"]), words), max_size=3))
    members += draw(
        st.lists(st.tuples(words.map(lambda name: f"x{name}"), extras), max_size=2, unique_by=_key)
    )
    text = _spelled(draw, Pairs(draw(st.permutations(members))))
    tail = draw(st.sampled_from(["", "\n", " {}", "garbage", '{"messages":[]}']))
    return (draw(st.sampled_from(_SPACES)) + text + tail).encode("utf-8", "surrogateescape")


def _key(member: tuple[str, Any]) -> str:
    return member[0].lower()


def _spelled(draw: st.DrawFn, value: Any) -> str:
    space = draw(st.sampled_from(_SPACES))
    if isinstance(value, Number):
        return value
    if isinstance(value, str):
        return _quoted(value, escaped=draw(st.booleans()))
    if isinstance(value, Pairs | dict):
        pairs = value.items() if isinstance(value, dict) else value
        inner = [f"{_quoted(name, escaped=False)}{space}:{space}{_spelled(draw, one)}" for name, one in pairs]
        return "{" + space + f"{space},{space}".join(inner) + space + "}"
    if isinstance(value, list):
        return "[" + space + f"{space},{space}".join(_spelled(draw, one) for one in value) + space + "]"
    return json.dumps(value)


def _quoted(text: str, *, escaped: bool) -> str:
    """Return a JSON string; a lone surrogate that stands for no byte has to be an escape."""
    if escaped:
        return json.dumps(text).replace("/", "\\/")
    return json.dumps(text, ensure_ascii=False).replace("\ud800", "\\ud800")
