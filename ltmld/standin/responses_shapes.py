"""An answer as ``/v1/responses`` writes it: events with numbers, keys in alphabetical order, the request echoed.

Rules:
1. ``instructions`` and ``tools`` of the request come back, in the stream three times.
2. A tool's call takes the place of the message; thoughts stand before either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ltmld.standin.shapes import LIVE, Writing, argued, dumps, event
from ltmld.standin.tools import Call
from ltmld.wire.fields import listed, said, told

_TOOL = ("type", "name", "description", "strict", "parameters")
# The order of the members where the whole answer comes in one piece; in a stream they stand in the alphabet's.
_ORDER = (
    *("id", "object", "created_at", "completed_at", "status", "incomplete_details", "model"),
    *("previous_response_id", "instructions", "output", "error", "tools", "tool_choice", "truncation"),
    *("parallel_tool_calls", "text", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs"),
    *("temperature", "reasoning", "usage", "max_output_tokens", "max_tool_calls", "store", "background"),
    *("service_tier", "metadata", "safety_identifier", "prompt_cache_key"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesWriting(Writing):
    """Writes one answer of ``/v1/responses``."""

    stream_headers = LIVE

    def whole(self) -> bytes:
        """Return the answer in one piece."""
        spoken = self.spoken
        output = [
            *([self._reasoning(f"rs_{self._id}")] if spoken.thinking else ()),
            *(self._called(index, call) for index, call in enumerate(spoken.calls)),
            *(() if spoken.calls else (self._message("completed", [_text(spoken.text)]),)),
        ]
        tree = self._response("completed", output)
        return dumps({name: tree[name] for name in _ORDER}) + b"\n"

    def pieces(self) -> Iterator[bytes]:
        """Yield the events, one a chunk."""
        for number, (kind, members) in enumerate(self._events()):
            yield event(kind, _sorted({"type": kind, "sequence_number": number} | members))

    def died(self) -> bytes:
        """Return nothing: the stream just ends."""
        return b""

    @property
    def _id(self) -> str:
        return f"resp_{247_600 + self.spoken.number}"

    def _events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        output: list[Any] = []
        yield "response.created", {"response": self._response("in_progress", [])}
        yield "response.in_progress", {"response": self._response("in_progress", [])}
        if self.spoken.thinking:
            yield from self._reasoned()
            output.append(self._reasoning(f"rs_{self.spoken.number}"))
        if self.spoken.calls:
            for index, call in enumerate(self.spoken.calls):
                item = self._called(index, call)
                yield from _call_events(item, len(output))
                output.append(item)
        elif self.spoken.text:
            yield from self._worded(len(output))
            output.append(self._message("completed", [_text(self.spoken.text)]))
        yield "response.completed", {"response": self._response("completed", output)}

    def _reasoned(self) -> Iterator[tuple[str, dict[str, Any]]]:
        name = f"rs_{self.spoken.number}"
        place = {"item_id": name, "output_index": 0, "summary_index": 0}
        item = {"id": name, "type": "reasoning", "summary": []}
        yield "response.output_item.added", {"output_index": 0, "item": item}
        for thought in self.spoken.thoughts:
            yield "response.reasoning_summary_text.delta", place | {"delta": thought}
        yield "response.reasoning_summary_text.done", place | {"text": self.spoken.thinking}
        yield "response.output_item.done", {"output_index": 0, "item": self._reasoning(name)}

    def _worded(self, at: int) -> Iterator[tuple[str, dict[str, Any]]]:
        place = {"item_id": f"msg_{self.spoken.number}", "output_index": at, "content_index": 0}
        whole = _text(self.spoken.text)
        yield "response.output_item.added", {"output_index": at, "item": self._message("in_progress", [])}
        yield "response.content_part.added", place | {"part": _text("")}
        for token in self.spoken.tokens:
            yield "response.output_text.delta", place | {"delta": token, "logprobs": []}
        yield "response.output_text.done", place | {"text": self.spoken.text, "logprobs": []}
        yield "response.content_part.done", place | {"part": whole}
        yield "response.output_item.done", {"output_index": at, "item": self._message("completed", [whole])}

    def _message(self, status: str, content: list[Any]) -> dict[str, Any]:
        names = {"id": f"msg_{self.spoken.number}", "type": "message", "status": status, "role": "assistant"}
        return names | {"content": content}

    def _reasoning(self, name: str) -> dict[str, Any]:
        summary = [{"type": "summary_text", "text": self.spoken.thinking}]
        return {
            "id": name,
            "type": "reasoning",
            "summary": summary,
            "encrypted_content": self.spoken.thinking,
        }

    def _called(self, index: int, call: Call) -> dict[str, Any]:
        return {
            "id": f"fc_{self._id}_{index}",
            "type": "function_call",
            "status": "completed",
            "call_id": self.spoken.call_id(index),
            "name": call.name,
            "arguments": argued(call.arguments),
        }

    def _response(self, status: str, output: list[Any]) -> dict[str, Any]:
        request = self.spoken.asked.request
        now = int(datetime.now(UTC).timestamp())
        done = status == "completed"
        tools = [
            {name: _sorted(tool.get(name)) for name in _TOOL}
            for tool in listed(request, "tools")
            if isinstance(tool, dict)
        ]
        fixed: dict[str, Any] = dict.fromkeys(_ORDER)
        return fixed | {
            "id": self._id,
            "object": "response",
            "created_at": now,
            "completed_at": now if done else None,
            "status": status,
            "model": self.spoken.model,
            "instructions": said(request, "instructions") or None,
            "output": output,
            "tools": tools,
            "tool_choice": "auto",
            "truncation": said(request, "truncation") or "disabled",
            "parallel_tool_calls": True,
            "text": {"format": told(told(request, "text"), "format") or {"type": "text"}},
            "top_p": request.get("top_p", 1),
            "presence_penalty": 0,
            "frequency_penalty": 0,
            "top_logprobs": 0,
            "temperature": request.get("temperature", 1),
            "reasoning": told(request, "reasoning") or None,
            "usage": self._usage() if done else None,
            "max_output_tokens": request.get("max_output_tokens"),
            "store": False,
            "background": request.get("background") is True,
            "service_tier": "default",
            "metadata": {},
        }

    def _usage(self) -> Mapping[str, Any]:
        asked, replied = self.spoken.prompt_tokens, self.spoken.reply_tokens
        return {
            "input_tokens": asked,
            "output_tokens": replied,
            "total_tokens": asked + replied,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }


def _call_events(item: Mapping[str, Any], at: int) -> Iterator[tuple[str, dict[str, Any]]]:
    place = {"item_id": item["id"], "output_index": at}
    begun = {**item, "status": "in_progress", "arguments": ""}
    yield "response.output_item.added", {"output_index": at, "item": begun}
    yield "response.function_call_arguments.delta", place | {"delta": item["arguments"]}
    yield "response.function_call_arguments.done", place | {"arguments": item["arguments"]}
    yield "response.output_item.done", {"output_index": at, "item": dict(item)}


def _text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _sorted(value: Any) -> Any:
    """Return *value* with its members in alphabetical order, as Go writes maps; a schema keeps the client's order."""
    if isinstance(value, list):
        return [_sorted(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: value[name] if name == "schema" else _sorted(value[name]) for name in sorted(value)}
