"""A conversation in a list of ``messages``: what ``/api/chat`` and ``/v1/chat/completions`` have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from ltmld.wire import fields, messages
from ltmld.wire.body import Alteration, Body
from ltmld.wire.dialect import Dialect
from ltmld.wire.fields import Tree
from ltmld.wire.json_text import Edit
from ltmld.wire.request import Request


class ChatDialect(Dialect):
    """A dialect whose messages are simply the items of a list."""

    streams: ClassVar[bool]
    """Whether an answer is streamed to a client that does not say."""

    @abstractmethod
    def _has_format(self, tree: Tree) -> bool:
        """Tell whether the answer is to be JSON."""

    @abstractmethod
    def _reply_tokens_max(self, tree: Tree) -> int | None:
        """Return the most tokens that the client wants, ``None`` where it does not say."""

    def _request(self, parsed: Body) -> Request:
        tree = parsed.tree
        items = fields.items(tree, "messages")
        said_so_far = messages.read(items)
        return Request(
            **parsed.common(self.name),
            messages=said_so_far,
            stream=fields.flag(tree, "stream", default=self.streams),
            system=messages.leading_system(said_so_far),
            debug_render=fields.flag(tree, "_debug_render_only"),
            has_format=self._has_format(tree),
            has_tools=bool(tree.get("tools")),
            empty=not items,
            reply_tokens_max=self._reply_tokens_max(tree),
            injected=messages.injected(items),
        )

    def _edits(self, request: Request, alteration: Alteration) -> list[Edit]:
        node = request.root.member("messages")
        return [] if node is None else messages.edits(node, alteration)
