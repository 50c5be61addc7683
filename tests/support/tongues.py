"""Each dialect as a client writes it and as Ollama answers it: requests from words, answers from words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Said = dict[str, Any]
"""One message: role, text, and perhaps ``tool_calls`` (name, arguments, id), ``tool_call_id``, ``images``."""

CHAT, GENERATE = "/api/chat", "/api/generate"
OPENAI, RESPONSES, ANTHROPIC = "/v1/chat/completions", "/v1/responses", "/v1/messages"
CHATS = (CHAT, OPENAI, RESPONSES, ANTHROPIC)
EVERY = (*CHATS, GENERATE)

NDJSON, SSE = "application/x-ndjson", "text/event-stream"
MEDIA = {CHAT: NDJSON, GENERATE: NDJSON, OPENAI: SSE, RESPONSES: SSE, ANTHROPIC: SSE}


def request(path: str, said: Sequence[Said], *, model: str = "m", **more: Any) -> bytes:
    """Return the body of a request of a streaming client with these messages."""
    body: dict[str, Any] = {"model": model, "stream": True, **more}
    match path:
        case "/api/chat":
            body["messages"] = [_native(one) for one in said]
        case "/v1/chat/completions":
            body["messages"] = [_openai(one) for one in said]
        case "/v1/responses":
            body["input"] = [item for one in said for item in _items(one)]
        case "/v1/messages":
            body["system"] = "\n\n".join(one["text"] for one in said if one["role"] == "system")
            body["messages"] = [_anthropic(one) for one in said if one["role"] != "system"]
            body["max_tokens"] = 1000
        case _:
            body["prompt"] = said[-1]["text"]
    return json.dumps(body).encode()


def pieces(path: str, text: str, *, calls: Sequence[Said] = ()) -> list[bytes]:
    """Return the lines or events of an answer that brings *text* and *calls*, without its end."""
    words = [word + " " for word in text.split(" ")[:-1]] + text.split(" ")[-1:] if text else []
    match path:
        case "/api/chat":
            lines = [_line({"message": {"role": "assistant", "content": word}}) for word in words]
            made = [{"id": call["id"], "function": _function(call, spelled=False)} for call in calls]
            return lines + ([_line({"message": {"role": "assistant", "tool_calls": made}})] if made else [])
        case "/api/generate":
            return [_line({"response": word}) for word in words]
        case "/v1/chat/completions":
            made = [
                {"index": at, "id": one["id"], "function": _function(one)} for at, one in enumerate(calls)
            ]
            deltas: list[Said] = [{"content": word} for word in words] + (
                [{"tool_calls": made}] if made else []
            )
            return [_choice({"delta": delta}) for delta in deltas]
        case "/v1/responses":
            return [_event({"type": "response.output_text.delta", "delta": word}) for word in words] + [
                _event({"type": "response.output_item.done", "output_index": at, "item": _call_item(one)})
                for at, one in enumerate(calls)
            ]
        case _:
            return _blocks(words, calls)


def end(path: str, text: str = "", *, calls: Sequence[Said] = (), context: Sequence[int] = ()) -> list[bytes]:
    """Return the lines or events that end an answer."""
    match path:
        case "/api/chat":
            return [
                _line({"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"})
            ]
        case "/api/generate":
            return [_line({"response": "", "done": True, "done_reason": "stop", "context": list(context)})]
        case "/v1/chat/completions":
            return [_choice({"delta": {}, "finish_reason": "stop"}), b"data: [DONE]\n\n"]
        case "/v1/responses":
            output = ([_message_item(text)] if text else []) + [_call_item(one) for one in calls]
            whole = {"model": "m", "status": "completed", "output": output}
            return [_event({"type": "response.completed", "response": whole})]
        case _:
            delta = {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": 1},
            }
            return [_event(delta), _event({"type": "message_stop"})]


def failing(path: str) -> list[bytes]:
    """Return what Ollama writes when it fails in mid-stream: an error, or a chunk that says nothing, or nothing."""
    match path:
        case "/api/chat" | "/api/generate":
            return [b'{"error":"the runner has stopped"}\n']
        case "/v1/chat/completions":
            return [b'data: {"model":"","choices":[{"index":0,"delta":{"content":""}}]}\n\n']
        case _:
            return []


def _line(fields: Said) -> bytes:
    return json.dumps({"model": "m", "done": False} | fields).encode() + b"\n"


def _choice(choice: Said) -> bytes:
    return b"data: " + json.dumps({"model": "m", "choices": [{"index": 0} | choice]}).encode() + b"\n\n"


def _event(fields: Said) -> bytes:
    return f"event: {fields['type']}\ndata: {json.dumps(fields)}\n\n".encode()


def _function(call: Said, *, spelled: bool = True) -> Said:
    arguments = call["arguments"]
    return {"name": call["name"], "arguments": json.dumps(arguments) if spelled else arguments}


def _native(one: Said) -> Said:
    made: Said = {"role": one["role"], "content": one.get("text", "")}
    if one.get("tool_calls"):
        made["tool_calls"] = [{"function": _function(call, spelled=False)} for call in one["tool_calls"]]
    made |= {name: one[name] for name in ("images", "thinking") if name in one}
    return made


def _openai(one: Said) -> Said:
    made: Said = {"role": one["role"], "content": one.get("text", "")}
    if one.get("tool_calls"):
        made["tool_calls"] = [
            {"id": call["id"], "type": "function", "function": _function(call)} for call in one["tool_calls"]
        ]
    if one.get("images"):
        images = [{"type": "image_url", "image_url": {"url": _data(image)}} for image in one["images"]]
        made["content"] = [{"type": "text", "text": one["text"]}, *images]
    if "tool_call_id" in one:
        made["tool_call_id"] = one["tool_call_id"]
    return made


def _anthropic(one: Said) -> Said:
    if one["role"] == "tool":
        result = {"type": "tool_result", "tool_use_id": one.get("tool_call_id", ""), "content": one["text"]}
        return {"role": "user", "content": [result]}
    blocks: list[Said] = [{"type": "text", "text": one["text"]}] if one.get("text") else []
    blocks += [
        {"type": "tool_use", "id": call["id"], "name": call["name"], "input": call["arguments"]}
        for call in one.get("tool_calls", ())
    ]
    for image in one.get("images", ()):
        source = {"type": "base64", "media_type": "image/png", "data": image}
        blocks.append({"type": "image", "source": source})
    return {"role": one["role"], "content": blocks}


def _items(one: Said) -> list[Said]:
    if one["role"] == "tool":
        output = {
            "type": "function_call_output",
            "call_id": one.get("tool_call_id", ""),
            "output": one["text"],
        }
        return [output]
    calls = [_call_item(call) for call in one.get("tool_calls", ())]
    if not one.get("text"):
        return calls
    kind = "output_text" if one["role"] == "assistant" else "input_text"
    parts: list[Said] = [{"type": kind, "text": one["text"]}]
    parts += [{"type": "input_image", "image_url": _data(image)} for image in one.get("images", ())]
    return [{"type": "message", "role": one["role"], "content": parts}, *calls]


def _message_item(text: str) -> Said:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def _call_item(call: Said) -> Said:
    arguments = json.dumps(call["arguments"])
    return {"type": "function_call", "call_id": call["id"], "name": call["name"], "arguments": arguments}


def _blocks(words: Sequence[str], calls: Sequence[Said]) -> list[bytes]:
    opened = {"type": "message_start", "message": {"role": "assistant", "model": "m", "content": []}}
    events: list[Said] = [opened]
    if words:
        block: Said = {"type": "text", "text": ""}
        events.append({"type": "content_block_start", "index": 0, "content_block": block})
        for word in words:
            delta = {"type": "text_delta", "text": word}
            events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    for at, call in enumerate(calls, 1):
        block = {"type": "tool_use", "id": call["id"], "name": call["name"], "input": {}}
        events.append({"type": "content_block_start", "index": at, "content_block": block})
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call["arguments"])}
        events.append({"type": "content_block_delta", "index": at, "delta": delta})
    return [_event(event) for event in events]


def _data(image: str) -> str:
    return f"data:image/png;base64,{image}"
