"""The input of a responses request, item by item, read as Ollama makes messages of it (``FromResponsesRequest``).

Rules:
1. The parts of one item are joined as they are, without anything between them.
2. A call belongs to the assistant's message before it, where one is; thinking belongs to the one after it.
3. An item that is not known is nobody's words: should Ollama refuse it, the request fails as it would have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ltmld.core.message import Attachment, Message, Role, ToolCall
from ltmld.errors import WireError
from ltmld.wire import fields
from ltmld.wire.attachments import from_part
from ltmld.wire.fields import listed, said
from ltmld.wire.json_text import clean
from ltmld.wire.messages import role_of
from ltmld.wire.places import Place, is_text
from ltmld.wire.sentinel import strip

_CALLS = frozenset({"function_call", "custom_tool_call"})
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})


class InputItems:
    """Messages that grow item by item."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.places: list[Place] = []
        self._thinking = ""
        self._ahead: tuple[int, ...] = ()  # items that belong to the assistant's next message

    def take(self, items: Sequence[Any]) -> None:
        """Read all items.

        Raises:
            WireError: one of them is not understood.
        """
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                raise WireError("an input item is not an object; the body passes untouched")
            self._take(index, item)

    def _take(self, index: int, item: dict[str, Any]) -> None:
        kind = fields.text(item, "type") or ("message" if fields.text(item, "role") else "")
        if kind == "message":
            self._message(index, item)
        elif kind in _CALLS:
            self._call(index, item)
        elif kind in _OUTPUTS:
            self._output(index, item)
        else:
            self._ahead += (index,)
            if kind == "reasoning":
                self._thinking = thinking_of(item)

    def _message(self, index: int, item: dict[str, Any]) -> None:
        content = item.get("content")
        message = Message(
            role=role_of(item),
            text=strip(clean(words_of(content))),
            attachments=attachments_of(content),
        )
        self._add(index, message)

    def _call(self, index: int, item: dict[str, Any]) -> None:
        call = ToolCall(
            name=clean(fields.text(item, "name")),
            arguments=clean(fields.text(item, "arguments") or fields.text(item, "input")),
            id=clean(fields.text(item, "call_id")),
        )
        last = self.messages[-1] if self.messages else None
        if last is None or last.role is not Role.ASSISTANT:
            self._add(index, Message(role=Role.ASSISTANT, text="", tool_calls=(call,)))
            return
        self.messages[-1] = replace(
            last, tool_calls=(*last.tool_calls, call), thinking=self._thinking or last.thinking
        )
        self.places[-1] = Place((*self.places[-1].items, *self._ahead, index))
        self._thinking, self._ahead = "", ()

    def _output(self, index: int, item: dict[str, Any]) -> None:
        output = item.get("output")
        message = Message(
            role=Role.TOOL,
            text=strip(clean(words_of(output))),
            attachments=attachments_of(output),
            tool_call_id=clean(fields.text(item, "call_id")),
        )
        self._add(index, message)

    def _add(self, index: int, message: Message) -> None:
        items: tuple[int, ...] = (index,)
        if message.role is Role.ASSISTANT:
            message = replace(message, thinking=self._thinking)
            items = (*self._ahead, index)
            self._thinking, self._ahead = "", ()
        self.messages.append(message)
        self.places.append(Place(items))


def words_of(content: Any) -> str:
    """Return the text of a string, or of a list of parts.

    Raises:
        WireError: it is neither.
    """
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(fields.text(part, "text") for part in _parts(content) if is_text(part))


def attachments_of(content: Any) -> tuple[Attachment, ...]:
    """Return the images and files among the parts of a message."""
    if not isinstance(content, list):
        return ()
    return tuple(found for part in _parts(content) if (found := from_part(part)) is not None)


def thinking_of(item: dict[str, Any]) -> str:
    """Return the words of a reasoning item: Ollama keeps them, unencrypted, in ``encrypted_content``."""
    summary = "".join(said(part, "text") for part in listed(item, "summary") or listed(item, "content"))
    return strip(clean(summary or said(item, "encrypted_content")))


def _parts(content: Any) -> list[dict[str, Any]]:
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise WireError("an input item holds neither text nor a list of parts; the body passes untouched")
    return content
