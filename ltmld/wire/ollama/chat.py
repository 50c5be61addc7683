"""``POST /api/chat``: Ollama's own conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ltmld.wire import fields, messages
from ltmld.wire.body import Body, rewritten
from ltmld.wire.capture import Capture
from ltmld.wire.fields import listed, said, spelled, told
from ltmld.wire.framing import Mark, error_of
from ltmld.wire.json_text import clean
from ltmld.wire.ollama.usage import usage
from ltmld.wire.request import Request
from ltmld.wire.thread_key import thread_key
from ltmld.wire.transcript import Transcript


class OllamaChat:
    """The dialect of ``/api/chat``."""

    name = "ollama.chat"
    takes_zstd = False

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
            stream=fields.flag(tree, "stream", default=True),
            tree=tree,
            system=messages.leading_system(said_so_far),
            debug_render=fields.flag(tree, "_debug_render_only"),
            has_format=bool(tree.get("format")),
            has_tools=bool(tree.get("tools")),
            empty=not items,
            reply_tokens_max=fields.count(fields.members(tree, "options"), "num_predict"),
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
        return orjson.dumps({"error": message})


class _Reader:
    """Reads the answers of ``/api/chat``."""

    def __init__(self, bytes_max: int) -> None:
        self.transcript = Transcript(bytes_max)

    def piece(self, tree: dict[str, Any]) -> Mark:
        """Take one line."""
        if message := error_of(tree):
            self.transcript.error = message
            return Mark.MORE
        self._take(tree)
        return Mark.END if tree.get("done") is True else Mark.MORE

    def whole(self, tree: dict[str, Any]) -> None:
        """Take a whole answer."""
        self._take(tree)

    def failed(self, message: str) -> None:
        """Take an error."""
        self.transcript.error = message

    def _take(self, tree: dict[str, Any]) -> None:
        transcript = self.transcript
        message = told(tree, "message")
        transcript.model = said(tree, "model") or transcript.model
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
        if tree.get("done") is True:
            transcript.done_reason = said(tree, "done_reason")
            transcript.usage = usage(tree)
