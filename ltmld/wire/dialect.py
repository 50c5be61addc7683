"""The dialects that are looked into, by the route that speaks them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ltmld.wire.anthropic.messages import AnthropicMessages
from ltmld.wire.capture import Capture
from ltmld.wire.ollama.chat import OllamaChat
from ltmld.wire.ollama.generate import OllamaGenerate
from ltmld.wire.openai.chat import OpenAiChat
from ltmld.wire.openai.responses import OpenAiResponses
from ltmld.wire.request import Request

__all__ = ["Capture", "Dialect", "Request", "dialect_for"]


class Dialect(Protocol):
    """How one route says what a conversation is."""

    @property
    def name(self) -> str:
        """``ollama.chat``, ``ollama.generate``, ``openai.chat``, ``openai.responses``, ``anthropic.messages``."""

    @property
    def takes_zstd(self) -> bool:
        """Whether Ollama unpacks a body that is packed with zstd on this route."""

    def parse(self, body: bytes) -> Request:
        """Read a request body.

        Raises:
            WireError: it is not understood, and passes untouched.
        """

    def inject(
        self,
        request: Request,
        *,
        block: str,
        base_system: str,
        notes: Mapping[int, str],
        drop: frozenset[int] = frozenset(),
    ) -> bytes:
        """Return the body with memory in it; everything of the client's stays byte for byte.

        *block*, whole with its sentinel, goes to the end of the system text; where the client sent none,
        one is put in front that begins with *base_system*, the Modelfile's SYSTEM (``/v1/responses`` shows
        its system text to the client: there it goes before the first user message's words). *notes* go before the
        words of the user messages at these indices of ``request.messages``; the messages at *drop* (indices
        of the same) are taken out, whole. A request that only loads a model, or for which there is nothing
        to inject or to drop, comes back as the very same object.
        """

    def capture(self, *, bytes_max: int) -> Capture:
        """Return a capture of the answer, which keeps at most *bytes_max* bytes of it."""

    def error(self, message: str) -> bytes:
        """Return an error body in the dialect's shape."""


_DIALECTS: dict[tuple[str, str], Dialect] = {
    ("POST", "/api/chat"): OllamaChat(),
    ("POST", "/api/generate"): OllamaGenerate(),
    ("POST", "/v1/chat/completions"): OpenAiChat(),
    ("POST", "/v1/responses"): OpenAiResponses(),
    ("POST", "/v1/messages"): AnthropicMessages(),
}


def dialect_for(method: str, path: str) -> Dialect | None:
    """Return the dialect of a route (exact path, without its query), ``None`` for one that is not looked into."""
    return _DIALECTS.get((method, path))


def error_body(path: str, message: str) -> bytes:
    """Return an error body in the shape of whatever answers below *path*, looked into or not."""
    if path == "/v1/messages" or path.startswith("/v1/messages/"):
        return _DIALECTS["POST", "/v1/messages"].error(message)
    if path.startswith("/v1/"):
        return _DIALECTS["POST", "/v1/chat/completions"].error(message)
    return _DIALECTS["POST", "/api/chat"].error(message)
