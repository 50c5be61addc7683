"""Simon Willison's ``llm`` with its plugin llm-ollama; the plugin finds Ollama by ``OLLAMA_HOST``."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

# The plugin reads it when it is loaded.
os.environ["OLLAMA_HOST"] = sys.argv[1]

import llm
import ollama
from llm_ollama.models.chat import OllamaChatModel

from tests.clients.scenarios import stage
from tests.clients.scenarios.stage import SYSTEM

MODEL, EMBEDDER = f"ollama/{stage.MODEL}", f"ollama/{stage.EMBEDDER}"


def get_weather(city: str) -> str:
    """Say how the weather is."""
    return f"{stage.WEATHER} in {city}"


def chat(_url: str) -> Any:
    """Talk for two turns."""
    conversation = llm.get_model(MODEL).conversation()
    replies = []
    for words in stage.CHAT:
        reply = conversation.prompt(words, system=SYSTEM, stream=False)
        replies.append([reply.text(), reply.usage().output])
    return replies


def stream(_url: str) -> Any:
    """Hear an answer piece by piece."""
    return list(llm.get_model(MODEL).prompt(stage.STREAM))


def tools(_url: str) -> Any:
    """Let the client call a tool and bring its result by itself."""
    replies = list(llm.get_model(MODEL).chain(stage.CALL, tools=[get_weather]).responses())
    called = [[call.name, call.arguments] for call in replies[0].tool_calls()]
    return [called, replies[-1].text()]


def structured(_url: str) -> Any:
    """Get an instance of a schema."""
    return json.loads(llm.get_model(MODEL).prompt(stage.STRUCTURED, schema=stage.BICYCLE).text())


def embeddings(_url: str) -> Any:
    """Get vectors."""
    return [list(vector) for vector in llm.get_embedding_model(EMBEDDER).embed_multi(stage.EMBEDDED)]


def models(_url: str) -> Any:
    """List the models that the plugin found."""
    return [str(model) for model in llm.get_models() if type(model).__module__.startswith("llm_ollama")]


def errors(_url: str) -> Any:
    """Ask for a model that is not there any more: the plugin offers only those it found when it was loaded."""
    gone = OllamaChatModel(model_id="gone", ollama_name=stage.UNKNOWN_MODEL, capabilities=["completion"])
    try:
        gone.prompt("Hello?", stream=False).text()
    except ollama.ResponseError as error:
        return stage.said(error)


def cancel(_url: str) -> Any:
    """Leave in the middle of an answer."""
    return stage.left(iter(llm.get_model(MODEL).prompt(stage.CANCEL)))


if __name__ == "__main__":
    stage.play(
        {
            "chat": chat,
            "stream": stream,
            "tools": tools,
            "structured": structured,
            "embeddings": embeddings,
            "list": models,
            "show": "the plugin looks at a model by itself",
            "errors": errors,
            "cancel": cancel,
        }
    )
