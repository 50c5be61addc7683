"""The dialects that are looked into, by the route that speaks them."""

from __future__ import annotations

from ltmld.wire.anthropic.messages import AnthropicMessages
from ltmld.wire.capture import Capture
from ltmld.wire.dialect import Dialect
from ltmld.wire.ollama.chat import OllamaChat
from ltmld.wire.ollama.generate import OllamaGenerate
from ltmld.wire.openai.chat import OpenAiChat
from ltmld.wire.openai.responses import OpenAiResponses
from ltmld.wire.request import Request

__all__ = ["Capture", "Dialect", "Request", "dialect_for"]

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
