"""``POST /api/generate``: one prompt, one answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ltmld.core.message import Message, Role
from ltmld.wire import fields
from ltmld.wire.attachments import from_base64
from ltmld.wire.body import Body, rewritten
from ltmld.wire.capture import Capture
from ltmld.wire.fields import said
from ltmld.wire.framing import Mark, error_of
from ltmld.wire.json_text import Edit, Node, clean, literal
from ltmld.wire.ollama.usage import usage
from ltmld.wire.places import after, before
from ltmld.wire.request import Request, context_digest
from ltmld.wire.sentinel import GAP, present, strip
from ltmld.wire.thread_key import thread_key
from ltmld.wire.transcript import Transcript


class OllamaGenerate:
    """The dialect of ``/api/generate``."""

    name = "ollama.generate"
    takes_zstd = False

    def parse(self, body: bytes) -> Request:
        """Read a request; its messages are the ``system`` field, where it is sent, and the prompt.

        Raises:
            WireError: it is not understood.
        """
        parsed = Body.read(body)
        tree = parsed.tree
        system, prompt = fields.text(tree, "system"), fields.text(tree, "prompt")
        return Request(
            dialect=self.name,
            model=clean(fields.text(tree, "model")),
            messages=_messages(tree, system=system, prompt=prompt),
            stream=fields.flag(tree, "stream", default=True),
            tree=tree,
            system=strip(clean(system)) if system else None,
            raw=fields.flag(tree, "raw"),
            suffix=bool(fields.text(tree, "suffix")),
            template=bool(fields.text(tree, "template")),
            debug_render=fields.flag(tree, "_debug_render_only"),
            has_format=bool(tree.get("format")),
            empty=not prompt,
            thread_key=thread_key(tree),
            context_sha256=context_digest(tree.get("context")),
            reply_tokens_max=fields.count(fields.members(tree, "options"), "num_predict"),
            injected=present(system) or present(prompt),
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
        drop: frozenset[int] = frozenset(),  # noqa: ARG002 - one prompt and no history: there is nothing to drop
    ) -> bytes:
        """Return the body with *block* at the end of ``system`` and a note before the prompt."""
        edits: list[Edit] = []
        if block and not request.empty:
            edits.append(_system_edit(request.root, block=block, base_system=base_system))
        prompt = request.root.member("prompt")
        note = notes.get(len(request.messages) - 1, "")
        if note and prompt is not None and not request.empty:
            edits.append(before(prompt, note))
        return rewritten(request, edits)

    def capture(self, *, bytes_max: int) -> Capture:
        """Return a capture of one answer that keeps at most *bytes_max* bytes of it."""
        return Capture(_Reader(bytes_max), bytes_max=bytes_max)

    def error(self, message: str) -> bytes:
        """Return an error body."""
        return orjson.dumps({"error": message})


class _Reader:
    """Reads the answers of ``/api/generate``."""

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
        transcript.model = said(tree, "model") or transcript.model
        transcript.add_thinking(said(tree, "thinking"))
        transcript.add_text(said(tree, "response"))
        if tree.get("done") is True:
            transcript.done_reason = said(tree, "done_reason")
            transcript.usage = usage(tree)
            transcript.context_sha256 = context_digest(tree.get("context"))


def _messages(tree: Mapping[str, Any], *, system: str, prompt: str) -> tuple[Message, ...]:
    images = tuple(from_base64(image) for image in fields.items(tree, "images"))
    asked = Message(role=Role.USER, text=strip(clean(prompt)), attachments=images)
    return (Message(role=Role.SYSTEM, text=strip(clean(system))), asked) if system else (asked,)


def _system_edit(root: Node, *, block: str, base_system: str) -> Edit:
    system = root.member("system")
    if system is not None and system.value:
        return after(system, block)
    made = literal(GAP.join(text for text in (base_system, block) if text))
    void = root.last("system")  # empty or null: Ollama would use the Modelfile's SYSTEM
    if void is not None:
        return Edit(void.end, void.end, f',"system":{made}')
    return Edit(root.start + 1, root.start + 1, f'"system":{made},')
