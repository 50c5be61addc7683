"""The JSON of Ollama's answers: keys in its order, escapes as Go writes them; bytes in, bytes out of no socket.

Checked against recordings of a real server (0.33.0-rc2) by ``tests/standin``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ltmld.standin.catalog import CONTEXT_TOKENS, Model

VERSION = "0.33.0-rc2"
NATIVE = "application/json; charset=utf-8"
OPENAI = "application/json"
NDJSON = "application/x-ndjson"
SSE = "text/event-stream"

_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "435K",
    "quantization_level": "unknown",
}
_MODEL_INFO = {
    "general.architecture": "llama",
    "general.parameter_count": 434_816,
    "llama.attention.layer_norm_rms_epsilon": 0.00001,
    "llama.block_count": 4,
    "llama.context_length": CONTEXT_TOKENS,
    "llama.embedding_length": 128,
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": None,
}
_BLOCK_PARTS = (
    "attn_k",
    "attn_norm",
    "attn_output",
    "attn_q",
    "attn_v",
    "ffn_down",
    "ffn_gate",
    "ffn_norm",
    "ffn_up",
)
_TENSORS = [
    {"name": f"blk.{block}.{part}.weight", "type": "F32", "shape": [128] if "norm" in part else [128, 128]}
    for block in range(4)
    for part in _BLOCK_PARTS
]
# Go's encoder makes JSON safe to stand inside HTML.
_GO_ESCAPES = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}
_TOKENS_PER_S = 1000


def dumps(value: Any) -> bytes:
    """Return *value* as Go writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_GO_ESCAPES).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One finished answer: its tokens, why it stopped, and the numbers that go with it."""

    model: str
    tokens: Sequence[str]
    reason: str
    prompt_tokens: int

    @property
    def text(self) -> str:
        """The answer in one piece."""
        return "".join(self.tokens)

    @property
    def durations(self) -> dict[str, int]:
        """The numbers of a native last line, durations in nanoseconds."""
        prompt_ns = 20_000 * self.prompt_tokens
        reply_ns = 10**9 // _TOKENS_PER_S * len(self.tokens)
        return {
            "total_duration": prompt_ns + reply_ns + 2_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": self.prompt_tokens,
            "prompt_eval_duration": prompt_ns,
            "eval_count": len(self.tokens),
            "eval_duration": reply_ns,
        }

    @property
    def usage(self) -> dict[str, int]:
        """The numbers of an OpenAI answer."""
        reply = len(self.tokens)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": reply,
            "total_tokens": self.prompt_tokens + reply,
        }


# --- native ------------------------------------------------------------------------------------------------------


def native(kind: str, model: str, text: str, *, done: bool, **rest: Any) -> dict[str, Any]:
    """Return one object of ``/api/chat`` (*kind* ``chat``) or ``/api/generate``."""
    said: dict[str, Any] = (
        {"message": {"role": "assistant", "content": text}} if kind == "chat" else {"response": text}
    )
    return {"model": model, "created_at": now()} | said | {"done": done} | rest


def native_end(kind: str, spoken: Spoken, *, text: str, context: Sequence[int]) -> dict[str, Any]:
    """Return the last object: *text* is empty in a stream and the whole answer otherwise."""
    more = {"context": list(context)} if context else {}
    return native(kind, spoken.model, text, done=True, done_reason=spoken.reason, **more, **spoken.durations)


def rendered(kind: str, model: str, prompt: str) -> dict[str, Any]:
    """Return the answer to ``_debug_render_only``."""
    said: dict[str, Any] = {"message": {"role": "", "content": ""}} if kind == "chat" else {"response": ""}
    debug = {"done": False, "_debug_info": {"rendered_template": prompt}}
    return {"model": model, "created_at": now()} | said | debug


def native_error(message: str) -> bytes:
    """Return a native error body."""
    return dumps({"error": message})


# --- OpenAI ------------------------------------------------------------------------------------------------------


def openai_chunk(spoken: Spoken, stream_id: str, delta: Mapping[str, str], reason: str | None) -> bytes:
    """Return one event of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return _event(_openai_head(spoken, stream_id, "chat.completion.chunk") | {"choices": [choice]})


def openai_end(spoken: Spoken, stream_id: str, *, usage: bool) -> bytes:
    """Return what Ollama sends as one last chunk: finish, usage where it was asked for, and the terminator."""
    head = _openai_head(spoken, stream_id, "chat.completion.chunk")
    finish = openai_chunk(spoken, stream_id, {}, spoken.reason)
    numbers = _event(head | {"choices": [], "usage": spoken.usage}) if usage else b""
    return finish + numbers + b"data: [DONE]\n\n"


def openai_whole(spoken: Spoken, answer_id: str) -> bytes:
    """Return an answer in one piece."""
    message = {"role": "assistant", "content": spoken.text}
    choice = {"index": 0, "message": message, "finish_reason": spoken.reason}
    head = _openai_head(spoken, answer_id, "chat.completion")
    return dumps(head | {"choices": [choice], "usage": spoken.usage}) + b"\n"


def openai_error(message: str, *, kind: str) -> bytes:
    """Return an OpenAI error body, without the line end that follows it on some routes."""
    return dumps({"error": {"message": message, "type": kind, "param": None, "code": None}})


def _openai_head(spoken: Spoken, answer_id: str, kind: str) -> dict[str, Any]:
    created = int(datetime.now(UTC).timestamp())
    names = {"id": answer_id, "object": kind, "created": created, "model": spoken.model}
    return names | {"system_fingerprint": "fp_ollama"}


def _event(tree: Mapping[str, Any]) -> bytes:
    return b"data: " + dumps(tree) + b"\n\n"


# --- models ------------------------------------------------------------------------------------------------------


def tags(models: Sequence[Model]) -> dict[str, Any]:
    """Return the answer of ``/api/tags``."""
    details = _DETAILS | {"context_length": CONTEXT_TOKENS, "embedding_length": 128}
    return {
        "models": [
            {"name": model.name, "model": model.name, "modified_at": now(), "size": model.size_bytes}
            | {"digest": model.digest, "details": details, "capabilities": ["completion"]}
            for model in models
        ]
    }


def loaded(models: Sequence[Model]) -> dict[str, Any]:
    """Return the answer of ``/api/ps``."""
    return {
        "models": [
            {"name": model.name, "model": model.name, "size": model.size_bytes, "digest": model.digest}
            | {"details": _DETAILS, "expires_at": now(), "size_vram": 0, "context_length": CONTEXT_TOKENS}
            for model in models
        ]
    }


def show(model: Model) -> dict[str, Any]:
    """Return the answer of ``/api/show``."""
    template = "{{- if .System }}{{ .System }}\n{{ end }}{{ .Prompt }}"
    written = f'# Modelfile generated by "ollama show"\nFROM {model.name}\nTEMPLATE """{template}"""\n'
    tree: dict[str, Any] = {"license": "MIT", "modelfile": written, "parameters": "", "template": template}
    if model.system:
        tree["modelfile"] += f"SYSTEM {model.system}\n"
        tree["system"] = model.system
    rest = {"details": _DETAILS, "model_info": _MODEL_INFO, "tensors": _TENSORS}
    return tree | rest | {"capabilities": ["completion"], "modified_at": now()}


def openai_model(name: str) -> dict[str, Any]:
    """Return one model as ``/v1/models`` shows it."""
    return {
        "id": name,
        "object": "model",
        "created": int(datetime.now(UTC).timestamp()),
        "owned_by": "library",
    }


def now() -> str:
    """Return the present as Go prints it: RFC 3339 with nanoseconds."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"
