"""LiteLLM, by its provider ``ollama_chat``."""

from __future__ import annotations

import json
from typing import Any

import litellm

from tests.clients.scenarios import stage
from tests.clients.scenarios.stage import EMBEDDER, MODEL, SYSTEM, user

_CHAT, _EMBED = f"ollama_chat/{MODEL}", f"ollama/{EMBEDDER}"

litellm.telemetry = False
litellm.suppress_debug_info = True


def chat(url: str) -> Any:
    """Talk for two turns."""
    messages: list[Any] = [{"role": "system", "content": SYSTEM}]
    replies = []
    for words in stage.CHAT:
        messages.append(user(words))
        reply = litellm.completion(model=_CHAT, api_base=url, messages=messages)
        choice = reply.choices[0]
        messages.append({"role": "assistant", "content": choice.message.content})
        replies.append([choice.message.content, choice.finish_reason, reply.usage.completion_tokens])
    return replies


def stream(url: str) -> Any:
    """Hear an answer piece by piece."""
    pieces = litellm.completion(model=_CHAT, api_base=url, messages=[user(stage.STREAM)], stream=True)
    return [[piece.choices[0].delta.content, piece.choices[0].finish_reason] for piece in pieces]


def tools(url: str) -> Any:
    """Be asked to call a tool, and bring its result."""
    messages: list[Any] = [user(stage.CALL)]
    offered = [stage.WEATHER_TOOL]
    asked = litellm.completion(model=_CHAT, api_base=url, messages=messages, tools=offered).choices[0]
    (call,) = asked.message.tool_calls
    messages += [asked.message, {"role": "tool", "tool_call_id": call.id, "content": stage.WEATHER}]
    answer = litellm.completion(model=_CHAT, api_base=url, messages=messages, tools=offered).choices[0]
    called = [call.function.name, json.loads(call.function.arguments), asked.finish_reason]
    return [called, answer.message.content]


def structured(url: str) -> Any:
    """Get an instance of a schema."""
    wanted = {"type": "json_schema", "json_schema": {"name": "bicycle", "schema": stage.BICYCLE}}
    reply = litellm.completion(
        model=_CHAT, api_base=url, messages=[user(stage.STRUCTURED)], response_format=wanted
    )
    return reply.choices[0].message.content


def embeddings(url: str) -> Any:
    """Get vectors."""
    return [
        row["embedding"] for row in litellm.embedding(model=_EMBED, api_base=url, input=stage.EMBEDDED).data
    ]


def show(url: str) -> Any:
    """Look at one model: what LiteLLM makes of it."""
    known = litellm.get_model_info(model=MODEL, custom_llm_provider="ollama", api_base=url)
    return [known["max_tokens"], known["supports_function_calling"]]


def errors(url: str) -> Any:
    """Ask for a model that is not there."""
    try:
        litellm.completion(
            model=f"ollama_chat/{stage.UNKNOWN_MODEL}", api_base=url, messages=[user("Hello?")], num_retries=0
        )
    except litellm.exceptions.APIConnectionError as error:
        return stage.said(error)


def cancel(url: str) -> Any:
    """Leave in the middle of an answer."""
    pieces = litellm.completion(model=_CHAT, api_base=url, messages=[user(stage.CANCEL)], stream=True)
    return stage.first(pieces)


if __name__ == "__main__":
    stage.play(
        {
            "chat": chat,
            "stream": stream,
            "tools": tools,
            "structured": structured,
            "embeddings": embeddings,
            "list": "LiteLLM keeps a list of its own",
            "show": show,
            "errors": errors,
            "cancel": cancel,
        }
    )
