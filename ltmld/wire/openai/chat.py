"""``POST /v1/chat/completions``: Ollama's OpenAI layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ltmld.core.exchange import Usage
from ltmld.wire import fields, messages
from ltmld.wire.body import Body, rewritten
from ltmld.wire.capture import Capture
from ltmld.wire.fields import listed, said, told
from ltmld.wire.framing import Mark, error_of
from ltmld.wire.json_text import clean
from ltmld.wire.openai import shapes
from ltmld.wire.request import Request
from ltmld.wire.thread_key import thread_key
from ltmld.wire.transcript import Transcript

_JSON_FORMATS = frozenset({"json_object", "json_schema"})


class OpenAiChat:
    """The dialect of ``/v1/chat/completions``."""

    name = "openai.chat"
    takes_zstd = True

    def parse(self, body: bytes) -> Request:
        """Read a request.

        Raises:
            WireError: it is not understood.
        """
        parsed = Body.read(body)
        tree = parsed.tree
        items = fields.items(tree, "messages")
        said_so_far = messages.read(items)
        return Request(
            dialect=self.name,
            model=clean(fields.text(tree, "model")),
            messages=said_so_far,
            stream=fields.flag(tree, "stream"),
            tree=tree,
            system=messages.leading_system(said_so_far),
            debug_render=fields.flag(tree, "_debug_render_only"),
            has_format=said(told(tree, "response_format"), "type") in _JSON_FORMATS,
            has_tools=bool(tree.get("tools")),
            empty=not items,
            reply_tokens_max=fields.count(tree, "max_tokens", "max_completion_tokens"),
            thread_key=thread_key(tree),
            injected=messages.injected(items),
            body=body,
            source=parsed.source,
            root=parsed.root,
        )

    def inject(
        self,
        request: Request,
        *,
        block: str,
        base_system: str,
        notes: Mapping[int, str],
        drop: frozenset[int] = frozenset(),
    ) -> bytes:
        """Return the body with *block* at the end of the system text and *notes* before user messages."""
        made = messages.edits(request, block=block, base_system=base_system, notes=notes, drop=drop)
        return rewritten(request, made)

    def capture(self, *, bytes_max: int) -> Capture:
        """Return a capture of one answer that keeps at most *bytes_max* bytes of it."""
        return Capture(_Reader(bytes_max), bytes_max=bytes_max)

    def error(self, message: str) -> bytes:
        """Return an error body."""
        return shapes.error(message)


class _Reader:
    """Reads the answers of ``/v1/chat/completions``; of several choices only the first."""

    def __init__(self, bytes_max: int) -> None:
        self.transcript = Transcript(bytes_max)

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

    def failed(self, message: str) -> None:
        """Take an error."""
        self.transcript.error = message

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


def _usage(tree: dict[str, Any]) -> Usage:
    return Usage(
        prompt_tokens=fields.count(tree, "prompt_tokens"),
        reply_tokens=fields.count(tree, "completion_tokens"),
    )
