"""One inference request as wake sees it, whatever its dialect."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ltmld.core.message import Message
from ltmld.wire.json_text import Node
from ltmld.wire.places import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A parsed body, and the body itself.

    ``messages`` are in the client's order, system text included, injected blocks stripped; for
    ``generate`` they are ``[system?, user]``; a system text in a field of its own is always the first.
    ``system`` is the text of a leading system message or of that field, ``None`` when the client sent
    none that counts. ``tree`` is the parsed JSON with folded top-level keys. ``empty`` marks a request
    that only loads or unloads the model. ``injected`` tells that a block of ltmld was already there.
    ``thread_key`` is the conversation's name in the body. ``body``, ``source``, ``root`` and, where
    messages are not simply the items of one list, ``places`` serve ``inject``.
    """

    dialect: str
    model: str
    messages: tuple[Message, ...]
    stream: bool
    tree: Mapping[str, Any] = field(repr=False)
    system: str | None = None
    raw: bool = False
    suffix: bool = False
    template: bool = False
    debug_render: bool = False
    has_format: bool = False
    has_tools: bool = False
    empty: bool = False
    context_sha256: str = ""
    thread_key: str = ""
    reply_tokens_max: int | None = None
    injected: bool = False
    body: bytes = field(repr=False)
    source: str = field(repr=False)
    root: Node = field(repr=False)
    places: tuple[Place, ...] = field(default=(), repr=False)


def context_digest(context: object) -> str:
    """Return the name of a ``context`` array: equal for an answer's and the next request's; empty for none."""
    if not isinstance(context, list) or not context:
        return ""
    return hashlib.sha256(",".join(map(str, context)).encode()).hexdigest()
