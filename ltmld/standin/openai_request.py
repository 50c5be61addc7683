"""Read the OpenAI dialects as Ollama reads them: ``/v1/chat/completions``, ``/v1/completions``, ``/v1/responses``.

Rules:
1. Each part of a content array becomes a message of its own.
2. Instructions of ``/v1/responses`` are the first system message.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ltmld.errors import WireError
from ltmld.standin.conversation import Conversation, Turn
from ltmld.standin.native_request import stops
from ltmld.standin.tools import flat_tools, function_tools
from ltmld.wire import fields
from ltmld.wire.json_text import clean

Tree = Mapping[str, Any]

_PICTURE = re.compile(r"data:(?:image/(?:jpeg|jpg|png|webp))?;base64,(.*)", re.DOTALL)
_EFFORTS: dict[str, bool | str | None] = {"": None, "none": False} | {
    level: level for level in ("high", "medium", "low", "max")
}


def of_chat_completions(tree: Tree) -> Conversation:
    """Read ``/v1/chat/completions``.

    Raises:
        WireError: a field is not what Ollama takes.
    """
    messages = fields.items(tree, "messages")
    if not messages:
        raise WireError("[] is too short - 'messages'")
    effort = fields.said(fields.told(tree, "reasoning"), "effort") or fields.text(tree, "reasoning_effort")
    return Conversation(
        turns=tuple(turn for message in messages for turn in _exploded(message)),
        tools=function_tools(fields.items(tree, "tools")),
        schema=_format(fields.members(tree, "response_format")),
        think=_thought(effort),
        top_logprobs=fields.count(tree, "top_logprobs") or 0 if fields.flag(tree, "logprobs") else None,
        **_shared(tree, tokens="max_tokens"),
    )


def of_completions(tree: Tree) -> Conversation:
    """Read ``/v1/completions``.

    Raises:
        WireError: a field is not what Ollama takes.
    """
    prompt = fields.text(tree, "prompt")
    return Conversation(
        turns=(Turn(role="user", text=clean(prompt)),) if prompt else (),
        suffix=fields.text(tree, "suffix"),
        **_shared(tree, tokens="max_tokens"),
    )


def of_responses(tree: Tree) -> Conversation:
    """Read ``/v1/responses``.

    Raises:
        WireError: a field is not what Ollama takes.
    """
    wanted = fields.told(fields.told(tree, "text"), "format")
    return Conversation(
        turns=tuple(_responses_turns(tree)),
        tools=flat_tools(fields.items(tree, "tools"), schema="parameters"),
        schema=fields.told(wanted, "schema") or None
        if fields.said(wanted, "type") == "json_schema"
        else None,
        think=_thought(fields.said(fields.told(tree, "reasoning"), "effort")),
        **_shared(tree, tokens="max_output_tokens"),
    )


def _shared(tree: Tree, *, tokens: str) -> dict[str, Any]:
    return {
        "model": fields.text(tree, "model"),
        "stream": fields.flag(tree, "stream"),
        "usage": fields.members(tree, "stream_options").get("include_usage") is True,
        "tokens_max": fields.count(tree, tokens),
        "stops": stops(tree.get("stop")),
        "debug_render": fields.flag(tree, "_debug_render_only"),
        "request": tree,
    }


def _thought(effort: str) -> bool | str | None:
    if effort not in _EFFORTS:
        raise WireError(f'invalid reasoning value: \'{effort}\' (must be "high", "medium", "low", or "none")')
    return _EFFORTS[effort]


def _format(wanted: Tree) -> Tree | None:
    match fields.said(wanted, "type").strip().lower():
        case "json_object":
            return {}
        case "json_schema":
            return fields.told(fields.told(wanted, "json_schema"), "schema") or None
        case _:
            return None


def _exploded(message: Any) -> Iterator[Turn]:
    role = fields.said(message, "role").lower()
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        yield Turn(role=role, text=clean(content))
    elif isinstance(content, list):
        yield from (_part(role, part) for part in content)
    elif fields.listed(message, "tool_calls"):
        yield Turn(role=role, text="")
    else:
        raise WireError(
            f"invalid message content type: {'<nil>' if content is None else 'map[string]interface {}'}"
        )


def _part(role: str, part: Any) -> Turn:
    match fields.said(part, "type"):
        case "text" if isinstance(part.get("text"), str):
            return Turn(role=role, text=clean(part["text"]))
        case "image_url":
            url = fields.said(part, "image_url") or fields.said(fields.told(part, "image_url"), "url")
            _check_picture(url)
            return Turn(role=role, text="", pictured=True)
        case _:
            raise WireError("invalid message format")


def _responses_turns(tree: Tree) -> Iterator[Turn]:
    if instructions := fields.text(tree, "instructions"):
        yield Turn(role="system", text=clean(instructions))
    given = tree.get("input")
    if isinstance(given, str) and given:
        yield Turn(role="user", text=clean(given))
    for item in given if isinstance(given, list) else ():
        yield from _item(item)


def _item(item: Any) -> Iterator[Turn]:
    kind = fields.said(item, "type") or ("message" if fields.said(item, "role") else "")
    match kind:
        case "message":
            texts, pictured = _contents(item, "content")
            yield Turn(role=fields.said(item, "role").lower(), text=texts, pictured=pictured)
        case "function_call":
            yield Turn(role="assistant", text="")
        case "function_call_output":
            texts, pictured = _contents(item, "output")
            yield Turn(role="tool", text=texts, pictured=pictured)
        case "reasoning":
            return
        case "":
            raise WireError("input[0]: input item missing required 'type' field")
        case other:
            raise WireError(f'input[0]: unknown input item type: "{other}"')


def _contents(item: Any, name: str) -> tuple[str, bool]:
    if text := fields.said(item, name):
        return clean(text), False
    parts = fields.listed(item, name)
    pictures = [
        fields.said(part, "image_url") for part in parts if fields.said(part, "type") == "input_image"
    ]
    for url in filter(None, pictures):
        _check_picture(url)
    return clean("".join(fields.said(part, "text") for part in parts)), any(pictures)


def _check_picture(url: str) -> None:
    found = _PICTURE.match(url)
    if not found:
        raise WireError("invalid image input")
    try:
        base64.b64decode(found[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("invalid message format") from error
