"""From a conversation to an answer on its way: text, tokens, and the pieces of a stream.

Rules:
1. What the script says is said; else a schema is filled; else the prompt answers (``answers``).
2. A stream is one document a chunk, and the last chunk of ``/v1`` holds finish, usage and terminator together.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from ltmld.standin import shapes
from ltmld.standin.answers import answer
from ltmld.standin.conversation import Conversation
from ltmld.standin.extraction import Fact, fill
from ltmld.standin.faults import Fault
from ltmld.standin.response import Pieces, Response
from ltmld.standin.shapes import Spoken
from ltmld.wire.sentinel import strip

Kind = Literal["chat", "generate", "openai"]
Script = Mapping[str, str] | Callable[[Conversation], str | None]

_TOKEN = re.compile(r"\s*\S+\s*\Z|\s*\S+")
_RUNNER_DIED = "an error was encountered while running the model: unexpected EOF"


@dataclass(slots=True, kw_only=True)
class Inference:
    """What the stand-in answers with, and how fast."""

    facts: Sequence[Fact] = ()
    script: Script | None = None
    token_delay_s: float = 0.0
    faults: deque[Fault] = field(default_factory=deque)
    _numbers: count[int] = field(default_factory=count)

    def respond(self, kind: Kind, asked: Conversation) -> Response:
        """Answer one conversation."""
        fault = self.faults.popleft() if self.faults else Fault.NONE
        if fault is Fault.HANG:
            return Response(media=shapes.NDJSON, body=_silence(), inference=True)
        if fault is Fault.ERROR_500:
            return _failed(kind)
        spoken = self._spoken(asked, broken=fault is Fault.BROKEN_JSON)
        if not asked.stream and fault not in (Fault.CUT, Fault.MIDSTREAM_ERROR):
            return self._whole(kind, spoken)
        media = shapes.SSE if kind == "openai" else shapes.NDJSON
        pieces = self._openai(spoken, usage=asked.usage) if kind == "openai" else self._native(kind, spoken)
        return Response(media=media, body=self._paced(_broken(kind, pieces, fault)), inference=True)

    def _spoken(self, asked: Conversation, *, broken: bool) -> Spoken:
        text = self._text(asked)
        if broken:
            text = text[: len(text) * 2 // 3].rstrip("}") or '{"memories": [{"text": "'
        tokens = _TOKEN.findall(text) or [""]
        cut = asked.tokens_max is not None and asked.tokens_max < len(tokens)
        return Spoken(
            model=asked.model,
            tokens=tokens[: asked.tokens_max] if cut else tokens,
            reason="length" if cut else "stop",
            prompt_tokens=asked.prompt_tokens,
        )

    def _text(self, asked: Conversation) -> str:
        if callable(self.script):
            written = self.script(asked)
        else:
            written = (self.script or {}).get(strip(asked.question).strip())
        if written is not None:
            return written
        if asked.schema is not None:
            return shapes.dumps(fill(asked.schema, asked.question, self.facts)).decode()
        return answer(asked)

    def _whole(self, kind: Kind, spoken: Spoken) -> Response:
        if kind == "openai":
            body, media = shapes.openai_whole(spoken, self._answer_id()), shapes.OPENAI
        else:
            end = shapes.native_end(kind, spoken, text=spoken.text, context=_context(kind, spoken))
            body, media = shapes.dumps(end), shapes.NATIVE
        wait_s = self.token_delay_s * len(spoken.tokens)
        return Response(media=media, body=body, wait_s=wait_s, inference=True)

    def _native(self, kind: Kind, spoken: Spoken) -> Iterator[bytes]:
        for token in spoken.tokens:
            yield shapes.dumps(shapes.native(kind, spoken.model, token, done=False)) + b"\n"
        end = shapes.native_end(kind, spoken, text="", context=_context(kind, spoken))
        yield shapes.dumps(end) + b"\n"

    def _openai(self, spoken: Spoken, *, usage: bool) -> Iterator[bytes]:
        stream_id = self._answer_id()
        role = {"role": "assistant"}
        for token in spoken.tokens:
            yield shapes.openai_chunk(spoken, stream_id, role | {"content": token}, None)
            role = {}
        yield shapes.openai_end(spoken, stream_id, usage=usage)

    def _answer_id(self) -> str:
        # Ollama's ids run from 0 to 998 too, and are not unique.
        return f"chatcmpl-{next(self._numbers) % 999}"

    async def _paced(self, pieces: Iterable[bytes | None]) -> AsyncIterator[bytes | None]:
        for piece in pieces:
            await asyncio.sleep(self.token_delay_s)
            yield piece


def _broken(kind: Kind, pieces: Iterator[bytes], fault: Fault) -> Iterable[bytes | None]:
    if fault is Fault.NONE:
        return pieces
    whole = list(pieces)
    begun = whole[: max(1, len(whole) // 2)]
    match fault:
        case Fault.CUT:
            return [*begun, None]
        case Fault.MIDSTREAM_ERROR if kind == "openai":
            nameless = Spoken(model="", tokens=(), reason="", prompt_tokens=0)
            return [*begun, shapes.openai_chunk(nameless, "chatcmpl-0", {"content": ""}, None)]
        case Fault.MIDSTREAM_ERROR:
            return [*begun, shapes.native_error(_RUNNER_DIED) + b"\n"]
        case _:
            return whole


def _failed(kind: Kind) -> Response:
    message = "the stand-in was told to fail"
    if kind == "openai":
        body = shapes.openai_error(message, kind="api_error") + b"\n"
        return Response(status=500, media=shapes.OPENAI, body=body)
    return Response(status=500, media=shapes.NATIVE, body=shapes.native_error(message))


async def _silence() -> Pieces:
    await asyncio.Event().wait()
    yield b""


def _context(kind: Kind, spoken: Spoken) -> list[int]:
    """Return token numbers that follow from the answer, as ``/api/generate`` sends them for the next request."""
    if kind != "generate":
        return []
    return [spoken.prompt_tokens, *(sum(token.encode()) % 32_000 for token in spoken.tokens)]
