"""Reads the answers of ``/v1/messages``: events, or one message object.

Rules:
1. Only ``message_stop`` ends an answer; from the ``stop_reason`` before it on, nothing passes before the commit.
2. The tokens of ``message_start`` are an estimate; those of ``message_delta`` are what the model counted.
3. What the server does by itself (a web search) is no call of the model's: nobody is asked to answer it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ltmld.wire import fields
from ltmld.wire.capture import DialectReader
from ltmld.wire.fields import listed, said, spelled, told
from ltmld.wire.framing import Mark, error_of


class MessageReader(DialectReader):
    """Reads one answer of ``/v1/messages``."""

    def piece(self, tree: dict[str, Any]) -> Mark:
        """Take one event."""
        match said(tree, "type"):
            case "message_stop":
                return Mark.END
            case "message_start":
                self._head(told(tree, "message"))
            case "content_block_start":
                self._block(told(tree, "content_block"), index=_index(tree))
            case "content_block_delta":
                self._delta(told(tree, "delta"), index=_index(tree))
            case "message_delta":
                self._usage(told(tree, "usage"))
                self.transcript.done_reason = said(told(tree, "delta"), "stop_reason")
                return Mark.ENDING if self.transcript.done_reason else Mark.MORE
            case _:
                self.transcript.error = error_of(tree) or self.transcript.error
        return Mark.MORE

    def whole(self, tree: dict[str, Any]) -> None:
        """Take a whole answer."""
        self._head(tree)
        for index, block in enumerate(listed(tree, "content")):
            if isinstance(block, dict):
                self._block(block, index=index)
        self.transcript.done_reason = said(tree, "stop_reason")

    def _head(self, message: dict[str, Any]) -> None:
        self.transcript.model = said(message, "model") or self.transcript.model
        self._usage(told(message, "usage"))

    def _usage(self, usage: dict[str, Any]) -> None:
        known = self.transcript.usage
        self.transcript.usage = replace(
            known,
            prompt_tokens=fields.count(usage, "input_tokens") or known.prompt_tokens,
            reply_tokens=fields.count(usage, "output_tokens") or known.reply_tokens,
        )

    def _block(self, block: dict[str, Any], *, index: int) -> None:
        match said(block, "type"):
            case "text":
                self.transcript.add_text(said(block, "text"))
            case "thinking":
                self.transcript.add_thinking(said(block, "thinking"))
            case "tool_use":
                # An empty input is the beginning of one that comes in pieces.
                self.transcript.add_call(
                    index,
                    name=said(block, "name"),
                    arguments=spelled(block, "input"),
                    call_id=said(block, "id"),
                )

    def _delta(self, delta: dict[str, Any], *, index: int) -> None:
        match said(delta, "type"):
            case "text_delta":
                self.transcript.add_text(said(delta, "text"))
            case "thinking_delta":
                self.transcript.add_thinking(said(delta, "thinking"))
            case "input_json_delta" if self.transcript.has_call(index):
                piece = said(delta, "partial_json")
                self.transcript.add_call(index, name="", arguments=piece, call_id="")


def _index(tree: dict[str, Any]) -> int:
    return fields.count(tree, "index") or 0
