"""Messages of a request body: read them, and find the place in them where a text goes.

Rules:
1. Native content is a string; OpenAI content may be an array of parts. Each Ollama part becomes a message of
   its own, so a block is written into an existing text part, never added beside one of the system's.
2. There is never a second system message for the sake of a block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ltmld.core.message import Attachment, Message, Role, ToolCall
from ltmld.errors import WireError
from ltmld.wire import fields
from ltmld.wire.attachments import from_base64, from_part
from ltmld.wire.body import Alteration
from ltmld.wire.json_text import Edit, Node, clean, compact, literal, removals
from ltmld.wire.places import appended, is_text, prefixed
from ltmld.wire.sentinel import GAP, present, strip

# OpenAI's name of old for a tool's answer.
_ROLES = {"function": Role.TOOL}

Tree = Mapping[str, Any]


def read(items: Sequence[Any]) -> tuple[Message, ...]:
    """Return the messages of a body, blocks of ltmld taken out.

    Raises:
        WireError: one of them is not understood.
    """
    return tuple(_message(item) for item in items)


def injected(items: Sequence[Any]) -> bool:
    """Tell whether a block of ltmld stands where one is put: in the system text, or the last user message.

    A model repeats what it reads: a block anywhere else is an echo, and says nothing about this request.
    """
    system = next((item for item in items if role_of(item) is Role.SYSTEM), None)
    user = next((item for item in reversed(items) if role_of(item) is Role.USER), None)
    return any(present(_words(item)) for item in (system, user) if item is not None)


def leading_system(said: Sequence[Message]) -> str | None:
    """Return the words of a system message at the front, ``None`` when another message stands there."""
    return said[0].text if said and said[0].role is Role.SYSTEM else None


def edits(messages: Node, alteration: Alteration) -> list[Edit]:
    """Return the edits that alter a list of messages."""
    made = removals(messages, alteration.drop)
    if alteration.block:
        made.append(_system_edit(messages, alteration))
    return made + [
        prefixed(messages.items[index], note, part="text") for index, note in alteration.staying_notes
    ]


def _system_edit(messages: Node, alteration: Alteration) -> Edit:
    """Return the edit that puts the block at the end of the system text, which is made when there is none.

    A system message before the others' would replace the Modelfile's SYSTEM, so it begins with that one.
    """
    kept = [node for index, node in enumerate(messages.items) if index not in alteration.drop]
    systems = [node for node in kept if role_of(node.value) is Role.SYSTEM]
    if systems and (systems[0] is kept[0] or not alteration.base_system):
        return appended(systems[0], alteration.block, part="text")
    made = f'{{"role":"system","content":{literal(alteration.system)}}}' + ("," if kept else "")
    return Edit(messages.start + 1, messages.start + 1, made)


def _message(item: Any) -> Message:
    if not isinstance(item, dict):
        raise WireError("a message is not an object; the body passes untouched")
    parts = _parts(item)
    return Message(
        role=role_of(item),
        text=strip(clean(_words(item))),
        name=clean(fields.text(item, "name") or fields.text(item, "tool_name")),
        thinking=strip(clean(fields.text(item, "thinking") or fields.text(item, "reasoning"))),
        attachments=tuple(_attachments(item, parts)),
        tool_calls=tuple(_call(call) for call in fields.items(item, "tool_calls")),
        tool_call_id=clean(fields.text(item, "tool_call_id")),
        parts=pieces_of(parts),
    )


def pieces_of(parts: Sequence[Tree]) -> tuple[str, ...]:
    """Return the texts of a message that has several, nothing where the whole text says as much."""
    found = [part for part in parts if is_text(part)]
    return tuple(strip(clean(fields.text(part, "text"))) for part in found) if len(found) > 1 else ()


def role_of(item: Tree) -> Role:
    """Return who speaks in a message.

    Raises:
        WireError: nobody who is known.
    """
    name = fields.text(item, "role").lower()
    try:
        return _ROLES.get(name) or Role(name)
    except ValueError as error:
        raise WireError(f"messages of role {name!r} are not known; the body passes untouched") from error


def _parts(item: Tree) -> list[dict[str, Any]]:
    content = item.get("content")
    if content is None or isinstance(content, str):
        return []
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise WireError(
            "the content of a message is neither text nor a list of parts; the body passes untouched"
        )
    return content


def _words(item: Any) -> str:
    content = item.get("content") if isinstance(item, dict) else None
    if isinstance(content, str):
        return content
    # Ollama makes each part a message, and joins messages of one role with an empty line.
    return GAP.join(fields.text(part, "text") for part in _parts(item) if is_text(part)) if content else ""


def _attachments(item: Tree, parts: Sequence[dict[str, Any]]) -> list[Attachment]:
    found = [from_base64(image) for image in fields.items(item, "images")]
    return found + [attached for part in parts if (attached := from_part(part)) is not None]


def _call(call: Any) -> ToolCall:
    if not isinstance(call, dict):
        raise WireError("a tool call is not an object; the body passes untouched")
    function = fields.members(call, "function")
    arguments = function.get("arguments") or {}
    return ToolCall(
        name=clean(fields.text(function, "name")),
        arguments=clean(arguments) if isinstance(arguments, str) else compact(arguments),
        id=clean(fields.text(call, "id")),
    )
