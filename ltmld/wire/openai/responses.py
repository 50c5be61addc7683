"""``POST /v1/responses``: OpenAI's newer conversation, as Ollama speaks it.

Rules:
1. ``instructions`` come back to the client in every event that holds the response, and so do tools, format and
   limits: nothing is ever written there. Memory goes into the input, which no answer shows.
2. The block stands before the words of the first user message, on every request of the conversation: what is
   before it never changes, so Ollama's cache goes on working, and the Modelfile's SYSTEM stays in force.
"""

from __future__ import annotations

from collections.abc import Mapping

from ltmld.core.message import Message, Role
from ltmld.errors import WireError
from ltmld.wire import fields
from ltmld.wire.body import Body, rewritten
from ltmld.wire.capture import Capture
from ltmld.wire.fields import said, told
from ltmld.wire.json_text import Edit, Node, clean
from ltmld.wire.openai import shapes
from ltmld.wire.openai.items import InputItems
from ltmld.wire.openai.response_events import ResponseReader
from ltmld.wire.places import ELSEWHERE, Place, before, prefixed, removed, text_nodes
from ltmld.wire.request import Request
from ltmld.wire.sentinel import GAP, present, strip
from ltmld.wire.thread_key import thread_key

_JSON_FORMATS = frozenset({"json_object", "json_schema"})


class OpenAiResponses:
    """The dialect of ``/v1/responses``."""

    name = "openai.responses"
    takes_zstd = True

    def parse(self, body: bytes) -> Request:
        """Read a request; its messages are the instructions, where they are sent, and what the input says.

        Raises:
            WireError: it is not understood.
        """
        parsed = Body.read(body)
        tree = parsed.tree
        instructions = fields.text(tree, "instructions")
        said_so_far, places = _conversation(tree.get("input"), instructions=instructions)
        first = said_so_far[0] if said_so_far else None
        return Request(
            dialect=self.name,
            model=clean(fields.text(tree, "model")),
            messages=said_so_far,
            places=places,
            stream=fields.flag(tree, "stream"),
            tree=tree,
            system=first.text if first is not None and first.role is Role.SYSTEM else None,
            has_format=said(told(told(tree, "text"), "format"), "type") in _JSON_FORMATS,
            has_tools=bool(tree.get("tools")),
            empty=not said_so_far,
            reply_tokens_max=fields.count(tree, "max_output_tokens"),
            thread_key=thread_key(tree),
            injected=present(instructions) or _injected(parsed.root.member("input"), said_so_far, places),
            body=body,
            source=parsed.source,
            root=parsed.root,
        )

    def inject(
        self,
        request: Request,
        *,
        block: str,
        base_system: str,  # noqa: ARG002 - no system text is made, so that the Modelfile's own stays in force
        notes: Mapping[int, str],
        drop: frozenset[int] = frozenset(),
    ) -> bytes:
        """Return the body with *block* before the first user message's words, and *notes* before theirs."""
        node = request.root.member("input")
        if node is None or request.empty:
            return request.body
        prefixes = {index: note for index, note in notes.items() if note}
        asked = [index for index in _users(request.messages) if index not in drop]
        if block and asked:
            prefixes[asked[0]] = GAP.join((block, *filter(None, [notes.get(asked[0])])))
        if isinstance(node.value, str):
            return rewritten(request, [before(node, text) for text in prefixes.values()])
        edits = removed(node, request.places, drop)
        for index in asked:
            if index in prefixes:
                edits.append(_prefixed(node, request.places[index], prefixes[index]))
        return rewritten(request, edits)

    def capture(self, *, bytes_max: int) -> Capture:
        """Return a capture of one answer that keeps at most *bytes_max* bytes of it."""
        return Capture(ResponseReader(bytes_max), bytes_max=bytes_max)

    def error(self, message: str) -> bytes:
        """Return an error body."""
        return shapes.error(message)


def _conversation(asked: object, *, instructions: str) -> tuple[tuple[Message, ...], tuple[Place, ...]]:
    found = InputItems()
    if instructions:
        found.messages.append(Message(role=Role.SYSTEM, text=strip(clean(instructions))))
        found.places.append(ELSEWHERE)
    if isinstance(asked, list):
        found.take(asked)
    elif isinstance(asked, str) and asked:
        found.messages.append(Message(role=Role.USER, text=strip(clean(asked))))
        found.places.append(ELSEWHERE)
    elif asked is not None and not isinstance(asked, str):
        raise WireError("the input is neither text nor a list of items; the body passes untouched")
    return tuple(found.messages), tuple(found.places)


def _users(messages: tuple[Message, ...]) -> list[int]:
    return [index for index, message in enumerate(messages) if message.role is Role.USER]


def _injected(node: Node | None, messages: tuple[Message, ...], places: tuple[Place, ...]) -> bool:
    """Tell whether a block stands where one is put: before the first user message's words, or the last one's."""
    if node is None:
        return False
    if isinstance(node.value, str):
        return present(node.value)
    asked = _users(messages)
    ends = {asked[0], asked[-1]} if asked else set()
    texts = (text for index in ends for text in text_nodes(node.items[places[index].items[0]]))
    return any(present(text.value) for text in texts)


def _prefixed(items: Node, place: Place, text: str) -> Edit:
    return prefixed(items.items[place.items[0]], text, part="input_text")
