"""Reads the answers of ``/v1/responses``: events, or one response object.

Rules:
1. ``response.completed`` and ``response.incomplete`` end an answer; ``response.failed`` and ``error`` say why
   there is none, and end nothing: what failed is recorded as failed.
2. Text is taken from the deltas. A server that sends none is read from the response object at the end.
3. What the server does by itself (a web search) is no call of the model's: nobody is asked to answer it.
"""

from __future__ import annotations

from typing import Any

from ltmld.core.exchange import Usage
from ltmld.wire import fields
from ltmld.wire.capture import DialectReader
from ltmld.wire.fields import listed, said, told
from ltmld.wire.framing import Mark, error_of

_TEXTS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_THOUGHTS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_ARGUMENTS = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"})
_ITEMS = frozenset({"response.output_item.added", "response.output_item.done"})
_ENDS = frozenset({"response.completed", "response.incomplete"})
_CALLS = frozenset({"function_call", "custom_tool_call"})


class ResponseReader(DialectReader):
    """Reads one answer of ``/v1/responses``."""

    def piece(self, tree: dict[str, Any]) -> Mark:
        """Take one event."""
        kind = said(tree, "type")
        if kind in _ENDS:
            self._finish(told(tree, "response"))
            return Mark.END
        if message := _failure(kind, tree):
            self.transcript.error = message
        elif kind in _TEXTS:
            self.transcript.add_text(said(tree, "delta"))
        elif kind in _THOUGHTS:
            self.transcript.add_thinking(said(tree, "delta"))
        elif kind in _ARGUMENTS:
            self.transcript.add_call(_index(tree), name="", arguments=said(tree, "delta"), call_id="")
        elif kind in _ITEMS:
            self._item(told(tree, "item"), index=_index(tree))
        elif response := told(tree, "response"):
            self.transcript.model = said(response, "model") or self.transcript.model
        return Mark.MORE

    def whole(self, tree: dict[str, Any]) -> None:
        """Take a whole answer."""
        self._finish(tree)

    def _finish(self, response: dict[str, Any]) -> None:
        transcript = self.transcript
        if not transcript.begun:
            for index, item in enumerate(listed(response, "output")):
                self._output(item, index=index)
        transcript.model = said(response, "model") or transcript.model
        reason = said(told(response, "incomplete_details"), "reason")
        transcript.done_reason = reason or said(response, "status")
        usage = told(response, "usage")
        transcript.usage = Usage(
            prompt_tokens=fields.count(usage, "input_tokens"),
            reply_tokens=fields.count(usage, "output_tokens"),
        )

    def _output(self, item: Any, *, index: int) -> None:
        kind = said(item, "type")
        if kind == "message":
            for part in listed(item, "content"):
                self.transcript.add_text(said(part, "text") or said(part, "refusal"))
        elif kind == "reasoning":
            for part in listed(item, "summary") or listed(item, "content"):
                self.transcript.add_thinking(said(part, "text"))
        elif isinstance(item, dict):
            self._item(item, index=index)

    def _item(self, item: dict[str, Any], *, index: int) -> None:
        if said(item, "type") in _CALLS:
            self.transcript.settle_call(
                index,
                name=said(item, "name"),
                arguments=said(item, "arguments") or said(item, "input"),
                call_id=said(item, "call_id"),
            )


def _index(tree: dict[str, Any]) -> int:
    return fields.count(tree, "output_index") or 0


def _failure(kind: str, tree: dict[str, Any]) -> str:
    """Return the sentence of a failure, empty where the event is none."""
    if kind == "response.failed":
        return error_of(told(tree, "response")) or "the model failed in mid-answer"
    if kind == "error":
        return said(tree, "message") or error_of(tree) or "an error without a message"
    return error_of(tree)
