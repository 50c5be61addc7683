"""An answer as ``/v1/messages`` writes it: blocks that are opened, filled and closed, and ``message_stop``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Any

from ltmld.standin.anthropic_request import estimated_tokens
from ltmld.standin.shapes import LIVE, Writing, argued, dumps, event
from ltmld.standin.speech import Step
from ltmld.standin.tools import Call

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    503: "overloaded_error",
}
_STOPS = {"stop": "end_turn", "length": "max_tokens"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesWriting(Writing):
    """Writes one answer of ``/v1/messages``."""

    stream_headers = LIVE

    def whole(self) -> bytes:
        """Return the answer in one piece."""
        spoken = self.spoken
        thought = [{"type": "thinking", "thinking": spoken.thinking}] if spoken.thinking else []
        text = [{"type": "text", "text": spoken.text}] if spoken.text else []
        calls = [
            self._tool_use(index, call) | {"input": call.arguments} for index, call in enumerate(spoken.calls)
        ]
        tree = self._message() | {"content": [*thought, *text, *calls] or None, "stop_reason": self._reason}
        return dumps(tree | {"usage": self._usage(spoken.prompt_tokens, spoken.reply_tokens)}) + b"\n"

    def pieces(self) -> Iterator[bytes]:
        """Yield the events, one a chunk."""
        spoken = self.spoken
        guess = self._usage(estimated_tokens(spoken.asked.request), 0)
        message = self._message() | {"content": [], "usage": guess}
        yield _event("message_start", message=message)
        index = 0
        for thinks, steps in groupby(self._worded(), lambda step: bool(step.thinking)):
            yield from self._block(index, steps, thinks=thinks)
            index += 1
        for number, call in enumerate(spoken.calls):
            yield from self._called(index + number, number, call)
        numbers = self._usage(spoken.prompt_tokens, spoken.reply_tokens)
        yield _event("message_delta", delta={"stop_reason": self._reason}, usage=numbers)
        yield _event("message_stop")

    def died(self) -> bytes:
        """Return nothing: the stream just ends."""
        return b""

    @property
    def _reason(self) -> str:
        return "tool_use" if self.spoken.calls else _STOPS.get(self.spoken.reason, "stop_sequence")

    def _worded(self) -> Iterator[Step]:
        return (step for step in self.spoken.steps if step.text or step.thinking)

    def _block(self, index: int, steps: Iterator[Step], *, thinks: bool) -> Iterator[bytes]:
        name = "thinking" if thinks else "text"
        yield _event("content_block_start", index=index, content_block={"type": name, name: ""})
        for step in steps:
            delta = {"type": f"{name}_delta", name: step.thinking or step.text}
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)

    def _called(self, index: int, number: int, call: Call) -> Iterator[bytes]:
        block = self._tool_use(number, call) | {"input": {}}
        yield _event("content_block_start", index=index, content_block=block)
        delta = {"type": "input_json_delta", "partial_json": argued(call.arguments)}
        yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)

    def _tool_use(self, number: int, call: Call) -> dict[str, Any]:
        return {"type": "tool_use", "id": self.spoken.call_id(number), "name": call.name}

    def _message(self) -> dict[str, Any]:
        names = {"id": f"msg_{_digits(self.spoken.number)}", "type": "message", "role": "assistant"}
        return names | {"model": self.spoken.model}

    def _usage(self, asked: int, replied: int) -> Mapping[str, int]:
        return {"input_tokens": asked, "output_tokens": replied}


def anthropic_error(status: int, message: str) -> bytes:
    """Return an error body, without the line end that follows it on some routes."""
    error = {"type": _KINDS.get(status, "api_error"), "message": message}
    return dumps({"type": "error", "error": error, "request_id": f"req_{_digits(len(message))}"})


def _event(kind: str, **members: Any) -> bytes:
    return event(kind, {"type": kind} | members)


def _digits(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()[:24]
