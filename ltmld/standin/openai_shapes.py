"""An answer as ``/v1/chat/completions`` and ``/v1/completions`` write it: events, and a chunk that ends them.

Rules:
1. Ids run from 0 to 998 and are not unique, as Ollama's.
2. A runner that dies in mid-stream is an empty chunk without a model, no finish and no terminator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ltmld.standin.shapes import Writing, argued, data, dumps
from ltmld.standin.speech import Spoken, Step
from ltmld.standin.tools import Call

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatWriting(Writing):
    """Writes one answer of ``/v1/chat/completions``."""

    def whole(self) -> bytes:
        """Return the answer in one piece."""
        spoken = self.spoken
        choice = {
            "index": 0,
            "message": {"role": "assistant"} | self._said(spoken.in_one_step),
            "finish_reason": self._reason,
        }
        choice |= _likely(spoken.logprobs(spoken.tokens))
        tree = _head(f"chatcmpl-{spoken.number % 999}", "chat.completion", spoken.model)
        return dumps(tree | {"choices": [choice], "usage": usage(spoken)}) + b"\n"

    def pieces(self) -> Iterator[bytes]:
        """Yield an event a token, and the chunk that ends it."""
        role = {"role": "assistant"}
        for step in self.spoken.steps:
            yield data(self._chunk(role | self._said(step), logprobs=self.spoken.logprobs([step.text])))
            role = {}
        finish = data(self._chunk({}, reason=self._reason))
        numbers = self._chunk({}) | {"choices": [], "usage": usage(self.spoken)}
        yield finish + (data(numbers) if self.spoken.asked.usage else b"") + DONE

    def died(self) -> bytes:
        """Return the empty chunk."""
        return data(self._chunk({"role": "assistant", "content": ""}) | {"model": ""})

    def rendered(self, prompt: str) -> bytes:
        """Return the answer to ``_debug_render_only``."""
        choice = {"index": 0, "message": {"role": "", "content": ""}, "finish_reason": None}
        numbers = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        tree = _head(f"chatcmpl-{self.spoken.number % 999}", "chat.completion", self.spoken.model)
        debug = {"_debug_info": {"rendered_template": prompt}}
        return dumps(tree | {"choices": [choice], "usage": numbers} | debug) + b"\n"

    @property
    def _reason(self) -> str:
        return "tool_calls" if self.spoken.calls else self.spoken.reason

    def _chunk(
        self, delta: Mapping[str, Any], *, reason: str | None = None, logprobs: Sequence[Any] = ()
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason} | _likely(logprobs)
        tree = _head(f"chatcmpl-{self.spoken.number % 999}", "chat.completion.chunk", self.spoken.model)
        return tree | {"choices": [choice]}

    def _said(self, step: Step) -> dict[str, Any]:
        said: dict[str, Any] = {"content": step.text}
        if step.thinking:
            said["reasoning"] = step.thinking
        if step.calls:
            said["tool_calls"] = [self._call(index, call) for index, call in enumerate(step.calls)]
        return said

    def _call(self, index: int, call: Call) -> dict[str, Any]:
        function = {"name": call.name, "arguments": argued(call.arguments)}
        return {"id": self.spoken.call_id(index), "index": index, "type": "function", "function": function}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionWriting(Writing):
    """Writes one answer of ``/v1/completions``."""

    def whole(self) -> bytes:
        """Return the answer in one piece."""
        spoken = self.spoken
        tree = _head(f"cmpl-{spoken.number % 999}", "text_completion", spoken.model)
        choices = [_completion(spoken.text, spoken.reason)]
        return dumps(tree | {"choices": choices, "usage": usage(spoken)}) + b"\n"

    def pieces(self) -> Iterator[bytes]:
        """Yield an event a token, and the chunk that ends it."""
        for token in self.spoken.tokens:
            yield data(self._chunk([_completion(token, None)]))
        finish = data(self._chunk([_completion("", self.spoken.reason)]))
        numbers = self._chunk([]) | {"usage": usage(self.spoken)}
        yield finish + (data(numbers) if self.spoken.asked.usage else b"") + DONE

    def died(self) -> bytes:
        """Return the empty chunk."""
        return data(self._chunk([_completion("", None)]) | {"model": ""})

    def _chunk(self, choices: Sequence[Any]) -> dict[str, Any]:
        head = _head(f"cmpl-{self.spoken.number % 999}", "text_completion", self.spoken.model)
        names = ("id", "object", "created")
        first = {name: head[name] for name in names}
        zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        return first | {"choices": choices} | head | ({"usage": zeros} if self.spoken.asked.usage else {})


def usage(spoken: Spoken) -> dict[str, int]:
    """Return the numbers of an OpenAI answer."""
    asked, replied = spoken.prompt_tokens, spoken.reply_tokens
    return {"prompt_tokens": asked, "completion_tokens": replied, "total_tokens": asked + replied}


def _completion(text: str, reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "finish_reason": reason}


def _head(answer_id: str, kind: str, model: str) -> dict[str, Any]:
    created = int(datetime.now(UTC).timestamp())
    names = {"id": answer_id, "object": kind, "created": created, "model": model}
    return names | {"system_fingerprint": "fp_ollama"}


def _likely(logprobs: Sequence[Any]) -> dict[str, Any]:
    return {"logprobs": {"content": logprobs}} if logprobs else {}
