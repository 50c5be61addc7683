"""``POST /v1/messages``: Anthropic's conversation, as Ollama speaks it.

Rules:
1. The block goes to the end of the system text: into its last block, or, where the client marked that one for
   a cache of its own (``cache_control``), into a new block behind it. Ollama joins blocks without anything
   between them, so the gap is always written.
2. There is never a second system message for the sake of a block.
"""

from __future__ import annotations

import secrets
from typing import Any

import orjson

from ltmld.core.message import Message, Role
from ltmld.wire import fields
from ltmld.wire.anthropic import blocks
from ltmld.wire.anthropic.events import MessageReader
from ltmld.wire.body import Alteration, Body
from ltmld.wire.dialect import Dialect
from ltmld.wire.fields import told
from ltmld.wire.json_text import Edit, Node, clean, literal
from ltmld.wire.messages import leading_system
from ltmld.wire.places import ELSEWHERE, after, appended, member_made, part_made, prefixed, removed
from ltmld.wire.request import Request
from ltmld.wire.sentinel import GAP, present, strip
from ltmld.wire.structs import Struct

# A message's content is raw to the first reading: a null empties it. A result's own content is an any, of maps.
_BLOCK = Struct(members={"source": Struct()}, emptied=frozenset({"content"}))
_MESSAGE = Struct(members={"content": _BLOCK}, emptied=frozenset({"content"}))

# As long as the ids of Ollama's own errors.
_REQUEST_ID_BYTES = 12


class AnthropicMessages(Dialect):
    """The dialect of ``/v1/messages``."""

    name = "anthropic.messages"
    takes_zstd = True
    struct = Struct(
        members={"messages": _MESSAGE, "system": Struct(exact=True), "output_config": Struct()},
        emptied=frozenset({"system"}),
    )
    reader = MessageReader

    def error(self, message: str) -> bytes:
        """Return an error body."""
        error = {"type": "api_error", "message": message}
        request_id = f"req_{secrets.token_hex(_REQUEST_ID_BYTES)}"
        return orjson.dumps({"type": "error", "error": error, "request_id": request_id}) + b"\n"

    def _request(self, parsed: Body) -> Request:
        """Read a request; its messages are the system text, where one is sent, and the conversation."""
        tree = parsed.tree
        system = blocks.words_of(tree.get("system"))
        placed = blocks.read(fields.items(tree, "messages"))
        empty = not placed
        if system:
            placed = [(Message(role=Role.SYSTEM, text=strip(clean(system))), ELSEWHERE), *placed]
        said_so_far = tuple(message for message, _ in placed)
        return Request(
            **parsed.common(self.name),
            messages=said_so_far,
            places=tuple(place for _, place in placed),
            stream=fields.flag(tree, "stream"),
            system=leading_system(said_so_far),
            has_format=bool(told(tree, "output_format") or told(told(tree, "output_config"), "format")),
            has_tools=bool(tree.get("tools")),
            empty=empty,
            reply_tokens_max=fields.count(tree, "max_tokens"),
            injected=present(system) or _injected(fields.items(tree, "messages"), placed),
        )

    def _edits(self, request: Request, alteration: Alteration) -> list[Edit]:
        node = request.root.member("messages")
        if node is None:
            return []
        edits = removed(node, request.places, alteration.drop)
        if alteration.block:
            edits.append(_system(request, node, alteration))
        return edits + [
            prefixed(node.items[request.places[index].items[0]], note, part="text")
            for index, note in alteration.staying_notes
            if request.places[index].items
        ]


def _injected(items: list[Any], placed: list[blocks.Placed]) -> bool:
    """Tell whether a block stands where one is put: in a system message, or before the last user message's words."""
    roles = {Role.SYSTEM: 0, Role.USER: -1}
    for role, which in roles.items():
        standing = [place.items[0] for message, place in placed if message.role is role and place.items]
        if standing and present(blocks.words_of(items[standing[which]].get("content"))):
            return True
    return False


def _system(request: Request, items: Node, alteration: Alteration) -> Edit:
    """Return the edit that puts the block at the end of the system text, which is made when there is none."""
    block = alteration.block
    field = request.root.member("system")
    if request.places[0] is ELSEWHERE and field is not None:
        return after(field, block) if isinstance(field.value, str) else _last_block(field, block)
    kept = [index for index in range(len(request.messages)) if index not in alteration.drop]
    systems = [index for index in kept if request.messages[index].role is Role.SYSTEM]
    if systems and (systems[0] == kept[0] or not alteration.base_system):
        return appended(items.items[request.places[systems[0]].items[0]], block, part="text")
    if field is not None and isinstance(field.value, list):
        return _new_block(field, alteration.system)
    return member_made(request.root, "system", alteration.system)


def _last_block(field: Node, block: str) -> Edit:
    last = field.items[-1]
    text = last.member("text") if blocks.is_text(last.value) else None
    if text is None or not isinstance(text.value, str) or last.member("cache_control") is not None:
        return _new_block(field, GAP + block)
    # An empty block behind others still ends a text that has words.
    return Edit(text.end - 1, text.end - 1, literal(GAP + block)[1:-1])


def _new_block(field: Node, text: str) -> Edit:
    return part_made(field, text, at=len(field.items), part="text")
