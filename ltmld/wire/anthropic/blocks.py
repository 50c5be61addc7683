"""Anthropic messages, read as Ollama makes messages of them (``convertMessage``).

Rules:
1. One message of the client's can be several to the model: its tool results first, then its words.
2. Text blocks are joined as they are, without anything between them.
3. A message without words, images, calls or thinking is no message; blocks that are not known say nothing.
4. What the server did by itself (a web search and what it found) is part of its answer, and no call of the model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ltmld.core.message import Attachment, Message, Role, ToolCall
from ltmld.errors import WireError
from ltmld.wire import fields
from ltmld.wire.attachments import from_source
from ltmld.wire.fields import Tree, told
from ltmld.wire.json_text import clean, compact
from ltmld.wire.messages import pieces_of, role_of
from ltmld.wire.places import Place
from ltmld.wire.sentinel import strip

Placed = tuple[Message, Place]


def read(items: Sequence[Any]) -> list[Placed]:
    """Return the messages of a body, each with its place.

    Raises:
        WireError: one of them is not understood.
    """
    found: list[Placed] = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise WireError("a message is not an object; the body passes untouched")
        found += _messages(index, item)
    return found


def words_of(content: Any) -> str:
    """Return the text of a string, or of a list of blocks.

    Raises:
        WireError: it is neither.
    """
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(fields.text(block, "text") for block in blocks_of(content) if is_text(block))


def is_text(block: Tree) -> bool:
    """Tell whether a block is text."""
    return block.get("type") == "text"


def blocks_of(content: Any) -> list[dict[str, Any]]:
    """Return the blocks of a content, none where it is a string.

    Raises:
        WireError: it is something else.
    """
    if content is None or isinstance(content, str):
        return []
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise WireError("a content is neither text nor a list of blocks; the body passes untouched")
    return content


def _messages(index: int, item: Tree) -> list[Placed]:
    role, content = role_of(item), item.get("content")
    blocks = blocks_of(content)
    results = [number for number, block in enumerate(blocks) if block.get("type") == "tool_result"]
    others = tuple(number for number in range(len(blocks)) if number not in results)
    told_back = [
        (_result(blocks[number]), Place((index,), (number,) if others or len(results) > 1 else None))
        for number in results
    ]
    message = _message(role, words_of(content), [blocks[number] for number in others])
    if message is None:
        return told_back
    spoken = [(message, Place((index,), others if results else None))]
    return told_back + spoken if role is Role.USER else spoken + told_back


def _message(role: Role, words: str, blocks: Sequence[Tree]) -> Message | None:
    thinking = "".join(fields.text(block, "thinking") for block in blocks if block.get("type") == "thinking")
    calls = tuple(_call(block) for block in blocks if block.get("type") == "tool_use")
    attachments = _attachments(blocks)
    seen = any(block.get("type") == "image" for block in blocks)
    if not (words or seen or calls or thinking):
        return None
    return Message(
        role=role,
        text=strip(clean(words)),
        thinking=strip(clean(thinking)),
        attachments=attachments,
        tool_calls=calls,
        parts=pieces_of(blocks),
    )


def _attachments(blocks: Sequence[Tree]) -> tuple[Attachment, ...]:
    return tuple(
        from_source(told(block, "source")) for block in blocks if block.get("type") in ("image", "document")
    )


def _call(block: Tree) -> ToolCall:
    return ToolCall(
        name=clean(fields.text(block, "name")),
        arguments=compact(fields.members(block, "input")),
        id=clean(fields.text(block, "id")),
    )


def _result(block: Tree) -> Message:
    content = block.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return Message(
        role=Role.TOOL,
        text=strip(clean(words_of(parts) if parts else content if isinstance(content, str) else "")),
        attachments=_attachments(parts),
        tool_call_id=clean(fields.text(block, "tool_use_id")),
    )
