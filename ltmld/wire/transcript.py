"""A reply that grows piece by piece, up to a limit.

Rules:
1. Text and thinking together never exceed ``bytes_max``: what comes later is relayed and not kept.
2. A block of ltmld that the model repeats is left out, as it is where the client sends the reply back.
3. Where the limit falls inside a character, the whole character is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ltmld.core.exchange import Reply, Usage
from ltmld.core.message import ToolCall
from ltmld.wire.sentinel import strip

# More calls than any model makes in one answer; beyond it they are relayed and not kept.
_TOOL_CALLS_MAX = 256


@dataclass(slots=True)
class _Call:
    """A tool call that may still be growing."""

    name: str
    arguments: str
    id: str


@dataclass(slots=True)
class Transcript:
    """What has come so far."""

    room_bytes: int
    model: str = ""
    done_reason: str = ""
    error: str = ""
    context_sha256: str = ""
    usage: Usage = field(default_factory=Usage)
    _text: list[str] = field(default_factory=list)
    _thinking: list[str] = field(default_factory=list)
    _calls: dict[int, _Call] = field(default_factory=dict)

    def add_text(self, piece: str) -> None:
        """Add a piece of the answer."""
        self._text.append(self._fitting(piece))

    def add_thinking(self, piece: str) -> None:
        """Add a piece of the thinking before it."""
        self._thinking.append(self._fitting(piece))

    def add_call(self, index: int, *, name: str, arguments: str, call_id: str) -> None:
        """Add a tool call, or the next piece of the arguments of the call at *index*."""
        arguments = self._fitting(arguments)
        call = self._calls.get(index)
        if call is not None:
            call.name = call.name or name
            call.id = call.id or call_id
            call.arguments += arguments
        elif len(self._calls) < _TOOL_CALLS_MAX:
            self._calls[index] = _Call(name=name, arguments=arguments, id=call_id)

    def settle_call(self, index: int, *, name: str, arguments: str, call_id: str) -> None:
        """Take a tool call as a whole: where its arguments have come in pieces already, they are not taken twice."""
        known = index in self._calls and self._calls[index].arguments
        self.add_call(index, name=name, arguments="" if known else arguments, call_id=call_id)

    def has_call(self, index: int) -> bool:
        """Tell whether a tool call is growing at *index*."""
        return index in self._calls

    @property
    def begun(self) -> bool:
        """Whether anything of an answer has come."""
        return bool(self._text or self._thinking or self._calls)

    @property
    def calls(self) -> int:
        """How many tool calls there are."""
        return len(self._calls)

    def reply(self) -> Reply:
        """Return what came, as far as it came."""
        return Reply(
            text=strip("".join(self._text)),
            thinking=strip("".join(self._thinking)),
            tool_calls=tuple(
                ToolCall(name=call.name, arguments=call.arguments, id=call.id)
                for _, call in sorted(self._calls.items())
            ),
            model=self.model,
            done_reason=self.done_reason,
            usage=self.usage,
            error=self.error,
            context_sha256=self.context_sha256,
        )

    def _fitting(self, piece: str) -> str:
        size = len(piece) if piece.isascii() else len(piece.encode("utf-8", "replace"))
        if size > self.room_bytes:
            kept = piece.encode("utf-8", "replace")[: max(self.room_bytes, 0)]
            self.room_bytes = 0
            return kept.decode("utf-8", "ignore")
        self.room_bytes -= size
        return piece
