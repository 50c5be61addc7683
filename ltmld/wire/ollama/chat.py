"""``POST /api/chat``: Ollama's own conversation."""

from __future__ import annotations

from typing import Any

from ltmld.wire import fields
from ltmld.wire.chat import ChatDialect
from ltmld.wire.fields import Tree, listed, said, spelled, told
from ltmld.wire.ollama import shapes
from ltmld.wire.ollama.shapes import LineReader
from ltmld.wire.structs import Struct

_CALL = Struct(members={"function": Struct()})
_MESSAGE = Struct(members={"tool_calls": _CALL})


class ChatReader(LineReader):
    """Reads the answers of ``/api/chat``."""

    def _take(self, tree: dict[str, Any]) -> None:
        transcript = self.transcript
        message = told(tree, "message")
        transcript.add_thinking(said(message, "thinking"))
        transcript.add_text(said(message, "content"))
        for call in listed(message, "tool_calls"):
            function = told(call, "function")
            transcript.add_call(
                transcript.calls,
                name=said(function, "name"),
                arguments=spelled(function, "arguments") or "{}",
                call_id=said(call, "id"),
            )


class OllamaChat(ChatDialect):
    """The dialect of ``/api/chat``."""

    name = "ollama.chat"
    takes_zstd = False
    streams = True
    struct = Struct(members={"messages": _MESSAGE})
    reader = ChatReader

    def error(self, message: str) -> bytes:
        """Return an error body."""
        return shapes.error(message)

    def _has_format(self, tree: Tree) -> bool:
        return bool(tree.get("format"))

    def _reply_tokens_max(self, tree: Tree) -> int | None:
        return fields.count(fields.members(tree, "options"), "num_predict")
