"""ltmld's own words as an answer of the model: the bytes that each dialect would carry them in.

Rules:
1. The shapes are those of Ollama, field by field; where it reports the model's work, nothing was done: zeros.
2. A streamed answer is one payload for each flush of Ollama's: the words in one, then the end.
3. Whatever the request asked for (tools, a schema, thinking), the answer is text: it comes from no model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from ltmld.core.ports import OwnReply
from ltmld.wire.fields import told
from ltmld.wire.request import Request

_NATIVE_STREAM, _NATIVE_WHOLE = "application/x-ndjson", "application/json; charset=utf-8"
_EVENTS, _WHOLE = "text/event-stream", "application/json"
# What Ollama adds to the streams that carry event names (and "Connection: keep-alive", which ends at each hop).
_EVENT_HEADERS = (("Cache-Control", "no-cache"),)
_DONE = b"data: [DONE]\n\n"

Tree = dict[str, Any]


def own_reply(request: Request, text: str, *, at: datetime, origin: str = "") -> OwnReply:
    """Return *text* as the answer to *request*, whole or streamed as it asks; *origin* is another page's."""
    reply = _SHAPES[request.dialect](request, text, at)
    if not origin:
        return reply
    crossing = (("Access-Control-Allow-Origin", origin), ("Vary", "Origin"))
    return replace(reply, headers=(*reply.headers, *crossing))


def answers(dialect: str) -> bool:
    """Tell whether there is a shape for this dialect."""
    return dialect in _SHAPES


# --- Ollama's own routes ---


def _chat(request: Request, text: str, at: datetime) -> OwnReply:
    def said(words: str) -> Tree:
        return {"message": {"role": "assistant", "content": words}}

    return _native(request, text, at, said, {})


def _generate(request: Request, text: str, at: datetime) -> OwnReply:
    # The conversation so far goes back as it came: the next prompt continues it as if nothing had been asked.
    context = request.tree.get("context")
    return _native(
        request, text, at, lambda words: {"response": words}, {"context": context} if context else {}
    )


def _native(request: Request, text: str, at: datetime, said: Callable[[str], Tree], extra: Tree) -> OwnReply:
    opening = {"model": request.model, "created_at": at.astimezone(UTC).isoformat().replace("+00:00", "Z")}
    end = {"done": True, "done_reason": "stop", **extra, **_NO_WORK}
    if not request.stream:
        return OwnReply(payloads=(_json({**opening, **said(text), **end}),), content_type=_NATIVE_WHOLE)
    lines = ({**opening, **said(text), "done": False}, {**opening, **said(""), **end})
    return OwnReply(
        payloads=tuple(_json(line) + b"\n" for line in lines), content_type=_NATIVE_STREAM, streamed=True
    )


_NO_WORK = {
    "total_duration": 0,
    "load_duration": 0,
    "prompt_eval_count": 0,
    "prompt_eval_duration": 0,
    "eval_count": 0,
    "eval_duration": 0,
}


# --- OpenAI's ---


def _openai_chat(request: Request, text: str, at: datetime) -> OwnReply:
    message = {"role": "assistant", "content": text}
    return _choices(
        request,
        at,
        name="chatcmpl",
        kinds=("chat.completion", "chat.completion.chunk"),
        whole={"message": message},
        pieces=({"delta": message}, {"delta": {}}),
    )


def _openai_completion(request: Request, text: str, at: datetime) -> OwnReply:
    return _choices(
        request,
        at,
        name="cmpl",
        kinds=("text_completion", "text_completion"),
        whole={"text": text},
        pieces=({"text": text}, {"text": ""}),
    )


def _choices(
    request: Request,
    at: datetime,
    *,
    name: str,
    kinds: tuple[str, str],
    whole: Tree,
    pieces: tuple[Tree, Tree],
) -> OwnReply:
    usage = {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}

    def tree(choices: list[Tree], extra: Mapping[str, Any]) -> Tree:
        return {
            "id": f"{name}-{_number(request, at) % 999}",
            "object": kinds[request.stream],
            "created": int(at.timestamp()),
            "model": request.model,
            "system_fingerprint": "fp_ollama",
            "choices": choices,
            **extra,
        }

    def choice(words: Tree, reason: str | None) -> list[Tree]:
        return [{"index": 0, **words, "finish_reason": reason}]

    if not request.stream:
        body = _json(tree(choice(whole, "stop"), usage)) + b"\n"
        return OwnReply(payloads=(body,), content_type=_WHOLE)
    first, last = (
        _json(tree(choice(words, why), {})) for words, why in zip(pieces, (None, "stop"), strict=True)
    )
    ending = [b"data: " + last + b"\n\n", _DONE]
    if told(request.tree, "stream_options").get("include_usage") is True:
        ending.insert(1, b"data: " + _json(tree([], usage)) + b"\n\n")
    # Ollama flushes the end in one piece.
    return OwnReply(
        payloads=(b"data: " + first + b"\n\n", b"".join(ending)), content_type=_EVENTS, streamed=True
    )


