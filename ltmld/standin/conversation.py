"""What a request asks of the model, whatever its dialect: the prompt as Ollama would put it together.

Rules:
1. The first message decides about the Modelfile's SYSTEM: a client's system message there replaces it.
2. Nothing is taken out: what a proxy put into the request stands in the prompt, and may be answered from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ltmld.core.tokens import estimate
from ltmld.standin.tools import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message: who speaks, the words, and whether there are pictures with it."""

    role: str
    text: str
    pictured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One question to the model.

    *think* is what was asked for: a level, true, false, or ``None`` for the model's own way. *schema* is empty for
    JSON of any shape and ``None`` for free text. *top_logprobs* is ``None`` when no logprobs were asked for.
    """

    model: str
    turns: tuple[Turn, ...]
    stream: bool
    schema: Mapping[str, Any] | None = None
    tools: tuple[Tool, ...] = ()
    think: bool | str | None = None
    top_logprobs: int | None = None
    usage: bool = False
    tokens_max: int | None = None
    stops: tuple[str, ...] = ()
    context: tuple[int, ...] = ()
    raw: bool = False
    suffix: str = ""
    truncate: bool = True
    debug_render: bool = False
    unload: bool = False
    request: Mapping[str, Any] = field(default_factory=dict)

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
        said = sum(estimate(turn.text) + 4 for turn in self.turns)
        return max(1, round(said) + len(self.context))

    @property
    def pictured(self) -> bool:
        """Whether there are pictures in it."""
        return any(turn.pictured for turn in self.turns)

    def under(self, system: str) -> Conversation:
        """Return the conversation with a Modelfile's SYSTEM, where Ollama would use it."""
        if not system or self.raw or self.empty or self.turns[0].role == "system":
            return self
        return replace(self, turns=(Turn(role="system", text=system), *self.turns))
