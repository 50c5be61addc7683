"""Read ``/v1/messages`` as Ollama reads it.

Rules:
1. System blocks are joined without a gap, and are the first message.
2. Results of tools stand before the user's words of the same message, each as a message of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ltmld.errors import WireError
from ltmld.standin.conversation import Conversation, Turn
from ltmld.standin.native_request import stops
from ltmld.standin.tools import flat_tools
from ltmld.wire import fields
from ltmld.wire.json_text import clean

Tree = Mapping[str, Any]

_LEVELS = {"xhigh": "high", "high": "high", "medium": "medium", "low": "low", "max": "max"}


def of_messages(tree: Tree) -> Conversation:
    """Read ``/v1/messages``.

    Raises:
        WireError: a field is not what Ollama takes.
    """
    messages = fields.items(tree, "messages")
    if not fields.text(tree, "model"):
        raise WireError("model is required")
    if not fields.count(tree, "max_tokens"):
        raise WireError("max_tokens is required and must be positive")
    if not messages:
        raise WireError("messages is required")
    return Conversation(
        model=fields.text(tree, "model"),
        turns=(*_system(tree), *(turn for message in messages for turn in _turns(message))),
        stream=fields.flag(tree, "stream"),
        tools=flat_tools(fields.items(tree, "tools"), schema="input_schema"),
        think=_think(tree),
        tokens_max=fields.count(tree, "max_tokens"),
        stops=stops(tree.get("stop_sequences")),
        request=tree,
    )


def estimated_tokens(tree: Tree) -> int:
    """Return Ollama's own guess at the prompt's tokens, sent before the real number is known."""
    length = len(_texts(tree, "system").encode())
    for message in fields.listed(tree, "messages"):
        length += len(fields.said(message, "role").encode()) + len(_texts(message, "content").encode())
    return length // 4 or 1


def _system(tree: Tree) -> tuple[Turn, ...]:
    text = _texts(tree, "system")
    return (Turn(role="system", text=clean(text)),) if text else ()


def _texts(tree: Any, name: str) -> str:
    parts = [part for part in fields.listed(tree, name) if fields.said(part, "type") == "text"]
    return fields.said(tree, name) or "".join(fields.said(part, "text") for part in parts)


def _turns(message: Any) -> Iterator[Turn]:
    role = fields.said(message, "role").lower()
    blocks = fields.listed(message, "content")
    results = [block for block in blocks if fields.said(block, "type") == "tool_result"]
    yield from (Turn(role="tool", text=clean(_texts(block, "content"))) for block in results)
    kinds = {fields.said(block, "type") for block in blocks}
    text, pictured = _texts(message, "content"), "image" in kinds
    if text or pictured or kinds & {"tool_use", "thinking"}:
        yield Turn(role=role, text=clean(text), pictured=pictured)


def _think(tree: Tree) -> bool | str | None:
    match fields.said(fields.told(tree, "thinking"), "type"):
        case "enabled":
            return True
        case "disabled":
            return False
        case _:
            return _LEVELS.get(fields.said(fields.told(tree, "output_config"), "effort").strip().lower())
