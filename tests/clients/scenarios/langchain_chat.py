"""LangChain, by langchain-ollama."""

from __future__ import annotations

from typing import Any

import ollama
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_ollama import ChatOllama, OllamaEmbeddings

from tests.clients.scenarios import stage
from tests.clients.scenarios.stage import EMBEDDER, MODEL, SYSTEM

_NOT_HERE = "langchain-ollama has no call for it"


def chat(url: str) -> Any:
    """Talk for two turns."""
    messages: list[Any] = [SystemMessage(SYSTEM)]
    replies = []
    for words in stage.CHAT:
        messages.append(HumanMessage(words))
        reply = ChatOllama(model=MODEL, base_url=url).invoke(messages)
        messages.append(reply)
        replies.append(
            [reply.content, reply.response_metadata["done_reason"], reply.usage_metadata["output_tokens"]]
        )
    return replies


def stream(url: str) -> Any:
    """Hear an answer piece by piece."""
    pieces = ChatOllama(model=MODEL, base_url=url).stream([HumanMessage(stage.STREAM)])
    return [piece.content for piece in pieces]


def tools(url: str) -> Any:
    """Be asked to call a tool, and bring its result."""
    model = ChatOllama(model=MODEL, base_url=url).bind_tools([stage.WEATHER_TOOL])
    messages: list[Any] = [HumanMessage(stage.CALL)]
    asked = model.invoke(messages)
    (call,) = asked.tool_calls
    messages += [asked, ToolMessage(stage.WEATHER, tool_call_id=call["id"])]
    return [[call["name"], call["args"]], model.invoke(messages).content]


def structured(url: str) -> Any:
    """Get an instance of a schema."""
    schema = {"title": "Bicycle", "description": "One bicycle.", **stage.BICYCLE}
    model = ChatOllama(model=MODEL, base_url=url).with_structured_output(schema, method="json_schema")
    return model.invoke(stage.STRUCTURED)


def embeddings(url: str) -> Any:
    """Get vectors."""
    return OllamaEmbeddings(model=EMBEDDER, base_url=url).embed_documents(stage.EMBEDDED)


def errors(url: str) -> Any:
    """Ask for a model that is not there."""
    try:
        ChatOllama(model=stage.UNKNOWN_MODEL, base_url=url).invoke("Hello?")
    except ollama.ResponseError as error:
        return stage.said(error)


def cancel(url: str) -> Any:
    """Leave in the middle of an answer."""
    return stage.left(ChatOllama(model=MODEL, base_url=url).stream([HumanMessage(stage.CANCEL)]))


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