def _responses(request: Request, text: str, at: datetime) -> OwnReply:
    number = _number(request, at)
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {
        "id": f"msg_{number % 1_000_000}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }
    answer = _response(request, at, number)
    done = {**answer, "completed_at": int(at.timestamp()), "status": "completed", "output": [item]}
    done["usage"] = {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    if not request.stream:
        return OwnReply(payloads=(_json(done) + b"\n",), content_type=_WHOLE)
    here = {"output_index": 0, "item_id": item["id"], "content_index": 0}
    opened = {**item, "status": "in_progress", "content": []}
    events: list[tuple[str, Tree]] = [
        ("response.created", {"response": answer}),
        ("response.in_progress", {"response": answer}),
        ("response.output_item.added", {"output_index": 0, "item": opened}),
        ("response.content_part.added", {**here, "part": {**part, "text": ""}}),
        ("response.output_text.delta", {**here, "delta": text, "logprobs": []}),
        ("response.output_text.done", {**here, "text": text, "logprobs": []}),
        ("response.content_part.done", {**here, "part": part}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed", {"response": done}),
    ]
    numbered = [
        (name, {"type": name, "sequence_number": place, **tree}) for place, (name, tree) in enumerate(events)
    ]
    # Ollama makes these events from maps, whose keys Go sorts.
    return _named_events(numbered, option=orjson.OPT_SORT_KEYS)


def _response(request: Request, at: datetime, number: int) -> Tree:
    tree = request.tree
    return {
        "id": f"resp_{number % 1_000_000}",
        "object": "response",
        "created_at": int(at.timestamp()),
        "completed_at": None,
        "status": "in_progress",
        "incomplete_details": None,
        "model": request.model,
        "previous_response_id": None,
        "instructions": tree.get("instructions"),
        "output": [],
        "error": None,
        "tools": tree.get("tools") or [],
        "tool_choice": tree.get("tool_choice") or "auto",
        "truncation": tree.get("truncation") or "disabled",
        "parallel_tool_calls": True,
        "text": tree.get("text") or {"format": {"type": "text"}},
        "top_p": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_logprobs": 0,
        "temperature": 1,
        "reasoning": tree.get("reasoning"),
        "usage": None,
        "max_output_tokens": tree.get("max_output_tokens"),
        "max_tool_calls": None,
        "store": False,
        "background": False,
        "service_tier": "default",
        "metadata": {},
        "safety_identifier": None,
        "prompt_cache_key": None,
    }


# --- Anthropic's ---


def _anthropic(request: Request, text: str, at: datetime) -> OwnReply:
    message = {
        "id": f"msg_{_digest(request, at)[:24]}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
    }
    usage = {"input_tokens": 0, "output_tokens": 0}
    if not request.stream:
        content = [{"type": "text", "text": text}]
        whole = {**message, "content": content, "stop_reason": "end_turn", "usage": usage}
        return OwnReply(payloads=(_json(whole) + b"\n",), content_type=_WHOLE)
    block = {"index": 0}
    events: list[tuple[str, Tree]] = [
        ("message_start", {"message": {**message, "content": [], "usage": usage}}),
        ("content_block_start", {**block, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {**block, "delta": {"type": "text_delta", "text": text}}),
        ("content_block_stop", block),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": usage}),
        ("message_stop", {}),
    ]
    return _named_events([(name, {"type": name, **tree}) for name, tree in events])


# --- what they share ---


def _named_events(events: list[tuple[str, Tree]], *, option: int = 0) -> OwnReply:
    payloads = tuple(
        b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(tree, option=option))
        for name, tree in events
    )
    return OwnReply(payloads=payloads, content_type=_EVENTS, streamed=True, headers=_EVENT_HEADERS)


def _json(tree: Tree) -> bytes:
    return orjson.dumps(tree)


def _digest(request: Request, at: datetime) -> str:
    return hashlib.sha256(at.isoformat().encode() + request.body[-64:]).hexdigest()


def _number(request: Request, at: datetime) -> int:
    return int(_digest(request, at)[:12], 16)


_SHAPES: dict[str, Callable[[Request, str, datetime], OwnReply]] = {
    "ollama.chat": _chat,
    "ollama.generate": _generate,
    "openai.chat": _openai_chat,
    "openai.completions": _openai_completion,
    "openai.responses": _responses,
    "anthropic.messages": _anthropic,
}
