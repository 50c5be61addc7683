"""From a conversation to an answer on its way: words, thoughts, calls, and the pieces of a stream.

Rules:
1. What the script says is said; else a tool that the question names is called; else a schema is filled; else the
   prompt answers (``answers``).
2. A model that can think does, unless it is told not to.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from ltmld.standin import refusals, shapes
from ltmld.standin.answers import answer
from ltmld.standin.conversation import Conversation
from ltmld.standin.dialects import Dialect
from ltmld.standin.extraction import Fact, fill
from ltmld.standin.faults import Fault
from ltmld.standin.native_shapes import RUNNER_DIED
from ltmld.standin.response import Pieces, Response
from ltmld.standin.speech import Answer, Spoken
from ltmld.standin.tools import calls
from ltmld.wire.sentinel import strip

Script = Mapping[str, str | Answer] | Callable[[Conversation], str | Answer | None]

_TOKEN = re.compile(r"\s*\S+\s*\Z|\s*\S+")


@dataclass(slots=True, kw_only=True)
class Inference:
    """What the stand-in answers with, and how fast."""

    facts: Sequence[Fact] = ()
    script: Script | None = None
    token_delay_s: float = 0.0
    faults: deque[Fault] = field(default_factory=deque)
    _numbers: count[int] = field(default_factory=count)

    def respond(self, dialect: Dialect, asked: Conversation, *, thinks: bool) -> Response:
        """Answer one conversation; *thinks* says that the model can."""
        fault = self.faults.popleft() if self.faults else Fault.NONE
        if refused := _failed(dialect, fault, stream=asked.stream):
            return refused
        if fault is Fault.HANG:
            return Response(media=shapes.NDJSON, body=_silence(), inference=True)
        spoken = self._spoken(asked, broken=fault is Fault.BROKEN_JSON, thinks=thinks)
        writing = dialect.write(spoken)
        if not asked.stream:
            return self._whole(writing, spoken, cut=fault is Fault.CUT)
        pieces = _broken(writing, fault) if fault in (Fault.CUT, Fault.MIDSTREAM_ERROR) else writing.pieces()
        return Response(
            media=writing.stream_media,
            headers=writing.stream_headers,
            body=self._paced(pieces),
            inference=True,
        )

    def rendered(self, asked: Conversation) -> Spoken:
        """Return the empty answer to a request that only wants to see its prompt."""
        return Spoken(asked=asked, number=next(self._numbers))

    def _spoken(self, asked: Conversation, *, broken: bool, thinks: bool) -> Spoken:
        said = self._answer(asked, thinks=thinks and asked.think is not False)
        text = said.text
        for stop in asked.stops:
            text = text.partition(stop)[0]
        if broken:
            text = text[: len(text) * 2 // 3].rstrip("}") or '{"memories": [{"text": "'
        thoughts = _TOKEN.findall(said.thinking)
        tokens = _TOKEN.findall(text) or [""]
        left = None if asked.tokens_max is None else max(asked.tokens_max - len(thoughts), 0)
        cut = left is not None and (left < len(tokens) or len(thoughts) > (asked.tokens_max or 0))
        return Spoken(
            asked=asked,
            thoughts=thoughts[: asked.tokens_max],
            tokens=tokens[:left],
            calls=said.calls,
            reason="length" if cut and not said.calls else "stop",
            prompt_tokens=asked.prompt_tokens,
            number=next(self._numbers),
        )

    def _answer(self, asked: Conversation, *, thinks: bool) -> Answer:
        written = self._scripted(asked)
        if isinstance(written, Answer):
            return written if thinks else replace(written, thinking="")
        question = strip(asked.question).strip()
        thinking = f"The user says: {question}\n" if thinks else ""
        if written is not None:
            return Answer(text=written, thinking=thinking)
        if asked.turns[-1].role == "user" and (called := calls(question, asked.tools)):
            return Answer(calls=called, thinking=thinking)
        if asked.schema is not None:
            filled = fill(asked.schema, asked.question, self.facts) if asked.schema else {"answer": question}
            return Answer(text=shapes.dumps(filled).decode(), thinking=thinking)
        return Answer(text=answer(asked), thinking=thinking)

    def _scripted(self, asked: Conversation) -> str | Answer | None:
        if callable(self.script):
            return self.script(asked)
        return (self.script or {}).get(strip(asked.question).strip())

    def _whole(self, writing: shapes.Writing, spoken: Spoken, *, cut: bool) -> Response:
        if cut:
            return Response(media=writing.media, body=self._paced([None]), inference=True)
        wait_s = self.token_delay_s * len(spoken.steps)
        return Response(media=writing.media, body=writing.whole(), wait_s=wait_s, inference=True)

    async def _paced(self, pieces: Iterable[bytes | None]) -> AsyncIterator[bytes | None]:
        for piece in pieces:
            await asyncio.sleep(self.token_delay_s)
            yield piece


def _broken(writing: shapes.Writing, fault: Fault) -> list[bytes | None]:
    whole = list(writing.pieces())
    begun: list[bytes | None] = [*whole[: max(1, len(whole) // 2)]]
    if fault is Fault.CUT:
        return [*begun, None]
    last = writing.died()
    return [*begun, last] if last else begun


def _failed(dialect: Dialect, fault: Fault, *, stream: bool) -> Response | None:
    match fault:
        case Fault.ERROR_500:
            return dialect.refused(500, "the stand-in was told to fail", stream=stream)
        case Fault.BUSY:
            return dialect.refused(503, refusals.BUSY, stream=stream)
        case Fault.MIDSTREAM_ERROR if not stream:
            return dialect.refused(500, RUNNER_DIED)
        case _:
            return None


async def _silence() -> Pieces:
    await asyncio.Event().wait()
    yield b""
