"""``POST /v1/responses``: OpenAI's newer conversation, as Ollama speaks it.

Rules:
1. ``instructions`` come back to the client in every event that holds the response, and so do tools, format and
   limits: nothing is ever written there. Memory goes into the input, which no answer shows.
2. The block stands before the words of the first user message, on every request of the conversation: what is
   before it never changes, so Ollama's cache goes on working, and the Modelfile's SYSTEM stays in force.
"""

from __future__ import annotations

from ltmld.core.message import Message, Role
from ltmld.errors import WireError
from ltmld.wire import fields
from ltmld.wire.body import Alteration, Body
from ltmld.wire.dialect import Dialect
from ltmld.wire.fields import told
from ltmld.wire.json_text import Edit, Node, clean
from ltmld.wire.messages import leading_system
from ltmld.wire.openai import shapes
from ltmld.wire.openai.items import InputItems
from ltmld.wire.openai.response_events import ResponseReader
from ltmld.wire.places import ELSEWHERE, Place, before, prefixed, removed, texts_of
from ltmld.wire.request import Request
from ltmld.wire.sentinel import GAP, present, strip
from ltmld.wire.structs import Struct

_CONTENT = Struct()
# Content and output are raw to the first reading, so that a null empties them; so is a text that is the input.
_ITEM = Struct(
    members={"content": _CONTENT, "output": _CONTENT, "summary": _CONTENT},
    emptied=frozenset({"content", "output"}),
)


class OpenAiResponses(Dialect):
    """The dialect of ``/v1/responses``."""

    name = "openai.responses"
    takes_zstd = True
    struct = Struct(
        members={"input": _ITEM, "text": Struct(members={"format": Struct()})}, emptied=frozenset({"input"})
    )
    reader = ResponseReader

    def error(self, message: str) -> bytes:
        """Return an error body."""
        return shapes.error(message)

    def _request(self, parsed: Body) -> Request:
        """Read a request; its messages are the instructions, where they are sent, and what the input says."""
        tree = parsed.tree
        instructions = fields.text(tree, "instructions")
        said_so_far, places = _conversation(tree.get("input"), instructions=instructions)
        return Request(
            **parsed.common(self.name),
            messages=said_so_far,
            places=places,
            stream=fields.flag(tree, "stream"),
            system=leading_system(said_so_far),
            has_format=shapes.wants_json(told(told(tree, "text"), "format")),
            has_tools=bool(tree.get("tools")),
            empty=not said_so_far,
            reply_tokens_max=fields.count(tree, "max_output_tokens"),
            injected=present(instructions) or _injected(tree.get("input"), said_so_far, places),
        )

    def _edits(self, request: Request, alteration: Alteration) -> list[Edit]:
        """Return the edits that put the block before the first user message's words, and notes before theirs.

        No system text is made, so that the Modelfile's own stays in force.
        """
        node = request.root.member("input")
        if node is None:
            return []
        prefixes = {index: note for index, note in alteration.notes.items() if note}
        asked = [index for index in _users(request.messages) if index not in alteration.drop]
        if alteration.block and asked:
            note = prefixes.get(asked[0])
            prefixes[asked[0]] = f"{alteration.block}{GAP}{note}" if note else alteration.block
        if isinstance(node.value, str):
            return [before(node, text) for text in prefixes.values()]
        return removed(node, request.places, alteration.drop) + [
            _prefixed(node, request.places[index], prefixes[index]) for index in asked if index in prefixes
        ]


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


def _injected(asked: object, messages: tuple[Message, ...], places: tuple[Place, ...]) -> bool:
    """Tell whether a block stands where one is put: before the first user message's words, or the last one's."""
    if isinstance(asked, str):
        return present(asked)
    users = _users(messages)
    if not isinstance(asked, list) or not users:
        return False
    contents = (asked[places[index].items[0]].get("content") for index in {users[0], users[-1]})
    return any(present(text) for content in contents for text in texts_of(content))


def _prefixed(items: Node, place: Place, text: str) -> Edit:
    return prefixed(items.items[place.items[0]], text, part="input_text")
