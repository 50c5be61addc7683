"""OpenAI's own client for Python, by responses."""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.clients.scenarios import stage
from tests.clients.scenarios.openai_python import client
from tests.clients.scenarios.stage import MODEL, SYSTEM, user

_ELSEWHERE = "the same client as by chat completions"
_TOOL = {"type": "function", "strict": False} | stage.GET_WEATHER


def chat(url: str) -> Any:
    """Talk for two turns, with instructions."""
    messages: list[Any] = []
    replies = []
    for words in stage.CHAT:
        messages.append(user(words))
        reply = client(url).responses.create(model=MODEL, instructions=SYSTEM, input=messages)
        messages += reply.output
        replies.append(
            [reply.output_text, reply.status, reply.instructions, reply.usage and reply.usage.output_tokens]
        )
    return replies


def stream(url: str) -> Any:
    """Hear an answer event by event."""
    heard = []
    for event in client(url).responses.create(
        model=MODEL, instructions=SYSTEM, input=stage.STREAM, stream=True
    ):
        response = getattr(event, "response", None)
        heard.append([event.type, getattr(event, "delta", None), response and response.instructions])
    return heard


def tools(url: str) -> Any:
    """Be asked to call a tool, and bring its result."""
    messages: list[Any] = [user(stage.CALL)]
    offered: list[Any] = [_TOOL]
    asked = client(url).responses.create(model=MODEL, input=messages, tools=offered)
    call: Any = asked.output[0]
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": stage.WEATHER}
    answer = client(url).responses.create(model=MODEL, input=[*messages, call, result], tools=offered)
    return [[call.type, call.name, json.loads(call.arguments)], answer.output_text]


def structured(url: str) -> Any:
    """Get an instance of a schema."""
    wanted: Any = {"format": {"type": "json_schema", "name": "bicycle", "schema": stage.BICYCLE}}
    return client(url).responses.create(model=MODEL, input=stage.STRUCTURED, text=wanted).output_text


def errors(url: str) -> Any:
    """Ask for a model that is not there."""
    try:
        client(url).responses.create(model=stage.UNKNOWN_MODEL, input="Hello?")
    except openai.APIStatusError as error:
        return stage.said(error)


def cancel(url: str) -> Any:
    """Leave in the middle of an answer."""
    with client(url).responses.create(model=MODEL, input=stage.CANCEL, stream=True) as events:
        return stage.first(event for event in events if event.type == "response.output_text.delta")


if __name__ == "__main__":
    stage.play(
        {
            "chat": chat,
            "stream": stream,
            "tools": tools,
            "structured": structured,
            "embeddings": _ELSEWHERE,
            "list": _ELSEWHERE,
            "show": _ELSEWHERE,
            "errors": errors,
            "cancel": cancel,
        }
    )
