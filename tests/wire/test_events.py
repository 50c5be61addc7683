"""Any stream of events, cut anywhere: nothing is lost, nothing passes before its time, and the same is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltmld.core.exchange import Reply
from tests.wire.relaying import capture_for, cut, relayed


def event(tree: dict[str, Any]) -> bytes:
    kind = f"event: {tree['type']}\n" if "type" in tree else ""
    return f"{kind}data: {json.dumps(tree, ensure_ascii=False)}\n\n".encode()


WORD = "né\N{EARTH GLOBE EUROPE-AFRICA}"
# What any server may put between events: comments, other line ends, several lines of data, what is no JSON.
ANYTHING = [
    b": ping\n\n",
    b"retry: 5\r\n\r\n",
    b'data: {"a":\ndata: 1}\n\n',
    b"data: no json\n\n",
    b"\n",
    b"id: 1\n",
]
ERROR = event({"error": {"message": "it died"}})
KNOWN = {
    "/v1/chat/completions": (
        [
            event({"model": "m", "choices": [{"index": 0, "delta": {"content": WORD}}]}),
            event({"model": "m", "choices": [{"index": 0, "delta": {"reasoning": WORD}}]}),
            event({"model": "m", "choices": [{"index": 1, "delta": {"content": "another"}}]}),
            event({"model": "m", "choices": [], "usage": {"prompt_tokens": 1}}),
        ],
        [
            event({"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            b"data: [DONE]\n\n",
        ],
    ),
    "/v1/responses": (
        [
            event({"type": "response.created", "response": {"model": "m"}}),
            event({"type": "response.output_text.delta", "delta": WORD}),
            event({"type": "response.reasoning_summary_text.delta", "delta": WORD}),
            event({"type": "response.something.new", "delta": "x"}),
        ],
        [event({"type": "response.completed", "response": {"model": "m", "status": "completed"}})],
    ),
    "/v1/messages": (
        [
            event({"type": "message_start", "message": {"model": "m"}}),
            event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": WORD}}),
            event({"type": "ping"}),
        ],
        [
            event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
            event({"type": "message_stop"}),
        ],
    ),
}


@pytest.mark.parametrize("path", KNOWN)
@given(data=st.data())
@settings(max_examples=60)
def test_a_stream_of_events_is_one_stream_however_it_is_cut(path: str, data: st.DataObject) -> None:
    pieces, end = KNOWN[path]
    written = data.draw(st.lists(st.sampled_from([*pieces, *ANYTHING, ERROR]), max_size=8))
    written += data.draw(st.sampled_from([end, end[:-1], []]))
    written += data.draw(st.lists(st.sampled_from([*pieces, b"tail"]), max_size=2))
    if data.draw(st.booleans()):
        written = [piece.replace(b"\n", b"\r\n") for piece in written]
    body = b"".join(written)
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=20))
    whole = read(path, [body])
    assert read(path, written) == read(path, cut(body, places)) == whole
    before, after, complete, reply = whole
    assert before + after == body
    assert (b"\n\n" + before.replace(b"\r", b"")).endswith(b"\n\n")
    assert end[-1].strip() not in before.replace(b"\r", b"")
    assert complete == (end[-1].strip() in body.replace(b"\r", b""))
    assert isinstance(reply, Reply)


def read(path: str, chunks: list[bytes]) -> tuple[bytes, bytes, bool, Reply]:
    capture = capture_for(path)
    capture.begin(status=200, content_type="text/event-stream")
    before, after, reply = relayed(capture, chunks)
    return before, after, capture.complete, reply
