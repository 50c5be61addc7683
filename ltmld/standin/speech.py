"""What the stand-in says to one question, before any dialect writes it down: thoughts, words, calls, and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from ltmld.standin.conversation import Conversation
from ltmld.standin.tools import Call

TOKENS_PER_S = 1000

# Any numbers do, as long as they are the same each time and the sum of their powers is not above one.
_LOGPROB, _LOGPROB_NEXT = -0.125, -2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is to be said, whole: a script may return it instead of plain text."""

    text: str = ""
    thinking: str = ""
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing said on the way: a token of thought, or a token of text, or all calls."""

    thinking: str = ""
    text: str = ""
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """One finished answer; *number* tells it from others where ids are needed."""

    asked: Conversation
    thoughts: Sequence[str] = ()
    tokens: Sequence[str] = ()
    calls: tuple[Call, ...] = ()
    reason: str = "stop"
    prompt_tokens: int = 0
    number: int = 0

    @property
    def model(self) -> str:
        """The model's name as the client spelled it."""
        return self.asked.model

    @property
    def text(self) -> str:
        """The answer in one piece."""
        return "".join(self.tokens)

    @property
    def thinking(self) -> str:
        """The thoughts in one piece."""
        return "".join(self.thoughts)

    @cached_property
    def steps(self) -> Sequence[Step]:
        """The answer in the order it comes."""
        return [
            *(Step(thinking=thought) for thought in self.thoughts),
            *(Step(text=token) for token in self.tokens if token or not self.calls),
            *((Step(calls=self.calls),) if self.calls else ()),
        ]

    @property
    def in_one_step(self) -> Step:
        """The answer, whole."""
        return Step(text=self.text, thinking=self.thinking, calls=self.calls)

    @property
    def reply_tokens(self) -> int:
        """How many tokens were said."""
        return len(self.thoughts) + len(self.tokens) + 8 * len(self.calls)

    @property
    def durations(self) -> dict[str, int]:
        """The numbers of a native last line, durations in nanoseconds."""
        prompt_ns = 20_000 * self.prompt_tokens
        reply_ns = 10**9 // TOKENS_PER_S * self.reply_tokens
        return {
            "total_duration": prompt_ns + reply_ns + 2_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": self.prompt_tokens,
            "prompt_eval_duration": prompt_ns,
            "eval_count": self.reply_tokens,
            "eval_duration": reply_ns,
        }

    def logprobs(self, tokens: Sequence[str]) -> list[dict[str, Any]]:
        """Return the made-up probabilities of *tokens*, empty when they were not asked for."""
        wanted = self.asked.top_logprobs
        if wanted is None:
            return []
        return [_probability(token) | _others(token, wanted) for token in tokens if token]

    def call_id(self, index: int) -> str:
        """Return the id of one of the calls, as Ollama makes them: ``call_`` and eight letters or digits."""
        digest = sha256(f"{self.number}/{index}".encode()).hexdigest()
        return f"call_{digest[:8]}"


def _probability(token: str, logprob: float = _LOGPROB) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _others(token: str, wanted: int) -> dict[str, Any]:
    best = [_probability(token), _probability("!", _LOGPROB_NEXT)][:wanted]
    return {"top_logprobs": best} if best else {}
