"""Ollama's own client for Python."""

from __future__ import annotations

from typing import Any

import ollama

from tests.clients.scenarios import stage
from tests.clients.scenarios.stage import EMBEDDER, MODEL, SYSTEM, user


def chat(url: str) -> Any:
    """Talk for two turns."""
    client = ollama.Client(host=url)
    messages: list[Any] = [{"role": "system", "content": SYSTEM}]
    replies = []
    for words in stage.CHAT:
        messages.append(user(words))
        reply = client.chat(MODEL, messages)
        messages.append(reply.message)
        replies.append([reply.message.content, reply.done_reason, reply.eval_count])
    return replies


def stream(url: str) -> Any:
    """Hear an answer piece by piece."""
    pieces = ollama.Client(host=url).chat(MODEL, [user(stage.STREAM)], stream=True)
    return [[piece.message.content, piece.done, piece.done_reason] for piece in pieces]


def tools(url: str) -> Any:
    """Be asked to call a tool, and bring its result."""
    client = ollama.Client(host=url)
    messages: list[Any] = [user(stage.CALL)]
    asked = client.chat(MODEL, messages, tools=[stage.WEATHER_TOOL])
    calls = asked.message.tool_calls or []
    messages += [
        asked.message,
        {"role": "tool", "content": stage.WEATHER, "tool_name": calls[0].function.name},
    ]
    answer = client.chat(MODEL, messages, tools=[stage.WEATHER_TOOL])
    called = [[call.function.name, dict(call.function.arguments)] for call in calls]
    return [called, answer.message.content]


def structured(url: str) -> Any:
    """Get an instance of a schema."""
    reply = ollama.Client(host=url).chat(MODEL, [user(stage.STRUCTURED)], format=stage.BICYCLE)
    return reply.message.content


def embeddings(url: str) -> Any:
    """Get vectors, by the newer and the older route."""
    client = ollama.Client(host=url)
    both = client.embed(EMBEDDER, stage.EMBEDDED).embeddings
    return [[list(vector) for vector in both], list(client.embeddings(EMBEDDER, stage.EMBEDDED[0]).embedding)]


def models(url: str) -> Any:
    """List the models."""
    return [[model.model, model.digest, model.size] for model in ollama.Client(host=url).list().models]


def show(url: str) -> Any:
    """Look at one model."""
    model = ollama.Client(host=url).show(MODEL)
    return [model.template, model.capabilities, model.modelinfo]


def errors(url: str) -> Any:
    """Ask for a model that is not there."""
    try:
        ollama.Client(host=url).chat(stage.UNKNOWN_MODEL, [user("Hello?")])
    except ollama.ResponseError as error:
        return stage.said(error)


def cancel(url: str) -> Any:
    """Leave in the middle of an answer."""
    return stage.left(ollama.Client(host=url).chat(MODEL, [user(stage.CANCEL)], stream=True))


if __name__ == "__main__":
    stage.play(
        {
            "chat": chat,
            "stream": stream,
            "tools": tools,
            "structured": structured,
            "embeddings": embeddings,
            "list": models,
            "show": show,
            "errors": errors,
            "cancel": cancel,
        }
    )
