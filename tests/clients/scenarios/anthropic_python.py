"""Anthropic's own client for Python, by messages."""

from __future__ import annotations

from typing import Any

import anthropic

from tests.clients.scenarios import stage
from tests.clients.scenarios.stage import MODEL, SYSTEM, user

_TOOL = {"name": "get_weather", "description": "Say how the weather is.", "input_schema": stage.CITY}
_TOKENS_MAX = 256


def client(url: str) -> anthropic.Anthropic:
    """Return the client as people point it at Ollama."""
    return anthropic.Anthropic(base_url=url, api_key="ollama", max_retries=0)


def chat(url: str) -> Any:
    """Talk for two turns."""
    messages: list[Any] = []
    replies = []
    for words in stage.CHAT:
        messages.append(user(words))
        reply = client(url).messages.create(
            model=MODEL, max_tokens=_TOKENS_MAX, system=SYSTEM, messages=messages
        )
        messages.append({"role": "assistant", "content": reply.content})
        replies.append(
            [[block.text for block in reply.content], reply.stop_reason, reply.usage.output_tokens]
        )
    return replies


def stream(url: str) -> Any:
    """Hear an answer event by event, and have it put together."""
    asked = {"model": MODEL, "max_tokens": _TOKENS_MAX, "messages": [user(stage.STREAM)]}
    with client(url).messages.stream(**asked) as events:
        kinds = [event.type for event in events]
        final = events.get_final_message()
    return [kinds, [block.text for block in final.content], final.stop_reason]


def tools(url: str) -> Any:
    """Be asked to call a tool, and bring its result."""
    messages: list[Any] = [user(stage.CALL)]
    asked = client(url).messages.create(model=MODEL, max_tokens=_TOKENS_MAX, messages=messages, tools=[_TOOL])
    call = next(block for block in asked.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": stage.WEATHER}
    messages += [{"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
    answer = client(url).messages.create(
        model=MODEL, max_tokens=_TOKENS_MAX, messages=messages, tools=[_TOOL]
    )
    return [[call.name, call.input, asked.stop_reason], answer.content[0].text]


def models(url: str) -> Any:
    """List the models."""
    return [model.id for model in client(url).models.list().data]


def show(url: str) -> Any:
    """Look at one model."""
    return client(url).models.retrieve(MODEL).id


def errors(url: str) -> Any:
    """Ask for a model that is not there."""
    asked = {"model": stage.UNKNOWN_MODEL, "max_tokens": _TOKENS_MAX, "messages": [user("Hello?")]}
    try:
        client(url).messages.create(**asked)
    except anthropic.APIStatusError as error:
        body: Any = error.body
        return {"kind": type(error).__name__, "status": error.status_code, "error": body["error"]}


def cancel(url: str) -> Any:
    """Leave in the middle of an answer."""
    asked = {"model": MODEL, "max_tokens": 100_000, "messages": [user(stage.CANCEL)], "timeout": 60}
    with client(url).messages.stream(**asked) as events:
        return stage.first(events.text_stream)


if __name__ == "__main__":
    stage.play(
        {
            "chat": chat,
            "stream": stream,
            "tools": tools,
            "structured": "Ollama's messages take no schema",
            "embeddings": "the client has none",
            "list": models,
            "show": show,
            "errors": errors,
            "cancel": cancel,
        }
    )
