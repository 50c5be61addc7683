"""ltmld's own words have the shape of Ollama's: the same fields in the same order, in the same flushes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from ltmld.core.ports import OwnReply
from ltmld.wire.dialects import dialect_for
from ltmld.wire.own_reply import answers, own_reply
from tests.support.recordings import recorded

AT = datetime(2026, 11, 20, 23, 46, 28, 978239, tzinfo=UTC)
ROUTES = ("/api/chat", "/api/generate", "/v1/chat/completions", "/v1/responses", "/v1/messages")
WORDS = 'Memory is **on** here.\nIt holds "12" things \N{LEMON}.'


def request_of(path: str, body: bytes | dict[str, Any]) -> Any:
    dialect = dialect_for("POST", path)
    assert dialect is not None
    return dialect.parse(body if isinstance(body, bytes) else orjson.dumps(body))


def asked(path: str, *, stream: bool, **more: Any) -> OwnReply:
    said = {"messages": [{"role": "user", "content": "/ltm"}], "prompt": "/ltm", "input": "/ltm"}
    request = request_of(path, {"model": "tiny", "stream": stream, **said, **more})
    return own_reply(request, WORDS, at=AT)


def like(case: str) -> OwnReply:
    """Return ltmld's answer to a recorded request."""
    recording = recorded(case)
    return own_reply(request_of(recording.target.partition("?")[0], recording.request.body), WORDS, at=AT)


def shape(value: Any) -> Any:
    """Return the names and types of a tree, in order."""
    match value:
        case dict():
            return [(name, shape(member)) for name, member in value.items()]
        case list():
            return [shape(value[0])] if value else []
        case bool() | None:
            return value
        case int() | float():
            return 0
        case _:
            return "text"


def events(payload: bytes) -> list[tuple[bytes, Any]]:
    """Return the events of one flush: name and shape."""
    found = []
    for block in payload.split(b"\n\n"):
        lines = dict(line.split(b": ", 1) for line in block.splitlines())
        data = lines.get(b"data", b"")
        if data:
            found.append((lines.get(b"event", b""), data if data == b"[DONE]" else shape(orjson.loads(data))))
    return found


@pytest.mark.parametrize(
    "case",
    ["chat-options", "generate-system", "v1-chat-nonstream", "v1-responses", "v1-messages-beta-query"],
)
def test_a_whole_answer_has_the_fields_of_ollamas(case: str) -> None:
    theirs, ours = recorded(case).response, like(case)
    [body] = ours.payloads
    wanted = [(name, made) for name, made in shape(orjson.loads(theirs.body)) if name != "context"]
    assert shape(orjson.loads(body)) == wanted
    assert body.endswith(b"\n") is theirs.body.endswith(b"\n")
    assert (ours.content_type, ours.streamed) == (theirs.header("Content-Type"), False)


@pytest.mark.parametrize("case", ["chat-stream", "generate-stream"])
def test_a_stream_of_lines_has_the_lines_of_ollamas(case: str) -> None:
    theirs, ours = recorded(case).response, like(case)
    for mine, its in zip(ours.payloads, (theirs.pieces[0], theirs.pieces[-1]), strict=True):
        wanted = [(name, made) for name, made in shape(orjson.loads(its)) if name != "context"]
        assert shape(orjson.loads(mine)) == wanted
        assert mine.endswith(b"}\n")
    assert (ours.content_type, ours.streamed) == (theirs.header("Content-Type"), True)


@pytest.mark.parametrize("case", ["v1-chat-stream", "v1-chat-stream-usage"])
def test_a_stream_of_chunks_has_the_flushes_of_ollamas(case: str) -> None:
    theirs, ours = recorded(case).response, like(case)
    assert [events(mine) for mine in ours.payloads] == [events(theirs.pieces[0]), events(theirs.pieces[-1])]
    assert (ours.content_type, ours.streamed) == (theirs.header("Content-Type"), True)


def test_a_stream_of_messages_has_the_events_of_anthropics_dialect() -> None:
    theirs, ours = recorded("queue-messages-0").response, like("queue-messages-0")
    words = [piece for piece in theirs.pieces if b"content_block_delta" in piece]
    wanted = [piece for piece in theirs.pieces if piece not in words[1:]]
    assert [events(mine) for mine in ours.payloads] == [events(its) for its in wanted]
    assert ours.headers == (("Cache-Control", theirs.header("Cache-Control")),)


def test_a_stream_of_responses_begins_with_the_events_of_ollamas_and_comes_to_its_end() -> None:
    theirs, ours = recorded("midstream-error-v1-responses").response, like("midstream-error-v1-responses")
    assert [events(mine) for mine in ours.payloads[:5]] == [events(its) for its in theirs.pieces[:5]]
    assert [events(mine)[0][0].decode() for mine in ours.payloads[5:]] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    numbers = [orjson.loads(mine.split(b"data: ")[1])["sequence_number"] for mine in ours.payloads]
    assert numbers == list(range(9))


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("path", ROUTES)
def test_ltmlds_own_reader_reads_the_words_and_the_end(path: str, *, stream: bool) -> None:
    dialect, reply = dialect_for("POST", path), asked(path, stream=stream)
    assert dialect is not None
    capture = dialect.capture(bytes_max=100_000)
    capture.begin(status=200, content_type=reply.content_type)
    for payload in reply.payloads:
        capture.feed(payload)
    capture.end()
    assert capture.complete
    assert capture.reply().text == WORDS


def test_a_generate_gets_its_context_back() -> None:
    [body] = asked("/api/generate", stream=False, context=[1, 2, 3]).payloads
    assert orjson.loads(body)["context"] == [1, 2, 3]
    last = asked("/api/generate", stream=True, context=[1, 2, 3]).payloads[-1]
    assert orjson.loads(last)["context"] == [1, 2, 3]
    assert "context" not in orjson.loads(asked("/api/generate", stream=False).payloads[0])


def test_responses_echo_the_clients_instructions_and_tools() -> None:
    tools = [{"type": "function", "name": "clock"}]
    [body] = asked("/v1/responses", stream=False, instructions="Be brief.", tools=tools).payloads
    answer = orjson.loads(body)
    assert (answer["instructions"], answer["tools"]) == ("Be brief.", tools)


def test_another_pages_origin_is_told_that_it_may_read() -> None:
    reply = own_reply(
        request_of("/api/chat", {"messages": [{"role": "user", "content": "/ltm"}]}),
        WORDS,
        at=AT,
        origin="http://localhost:5173",
    )
    theirs = recorded("cors-get-allowed").response
    assert {name for name, _ in reply.headers} <= {name for name, _ in theirs.headers}
    assert dict(reply.headers)["Access-Control-Allow-Origin"] == "http://localhost:5173"


def test_every_dialect_has_a_shape() -> None:
    for path in ROUTES:
        dialect = dialect_for("POST", path)
        assert dialect is not None
        assert answers(dialect.name)
