"""An answer as ``/api/chat`` and ``/api/generate`` write it: one JSON line a token, and one that ends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ltmld.standin.catalog import now
from ltmld.standin.shapes import NATIVE, NDJSON, Writing, dumps
from ltmld.standin.speech import Step
from ltmld.standin.tools import Call

Kind = Literal["chat", "generate"]

RUNNER_DIED = "an error was encountered while running the model: unexpected EOF"


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeWriting(Writing):
    """Writes one answer."""

    kind: Kind

    media = NATIVE
    stream_media = NDJSON

    def whole(self) -> bytes:
        """Return the answer in one piece."""
        spoken = self.spoken
        return dumps(self._end(spoken.in_one_step, spoken.logprobs(spoken.tokens)))

    def pieces(self) -> Iterator[bytes]:
        """Yield a line a token, and the last line."""
        for step in self.spoken.steps:
            yield dumps(self._object(step, logprobs=self.spoken.logprobs([step.text]))) + b"\n"
        yield dumps(self._end(Step(), [])) + b"\n"

    def died(self) -> bytes:
        """Return the line that tells of a runner that died."""
        return dumps({"error": RUNNER_DIED}) + b"\n"

    def _end(self, step: Step, logprobs: Sequence[Any]) -> dict[str, Any]:
        said = self._object(step, done=True, done_reason=self.spoken.reason)
        context = {"context": self._context()} if self._context() else {}
        return said | context | _some("logprobs", logprobs) | self.spoken.durations

    def _object(
        self, step: Step, *, done: bool = False, logprobs: Sequence[Any] = (), **rest: Any
    ) -> dict[str, Any]:
        calls = [self._call(index, call) for index, call in enumerate(step.calls)]
        more = _some("thinking", step.thinking) | _some("tool_calls", calls)
        tree: dict[str, Any] = {"model": self.spoken.model, "created_at": now()}
        if self.kind == "chat":
            tree["message"] = {"role": "assistant", "content": step.text} | more
        else:
            tree |= {"response": step.text} | more
        return tree | {"done": done} | rest | _some("logprobs", logprobs)

    def _call(self, index: int, call: Call) -> dict[str, Any]:
        function = {"index": index, "name": call.name, "arguments": call.arguments}
        return {"id": self.spoken.call_id(index), "function": function}

    def _context(self) -> list[int]:
        """Return token numbers for the next request: those that came with this one, its prompt, its answer."""
        spoken = self.spoken
        if self.kind == "chat" or spoken.asked.raw:
            return []
        asked = sum(spoken.asked.question.encode()) % 32_000
        return [*spoken.asked.context, asked, *(sum(token.encode()) % 32_000 for token in spoken.tokens)]


def loaded(kind: Kind, model: str, reason: str) -> bytes:
    """Return the answer to a request that only loads or unloads."""
    said: dict[str, Any] = (
        {"message": {"role": "assistant", "content": ""}} if kind == "chat" else {"response": ""}
    )
    tree: dict[str, Any] = {"model": model, "created_at": now()}
    return dumps(tree | said | {"done": True, "done_reason": reason})


def rendered(kind: Kind, model: str, prompt: str) -> bytes:
    """Return the answer to ``_debug_render_only``."""
    said: dict[str, Any] = {"message": {"role": "", "content": ""}} if kind == "chat" else {"response": ""}
    debug = {"done": False, "_debug_info": {"rendered_template": prompt}}
    tree: dict[str, Any] = {"model": model, "created_at": now()}
    return dumps(tree | said | debug)


def _some(name: str, value: Any) -> dict[str, Any]:
    """Return a member that Go leaves out when it is empty."""
    return {name: value} if value else {}
