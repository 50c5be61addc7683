"""``POST /v1/chat/completions``: Ollama's OpenAI layer."""

from __future__ import annotations

from typing import Any

from ltmld.core.exchange import Usage
from ltmld.wire import fields
from ltmld.wire.capture import DialectReader
from ltmld.wire.chat import ChatDialect
from ltmld.wire.fields import Tree, listed, said, told
from ltmld.wire.framing import Mark, error_of
from ltmld.wire.openai import shapes
from ltmld.wire.structs import Struct

_CALL = Struct(members={"function": Struct()})
# Content is an any: its parts are maps.
_MESSAGE = Struct(
    members={"tool_calls": _CALL, "content": Struct(exact=True)}, emptied=frozenset({"content"})
)


class ChoiceReader(DialectReader):
    """Reads the answers of ``/v1/chat/completions``; of several choices only the first."""

    def piece(self, tree: dict[str, Any]) -> Mark:
        """Take one event."""
        if message := error_of(tree):
            self.transcript.error = message
            return Mark.MORE
        choice = self._take(tree, "delta")
        # Ollama's only sign of a failure in mid-stream: one chunk that names no model.
        if tree.get("model") == "" and not choice.get("finish_reason"):
            self.transcript.error = "Ollama broke off in mid-answer"
        return Mark.ENDING if choice.get("finish_reason") else Mark.MORE

    def whole(self, tree: dict[str, Any]) -> None:
        """Take a whole answer."""
        self._take(tree, "message")

    def _take(self, tree: dict[str, Any], name: str) -> dict[str, Any]:
        transcript = self.transcript
        transcript.model = said(tree, "model") or transcript.model
        if told(tree, "usage"):
            transcript.usage = _usage(told(tree, "usage"))
        choice = next((item for item in listed(tree, "choices") if isinstance(item, dict)), {})
        if choice.get("index") not in (0, None):
            return {}
        message = told(choice, name)
        transcript.add_thinking(said(message, "reasoning") or said(message, "reasoning_content"))
        transcript.add_text(said(message, "content"))
        for position, call in enumerate(listed(message, "tool_calls")):
            self._call(call, position)
        transcript.done_reason = said(choice, "finish_reason") or transcript.done_reason
        return choice

    def _call(self, call: Any, position: int) -> None:
        index = call.get("index") if isinstance(call, dict) else None
        function = told(call, "function")
        self.transcript.add_call(
            index if isinstance(index, int) else position,
            name=said(function, "name"),
            arguments=said(function, "arguments"),
            call_id=said(call, "id"),
        )


class OpenAiChat(ChatDialect):
    """The dialect of ``/v1/chat/completions``."""

    name = "openai.chat"
    takes_zstd = True
    streams = False
    struct = Struct(members={"messages": _MESSAGE, "response_format": Struct()})
    reader = ChoiceReader

    def error(self, message: str) -> bytes:
        """Return an error body."""
        return shapes.error(message)

    def _has_format(self, tree: Tree) -> bool:
        return shapes.wants_json(told(tree, "response_format"))

    def _reply_tokens_max(self, tree: Tree) -> int | None:
        return fields.count(tree, "max_tokens", "max_completion_tokens")


def _usage(tree: dict[str, Any]) -> Usage:
    return Usage(
        prompt_tokens=fields.count(tree, "prompt_tokens"),
        reply_tokens=fields.count(tree, "completion_tokens"),
    )
