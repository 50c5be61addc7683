"""Read ``/api/chat`` and ``/api/generate`` as Ollama reads them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from ltmld.errors import WireError
from ltmld.standin import durations
from ltmld.standin.conversation import Conversation, Turn
from ltmld.standin.tools import function_tools
from ltmld.wire import fields
from ltmld.wire.json_text import clean

Tree = Mapping[str, Any]

_LEVELS = ("high", "medium", "low", "max")


def of_chat(tree: Tree) -> Conversation:
    """Read ``/api/chat``.

    Raises:
        WireError: a field has the wrong type.
    """
    turns = tuple(_turn(item) for item in fields.items(tree, "messages"))
    tools = function_tools(fields.items(tree, "tools"))
    return Conversation(turns=turns, tools=tools, **_shared(tree))


def of_generate(tree: Tree) -> Conversation:
    """Read ``/api/generate``.

    Raises:
        WireError: a field has the wrong type.
    """
    system, prompt = fields.text(tree, "system"), fields.text(tree, "prompt")
    pictured = _pictured(fields.items(tree, "images"))
    named = (
        Turn(role="system", text=clean(system)),
        Turn(role="user", text=clean(prompt), pictured=pictured),
    )
    return Conversation(
        turns=tuple(turn for turn in named if turn.text) if prompt else (),
        context=tuple(number for number in fields.items(tree, "context") if isinstance(number, int)),
        raw=fields.flag(tree, "raw"),
        suffix=fields.text(tree, "suffix"),
        **_shared(tree),
    )


def stops(value: Any) -> tuple[str, ...]:
    """Return stop sequences: one text or several."""
    if isinstance(value, str):
        return (value,)
    return tuple(stop for stop in value or () if isinstance(stop, str)) if isinstance(value, list) else ()


def _shared(tree: Tree) -> dict[str, Any]:
    options = fields.members(tree, "options")
    wanted = tree.get("format")
    return {
        "model": fields.text(tree, "model"),
        "stream": fields.flag(tree, "stream", default=True),
        "schema": {} if wanted == "json" else wanted if isinstance(wanted, dict) and wanted else None,
        "think": _think(tree.get("think")),
        "top_logprobs": fields.count(tree, "top_logprobs") or 0 if fields.flag(tree, "logprobs") else None,
        "tokens_max": fields.count(options, "num_predict"),
        "stops": stops(options.get("stop")),
        "truncate": fields.flag(tree, "truncate", default=True),
        "debug_render": fields.flag(tree, "_debug_render_only"),
        "unload": durations.seconds(tree.get("keep_alive")) == 0,
        "request": tree,
    }


def _think(value: Any) -> bool | str | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _LEVELS:
        return value
    quoted = f'"{value}"' if isinstance(value, str) else str(value)
    raise WireError(f'invalid think value: {quoted} (must be "high", "medium", "low", "max", true, or false)')


def _turn(item: Any) -> Turn:
    return Turn(
        role=fields.said(item, "role").lower(),
        text=clean(fields.said(item, "content")),
        pictured=_pictured(fields.listed(item, "images")),
    )


def _pictured(images: Sequence[Any]) -> bool:
    for index, image in enumerate(images):
        try:
            base64.b64decode(image, validate=True)
        except (binascii.Error, ValueError, TypeError) as error:
            raise WireError(
                f"json: cannot unmarshal string into Alias.images.{index} of type api.ImageData: "
                "illegal base64 data at input byte 0"
            ) from error
    return bool(images)
