"""A reply above a limit is relayed to its end all the same, and kept as far as the limit goes."""

from __future__ import annotations

import contextlib

import orjson
import pytest

from ltmld.errors import WireError
from ltmld.wire.dialects import dialect_for
from ltmld.wire.framing import LINE_BYTES_MAX
from tests.support.recordings import recorded
from tests.wire.relaying import begun, capture_for, relayed
from tests.wire.test_capture import STORY


def test_a_reply_above_the_limit_is_cut_and_still_relayed_to_its_end() -> None:
    case = recorded("chat-stream")
    capture = begun(case, bytes_max=12)
    before, after, reply = relayed(capture, case.response.pieces)
    assert before + after == case.response.body
    assert capture.complete
    assert reply.text == STORY[:12]


@pytest.mark.parametrize("depth", [100, 980, 1020, 100_000])
@pytest.mark.parametrize(
    ("path", "media", "body"),
    [
        (
            "/api/chat",
            "application/x-ndjson",
            b'{"message":{"tool_calls":[{"function":{"name":"look","arguments":{"a":%s}}}]}}\n',
        ),
        (
            "/v1/messages",
            "text/event-stream",
            b'data: {"type":"content_block_start","content_block":{"type":"tool_use","input":{"a":%s}}}\n\n',
        ),
    ],
)
def test_an_answer_too_deep_to_be_kept_is_relayed(path: str, media: str, body: bytes, depth: int) -> None:
    capture = capture_for(path)
    capture.begin(status=200, content_type=media)
    deep = body % (b"[" * depth + b"]" * depth)
    assert capture.feed(deep) == len(deep)
    assert len(capture.reply().tool_calls) <= 1


@pytest.mark.parametrize("depth", [900, 980, 1020, 100_000])
def test_a_request_too_deep_to_be_kept_is_read_or_left_alone(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    call = b'{"type":"tool_use","id":"t","name":"look","input":{"a":%s}}' % deep
    dialect = dialect_for("POST", "/v1/messages")
    assert dialect is not None
    with contextlib.suppress(WireError):
        dialect.parse(b'{"messages":[{"role":"assistant","content":[%s]}]}' % call)


def test_the_limit_never_splits_a_character() -> None:
    capture = capture_for("/api/generate", bytes_max=4)
    capture.begin(status=200, content_type="application/x-ndjson")
    capture.feed(orjson.dumps({"response": "aé\N{SNOWMAN}z"}) + b"\n")
    capture.feed(orjson.dumps({"response": "b"}) + b"\n")
    assert capture.reply().text == "aé"


def test_a_document_above_the_limit_is_let_go() -> None:
    case = recorded("v1-chat-nonstream")
    capture = begun(case, bytes_max=100)
    assert capture.feed(case.response.body[:80]) == 0
    assert capture.feed(case.response.body[80:200]) == 200
    assert capture.feed(case.response.body[200:]) == len(case.response.body) - 200
    assert not capture.complete


def test_a_line_too_long_to_hold_is_let_go_and_the_next_is_read() -> None:
    capture = capture_for("/api/chat")
    capture.begin(status=200, content_type="application/x-ndjson")
    first, piece = b'{"x":"', b"y" * (LINE_BYTES_MAX // 4)
    last = b'"}\n{"message":{"content":"hi"}}\n'
    passed = [capture.feed(part) for part in (first, *[piece] * 6, last)]
    assert sum(passed) == len(first) + 6 * len(piece) + len(last)
    assert passed[:4] == [0, 0, 0, 0]
    assert capture.reply().text == "hi"
    assert not capture.unfinished  # what was let go may have been the end
    assert capture.feed(b'{"done":true}\n') == 0
    assert capture.complete
