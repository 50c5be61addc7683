"""What Ollama refuses, in the order it looks: cloud, model, capabilities, options, template, pictures, length.

Rules:
1. The words, the status and the framing are those of the recordings; ``dialects`` puts them into each one's JSON.
2. What is wrong with a body's own fields is a ``WireError`` of its reader, and not here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ltmld.standin.catalog import CONTEXT_TOKENS, Model, is_cloud
from ltmld.standin.conversation import Conversation
from ltmld.wire import fields

BUSY = "server busy, please try again.  maximum pending requests exceeded"

_WHOLE = (
    "num_ctx",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "num_keep",
    "seed",
    "num_predict",
    "top_k",
)
_FRACTIONS = (
    *("temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty"),
    "frequency_penalty",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refusal. *runner* says that llama-server's own words are passed on, which come in a chunk."""

    status: int
    message: str
    runner: bool = False
    cloud: bool = False


def of_model(name: str, model: Model | None) -> Refusal | None:
    """Return why a request for a model called *name* is refused, if it is."""
    if is_cloud(name):
        return Refusal(
            status=403, message="ollama cloud is disabled: remote model is unavailable", cloud=True
        )
    if model is None:
        return Refusal(status=404, message=f"model '{name}' not found")
    return None


def of_capability(asked: Conversation, model: Model, *, verb: str, relaxed: bool) -> Refusal | None:
    """Return what the model cannot do of what is asked, if anything; *relaxed* drops a wish to think."""
    full = f"registry.ollama.ai/library/{model.name}"
    if asked.top_logprobs is not None and asked.top_logprobs > 20:
        return Refusal(status=400, message="top_logprobs must be between 0 and 20")
    if not model.can("completion"):
        return Refusal(status=400, message=f'"{asked.model}" does not support {verb}')
    if asked.suffix and not model.can("insert"):
        return Refusal(status=400, message=f"{full} does not support insert")
    if asked.tools and not model.can("tools"):
        return Refusal(status=400, message=f"{full} does not support tools")
    if asked.think and not relaxed and not model.can("thinking"):
        return Refusal(status=400, message=f'"{asked.model}" does not support thinking')
    return None


def of_raw(asked: Conversation) -> Refusal | None:
    """Return why a raw request is refused, if it is."""
    named = [asked.request.get(name) for name in ("template", "system", "context")]
    if asked.raw and any(named):
        return Refusal(status=400, message="raw mode does not support template, system, or context")
    return None


def of_run(asked: Conversation, model: Model) -> Refusal | None:
    """Return why the runner refuses, if it does: options, template, format, pictures, and a prompt that is too long."""
    return next(_runner_refusals(asked, model), None)


def _runner_refusals(asked: Conversation, model: Model) -> Iterator[Refusal]:
    options = fields.told(asked.request, "options")
    if message := _option(options):
        yield Refusal(status=500, message=message)
    template = fields.said(asked.request, "template")
    if template.count("{{") > template.count("}}"):
        yield Refusal(status=500, message="template: :1: unclosed action")
    wanted = asked.request.get("format")
    if wanted not in (None, "", "json") and not isinstance(wanted, dict):
        quoted = json.dumps(json.dumps(wanted))
        yield Refusal(
            status=500,
            message=f'invalid format: {quoted}; expected "json" or a valid JSON Schema object',
        )
    if asked.pictured and not model.can("vision"):
        words = "Multimodal data provided, but model does not support multimodal requests."
        yield _runner(words, "invalid_request_error")
    size = fields.count(options, "num_ctx") or CONTEXT_TOKENS
    if not asked.truncate and asked.prompt_tokens > size:
        words = (
            f"request ({asked.prompt_tokens} tokens) exceeds the available context size ({size} tokens), "
            "try increasing it"
        )
        yield _runner(words, "exceed_context_size_error", n_prompt_tokens=asked.prompt_tokens, n_ctx=size)


def _runner(message: str, kind: str, **more: Any) -> Refusal:
    error = {"error": {"code": 400, "message": message, "type": kind, **more}}
    return Refusal(status=400, message=json.dumps(error, separators=(",", ":")), runner=True)


def _option(options: Mapping[str, Any]) -> str:
    for name, value in options.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in _WHOLE and value is not None and not number:
            return f'option "{name}" must be of type integer'
        if name in _FRACTIONS and value is not None and not number:
            return f'option "{name}" must be of type float32'
        if name == "stop" and not isinstance(value, list | None):
            return 'option "stop" must be of type array'
    return ""
