"""``POST /api/generate``: one prompt, one answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ltmld.core.message import Message, Role
from ltmld.wire import fields
from ltmld.wire.attachments import from_base64
from ltmld.wire.body import Alteration, Body
from ltmld.wire.dialect import Dialect
from ltmld.wire.fields import said
from ltmld.wire.json_text import Edit, Node, clean
from ltmld.wire.ollama import shapes
from ltmld.wire.ollama.shapes import LineReader
from ltmld.wire.places import after, before, member_made
from ltmld.wire.request import Request, context_digest
from ltmld.wire.sentinel import present, strip
from ltmld.wire.structs import Struct


class GenerateReader(LineReader):
    """Reads the answers of ``/api/generate``."""

    def _take(self, tree: dict[str, Any]) -> None:
        transcript = self.transcript
        transcript.add_thinking(said(tree, "thinking"))
        transcript.add_text(said(tree, "response"))
        if tree.get("done") is True:
            transcript.context_sha256 = context_digest(tree.get("context"))


class OllamaGenerate(Dialect):
    """The dialect of ``/api/generate``: no history, so there is nothing to drop."""

    name = "ollama.generate"
    takes_zstd = False
    struct = Struct()
    reader = GenerateReader

    def error(self, message: str) -> bytes:
        """Return an error body."""
        return shapes.error(message)

    def _request(self, parsed: Body) -> Request:
        """Read a request; its messages are the ``system`` field, where it is sent, and the prompt."""
        tree = parsed.tree
        system, prompt = fields.text(tree, "system"), fields.text(tree, "prompt")
        return Request(
            **parsed.common(self.name),
            messages=_messages(tree, system=system, prompt=prompt),
            stream=fields.flag(tree, "stream", default=True),
            system=strip(clean(system)) if system else None,
            raw=fields.flag(tree, "raw"),
            suffix=bool(fields.text(tree, "suffix")),
            template=bool(fields.text(tree, "template")),
            debug_render=fields.flag(tree, "_debug_render_only"),
            has_format=bool(tree.get("format")),
            empty=not prompt,
            context_sha256=context_digest(tree.get("context")),
            reply_tokens_max=fields.count(fields.members(tree, "options"), "num_predict"),
            injected=present(system) or present(prompt),
        )

    def _edits(self, request: Request, alteration: Alteration) -> list[Edit]:
        """Return the edits that put the block at the end of ``system`` and a note before the prompt."""
        made = [_system_edit(request.root, alteration)] if alteration.block else []
        prompt = request.root.member("prompt")
        note = alteration.notes.get(len(request.messages) - 1, "")
        if note and prompt is not None:
            made.append(before(prompt, note))
        return made


def _messages(tree: Mapping[str, Any], *, system: str, prompt: str) -> tuple[Message, ...]:
    images = tuple(from_base64(image) for image in fields.items(tree, "images"))
    asked = Message(role=Role.USER, text=strip(clean(prompt)), attachments=images)
    return (Message(role=Role.SYSTEM, text=strip(clean(system))), asked) if system else (asked,)


def _system_edit(root: Node, alteration: Alteration) -> Edit:
    system = root.member("system")
    if system is not None and system.value:
        return after(system, alteration.block)
    # Empty or null is none: Ollama would use the Modelfile's SYSTEM.
    return member_made(root, "system", alteration.system)
