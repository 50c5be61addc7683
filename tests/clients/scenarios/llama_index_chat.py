"""LlamaIndex, by llama-index-llms-ollama and llama-index-embeddings-ollama."""

from __future__ import annotations

from typing import Any

import ollama
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.ollama import OllamaEmbedding
from llama_index.llms.ollama import Ollama
from pydantic import BaseModel

from tests.clients.scenarios import stage
from tests.clients.scenarios.stage import EMBEDDER, MODEL, SYSTEM

_NOT_HERE = "llama-index's Ollama has no call for it"


class Bicycle(BaseModel):
    """One bicycle."""

    color: str
    gears: int
    old: bool


def get_weather(city: str) -> str:
    """Say how the weather is."""
    return f"{stage.WEATHER} in {city}"


def chat(url: str) -> Any:
    """Talk for two turns."""
    messages = [ChatMessage(role="system", content=SYSTEM)]
    replies = []
    for words in stage.CHAT:
        messages.append(ChatMessage(role="user", content=words))
        reply = Ollama(model=MODEL, base_url=url).chat(messages)
        messages.append(reply.message)
        replies.append(reply.message.content)
    return replies


def stream(url: str) -> Any:
    """Hear an answer piece by piece."""
    pieces = Ollama(model=MODEL, base_url=url).stream_chat([ChatMessage(role="user", content=stage.STREAM)])
    return [piece.delta for piece in pieces]


def tools(url: str) -> Any:
    """Be asked to call a tool, and bring its result."""
    model = Ollama(model=MODEL, base_url=url)
    tool = FunctionTool.from_defaults(fn=get_weather)
    asked = model.chat_with_tools([tool], user_msg=stage.CALL)
    (call,) = model.get_tool_calls_from_response(asked)
    result = ChatMessage(role="tool", content=stage.WEATHER, additional_kwargs={"tool_call_id": call.tool_id})
    said = ChatMessage(role="user", content=stage.CALL)
    answer = model.chat_with_tools([tool], chat_history=[said, asked.message, result])
    return [[call.tool_name, call.tool_kwargs], answer.message.content]


def structured(url: str) -> Any:
    """Get an instance of a schema."""
    model = Ollama(model=MODEL, base_url=url)
    return model.structured_predict(Bicycle, PromptTemplate(stage.STRUCTURED)).model_dump()


def embeddings(url: str) -> Any:
    """Get vectors."""
    return OllamaEmbedding(model_name=EMBEDDER, base_url=url).get_text_embedding_batch(stage.EMBEDDED)


def errors(url: str) -> Any:
    """Ask for a model that is not there."""
    try:
        Ollama(model=stage.UNKNOWN_MODEL, base_url=url).chat([ChatMessage(role="user", content="Hello?")])
    except ollama.ResponseError as error:
        return stage.said(error)


def cancel(url: str) -> Any:
    """Leave in the middle of an answer."""
    return stage.left(
        Ollama(model=MODEL, base_url=url).stream_chat([ChatMessage(role="user", content=stage.CANCEL)])
    )


if __name__ == "__main__":
    stage.play(
        {
            "chat": chat,
            "stream": stream,
            "tools": tools,
            "structured": structured,
            "embeddings": embeddings,
            "list": _NOT_HERE,
            "show": _NOT_HERE,
            "errors": errors,
            "cancel": cancel,
        }
    )
