"""OpenAI's own client for Python, by chat completions."""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.clients.scenarios import stage
from tests.clients.scenarios.stage import EMBEDDER, MODEL, SYSTEM, user


def client(url: str) -> openai.OpenAI:
    """Return the client as people point it at Ollama."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="ollama", max_retries=0)


def chat(url: str) -> Any:
    """Talk for two turns."""
    messages: list[Any] = [{"role": "system", "content": SYSTEM}]
    replies = []
    for words in stage.CHAT:
        messages.append(user(words))
        reply = client(url).chat.completions.create(model=MODEL, messages=messages)
        choice = reply.choices[0]
        messages.append({"role": "assistant", "content": choice.message.content})
        replies.append(
            [choice.message.content, choice.finish_reason, reply.usage and reply.usage.completion_tokens]
        )
    return replies


def stream(url: str) -> Any:
    """Hear an answer piece by piece, with the numbers at its end."""
    messages: list[Any] = [user(stage.STREAM)]
    pieces = client(url).chat.completions.create(
        model=MODEL, messages=messages, stream=True, stream_options={"include_usage": True}
    )
    heard = []
    for piece in pieces:
        choice = piece.choices[0] if piece.choices else None
        numbers = piece.usage.completion_tokens if piece.usage else None
        heard.append([choice and choice.delta.content, choice and choice.finish_reason, numbers])
    return heard


def tools(url: str) -> Any:
    """Be asked to call a tool, and bring its result."""
    messages: list[Any] = [user(stage.CALL)]
    offered: list[Any] = [stage.WEATHER_TOOL]
    asked = client(url).chat.completions.create(model=MODEL, messages=messages, tools=offered).choices[0]
    call: Any = (asked.message.tool_calls or [])[0]
    messages += [asked.message, {"role": "tool", "tool_call_id": call.id, "content": stage.WEATHER}]
    answer = client(url).chat.completions.create(model=MODEL, messages=messages, tools=offered).choices[0]
    called = [call.function.name, json.loads(call.function.arguments), asked.finish_reason]
    return [called, answer.message.content]


def structured(url: str) -> Any:
    """Get an instance of a schema."""
    messages: list[Any] = [user(stage.STRUCTURED)]
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "bicycle", "schema": stage.BICYCLE}}
    reply = client(url).chat.completions.create(model=MODEL, messages=messages, response_format=wanted)
    return reply.choices[0].message.content


def embeddings(url: str) -> Any:
    """Get vectors: the client asks for them packed, unless it is told otherwise."""
    packed = client(url).embeddings.create(model=EMBEDDER, input=stage.EMBEDDED)
    plain = client(url).embeddings.create(model=EMBEDDER, input=stage.EMBEDDED, encoding_format="float")
    return [[list(row.embedding) for row in packed.data], [list(row.embedding) for row in plain.data]]


def models(url: str) -> Any:
    """List the models."""
    return [[model.id, model.owned_by] for model in client(url).models.list().data]


def show(url: str) -> Any:
    """Look at one model."""
    model = client(url).models.retrieve(MODEL)
    return [model.id, model.object, model.owned_by]


def errors(url: str) -> Any:
    """Ask for a model that is not there."""
    messages: list[Any] = [user("Hello?")]
    try:
        client(url).chat.completions.create(model=stage.UNKNOWN_MODEL, messages=messages)
    except openai.APIStatusError as error:
        return stage.said(error)


def cancel(url: str) -> Any:
    """Leave in the middle of an answer."""
    messages: list[Any] = [user(stage.CANCEL)]
    return stage.left(client(url).chat.completions.create(model=MODEL, messages=messages, stream=True))


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
