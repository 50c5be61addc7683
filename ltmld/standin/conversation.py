"""What a request asks of the model, whatever its dialect: the prompt as Ollama would put it together.

Rules:
1. The first message decides about the Modelfile's SYSTEM: a client's system message there replaces it.
2. Nothing is taken out: what a proxy put into the request stands in the prompt, and may be answered from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ltmld.core.tokens import estimate
from ltmld.wire import fields
from ltmld.wire.json_text import clean

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message: who speaks, and the words."""

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One question to the model."""

    model: str
    turns: tuple[Turn, ...]
    stream: bool
    schema: Mapping[str, Any] | None = None
    usage: bool = False
    tokens_max: int | None = None
    debug_render: bool = False
    unload: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to answer: a request that loads or unloads."""
        return not any(turn.role != "system" for turn in self.turns)

    @property
    def question(self) -> str:
        """The last words of a user."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")

    @property
    def prompt(self) -> str:
        """The whole prompt, as a template would render it."""
        return "".join(f"<|{turn.role}|>\n{turn.text}<|end|>\n" for turn in self.turns) + "<|assistant|>\n"

    @property
    def prompt_tokens(self) -> int:
        """An estimate of the prompt's tokens."""
        return max(1, round(sum(estimate(turn.text) + 4 for turn in self.turns)))

    def under(self, system: str) -> Conversation:
        """Return the conversation with a Modelfile's SYSTEM, where Ollama would use it."""
        if not system or self.empty or self.turns[0].role == "system":
            return self
        return replace(self, turns=(Turn(role="system", text=system), *self.turns))


def of_chat(tree: Tree) -> Conversation:
    """Read ``/api/chat``.

    Raises:
        WireError: a field has the wrong type.
    """
    return Conversation(
        model=fields.text(tree, "model"),
        turns=_turns(fields.items(tree, "messages")),
        stream=fields.flag(tree, "stream", default=True),
        schema=_schema(tree.get("format")),
        tokens_max=fields.count(fields.members(tree, "options"), "num_predict"),
        debug_render=fields.flag(tree, "_debug_render_only"),
        unload=_at_once(tree.get("keep_alive")),
    )


def of_generate(tree: Tree) -> Conversation:
    """Read ``/api/generate``.

    Raises:
        WireError: a field has the wrong type.
    """
    system, prompt = fields.text(tree, "system"), fields.text(tree, "prompt")
    named = (Turn(role="system", text=clean(system)), Turn(role="user", text=clean(prompt)))
    return Conversation(
        model=fields.text(tree, "model"),
        turns=tuple(turn for turn in named if turn.text) if prompt else (),
        stream=fields.flag(tree, "stream", default=True),
        schema=_schema(tree.get("format")),
        tokens_max=fields.count(fields.members(tree, "options"), "num_predict"),
        debug_render=fields.flag(tree, "_debug_render_only"),
        unload=_at_once(tree.get("keep_alive")),
    )


def of_openai(tree: Tree) -> Conversation:
    """Read ``/v1/chat/completions``.

    Raises:
        WireError: a field has the wrong type.
    """
    wanted = fields.members(tree, "response_format")
    return Conversation(
        model=fields.text(tree, "model"),
        turns=_turns(fields.items(tree, "messages")),
        stream=fields.flag(tree, "stream"),
        schema=_schema(fields.told(fields.told(wanted, "json_schema"), "schema")),
        usage=fields.members(tree, "stream_options").get("include_usage") is True,
        tokens_max=fields.count(tree, "max_tokens"),
    )


def _turns(items: Sequence[Any]) -> tuple[Turn, ...]:
    return tuple(Turn(role=fields.said(item, "role").lower(), text=clean(_words(item))) for item in items)


def _words(item: Any) -> str:
    parts = fields.listed(item, "content")
    return "\n\n".join(fields.said(part, "text") for part in parts) if parts else fields.said(item, "content")


def _at_once(keep_alive: Any) -> bool:
    """Tell whether the model is to be unloaded: 0, or a duration of nothing such as ``0s``."""
    if isinstance(keep_alive, str):
        return keep_alive.rstrip("hmsuµn") == "0"
    return keep_alive == 0 and keep_alive is not False


def _schema(wanted: Any) -> Mapping[str, Any] | None:
    return wanted if isinstance(wanted, dict) and wanted else None
