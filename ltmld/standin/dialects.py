"""The dialects of inference: how a body is read, how an answer is written, and the shape of an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ltmld.standin import anthropic_request, native_request, openai_request
from ltmld.standin.anthropic_shapes import MessagesWriting, anthropic_error
from ltmld.standin.conversation import Conversation
from ltmld.standin.native_shapes import NativeWriting
from ltmld.standin.openai_shapes import ChatWriting, CompletionWriting
from ltmld.standin.response import Response
from ltmld.standin.responses_shapes import ResponsesWriting
from ltmld.standin.shapes import LIVE, NATIVE, PLAIN, Writing, dumps
from ltmld.standin.speech import Spoken

Tree = Mapping[str, Any]

_OPENAI_KINDS = {400: "invalid_request_error", 404: "not_found_error"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One dialect. *verb* is what an embedding model is said not to support."""

    read: Callable[[Tree], Conversation]
    write: Callable[[Spoken], Writing]
    error: Callable[[int, str], bytes]
    verb: str = "chat"
    native: bool = False
    live: bool = False
    relaxed: bool = False

    def unread(self, message: str) -> Response:
        """Return a refusal of what stands in the body: it has the native media type and no line end."""
        return Response(status=400, media=NATIVE, body=self.error(400, message))

    def refused(self, status: int, message: str, *, runner: bool = False, stream: bool = False) -> Response:
        """Return a refusal by the server behind the dialect; *runner* says that it came from llama-server."""
        body = self.error(status, message)
        if self.native:
            return Response(status=status, media=PLAIN if runner else NATIVE, body=body, chunked=runner)
        headers = LIVE if self.live and stream else ()
        return Response(status=status, media=PLAIN, body=body + b"\n", headers=headers)


def native_error(_status: int, message: str) -> bytes:
    """Return a native error body."""
    return dumps({"error": message})


def openai_error(status: int, message: str) -> bytes:
    """Return an OpenAI error body, without the line end that follows it on some routes."""
    kind = _OPENAI_KINDS.get(status, "api_error")
    return dumps({"error": {"message": message, "type": kind, "param": None, "code": None}})


def _native(kind: Any, spoken: Spoken) -> Writing:
    return NativeWriting(kind=kind, spoken=spoken)


CHAT = Dialect(read=native_request.of_chat, write=partial(_native, "chat"), error=native_error, native=True)
GENERATE = Dialect(
    read=native_request.of_generate,
    write=partial(_native, "generate"),
    error=native_error,
    verb="generate",
    native=True,
)
CHAT_COMPLETIONS = Dialect(
    read=openai_request.of_chat_completions,
    write=lambda spoken: ChatWriting(spoken=spoken),
    error=openai_error,
)
COMPLETIONS = Dialect(
    read=openai_request.of_completions,
    write=lambda spoken: CompletionWriting(spoken=spoken),
    error=openai_error,
    verb="generate",
)
RESPONSES = Dialect(
    read=openai_request.of_responses,
    write=lambda spoken: ResponsesWriting(spoken=spoken),
    error=openai_error,
    live=True,
)
MESSAGES = Dialect(
    read=anthropic_request.of_messages,
    write=lambda spoken: MessagesWriting(spoken=spoken),
    error=anthropic_error,
    live=True,
    relaxed=True,
)
