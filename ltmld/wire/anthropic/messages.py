"""``POST /v1/messages``: Anthropic's conversation, as Ollama speaks it.

Rules:
1. The block goes to the end of the system text: into its last block, or, where the client marked that one for
   a cache of its own (``cache_control``), into a new block behind it. Ollama joins blocks without anything
   between them, so the gap is always written.
2. There is never a second system message for the sake of a block.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import orjson

from ltmld.core.message import Message, Role
from ltmld.wire import fields
from ltmld.wire.anthropic import blocks
from ltmld.wire.anthropic.events import MessageReader
from ltmld.wire.body import Body, rewritten
from ltmld.wire.capture import Capture
from ltmld.wire.fields import told
from ltmld.wire.json_text import Edit, Node, clean, literal
from ltmld.wire.places import ELSEWHERE, after, appended, prefixed, removed
from ltmld.wire.request import Request
from ltmld.wire.sentinel import GAP, present, strip
from ltmld.wire.thread_key import thread_key

# As long as the ids of Ollama's own errors.
_REQUEST_ID_BYTES = 12


class AnthropicMessages:
    """The dialect of ``/v1/messages``."""

    name = "anthropic.messages"
    takes_zstd = True

    def parse(self, body: bytes) -> Request:
        """Read a request; its messages are the system text, where one is sent, and the conversation.

        Raises:
            WireError: it is not understood.
        """
        parsed = Body.read(body)
        tree = parsed.tree
        system = blocks.words_of(tree.get("system"))
        placed = blocks.read(fields.items(tree, "messages"))
        empty = not placed
        if system:
            placed = [(Message(role=Role.SYSTEM, text=strip(clean(system))), ELSEWHERE), *placed]
        said_so_far = tuple(message for message, _ in placed)
        first = said_so_far[0] if said_so_far else None
        return Request(
            dialect=self.name,
            model=clean(fields.text(tree, "model")),
            messages=said_so_far,
            places=tuple(place for _, place in placed),
            stream=fields.flag(tree, "stream"),
            tree=tree,
            system=first.text if first is not None and first.role is Role.SYSTEM else None,
            has_format=bool(told(tree, "output_format") or told(told(tree, "output_config"), "format")),
            has_tools=bool(tree.get("tools")),
            empty=empty,
            reply_tokens_max=fields.count(tree, "max_tokens"),
            thread_key=thread_key(tree),
            injected=present(system) or _injected(parsed.root.member("messages"), placed),
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
        node = request.root.member("messages")
        if node is None or request.empty:
            return request.body
        edits = removed(node, request.places, drop)
        if block:
            edits.append(_system(request, node, block=block, base_system=base_system, drop=drop))
        edits += [
            prefixed(node.items[request.places[index].items[0]], note, part="text")
            for index, note in notes.items()
            if note and index not in drop and request.places[index].items
        ]
        return rewritten(request, edits)

    def capture(self, *, bytes_max: int) -> Capture:
        """Return a capture of one answer that keeps at most *bytes_max* bytes of it."""
        return Capture(MessageReader(bytes_max), bytes_max=bytes_max)

    def error(self, message: str) -> bytes:
        """Return an error body."""
        error = {"type": "api_error", "message": message}
        request_id = f"req_{secrets.token_hex(_REQUEST_ID_BYTES)}"
        return orjson.dumps({"type": "error", "error": error, "request_id": request_id}) + b"\n"


def _injected(items: Node | None, placed: list[blocks.Placed]) -> bool:
    """Tell whether a block stands where one is put: in a system message, or before the last user message's words."""
    if items is None:
        return False
    roles = {Role.SYSTEM: 0, Role.USER: -1}
    for role, which in roles.items():
        standing = [place.items[0] for message, place in placed if message.role is role and place.items]
        if standing and present(blocks.words_of(items.items[standing[which]].value.get("content"))):
            return True
    return False


def _system(request: Request, items: Node, *, block: str, base_system: str, drop: frozenset[int]) -> Edit:
    """Return the edit that puts *block* at the end of the system text, which is made when there is none."""
    field = request.root.member("system")
    if request.places[0] is ELSEWHERE and field is not None:
        return after(field, block) if isinstance(field.value, str) else _last_block(field, block)
    kept = [index for index in range(len(request.messages)) if index not in drop]
    systems = [index for index in kept if request.messages[index].role is Role.SYSTEM]
    if systems and (systems[0] == kept[0] or not base_system):
        return appended(items.items[request.places[systems[0]].items[0]], block, part="text")
    made = GAP.join(text for text in (base_system, block) if text)
    if field is not None and isinstance(field.value, list):
        return _new_block(field, made)
    void = request.root.last("system")
    if void is not None:
        return Edit(void.end, void.end, f',"system":{literal(made)}')
    return Edit(request.root.start + 1, request.root.start + 1, f'"system":{literal(made)},')


def _last_block(field: Node, block: str) -> Edit:
    last = field.items[-1]
    text = last.member("text") if blocks.is_text(last.value) else None
    if text is None or not isinstance(text.value, str) or last.member("cache_control") is not None:
        return _new_block(field, GAP + block)
    # An empty block behind others still ends a text that has words.
    return Edit(text.end - 1, text.end - 1, literal(GAP + block)[1:-1])


def _new_block(field: Node, text: str) -> Edit:
    made: str = f'{{"type":"text","text":{literal(text)}}}'
    if not field.items:
        return Edit(field.end - 1, field.end - 1, made)
    return Edit(field.items[-1].end, field.items[-1].end, "," + made)
