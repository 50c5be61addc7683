"""Promise: an inference request is read, planned and recorded; its end is passed on only when it is written."""

from __future__ import annotations

import asyncio

import pytest

from ltmld.proxy.server import Proxy
from tests.support.attendants import HoldingRecording, ObedientAttendant
from tests.support.raw_upstream import PATIENCE_S, RawUpstream, Wire, chunks, connect, until

CHAT = b"POST /api/chat HTTP/1.1\r\nHost: x\r\n"
BODY = b'{"messages":[]}'
PLAIN = CHAT + b"Content-Length: 15\r\n\r\n" + BODY
CHUNKED = CHAT + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"mes\r\na\r\nsages":[]}\r\n0\r\nX-Sum: 1\r\n\r\n'
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
TOKEN, DONE = b'{"done":false}\n', b'{"done":true}\n'


def chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


@pytest.fixture
def recording() -> HoldingRecording:
    return HoldingRecording()


@pytest.fixture
def attendant(proxy: Proxy, recording: HoldingRecording) -> ObedientAttendant:
    proxy.attendant = ObedientAttendant(recording=recording)
    proxy.attendant.may_attend.set()
    return proxy.attendant


async def closed(recording: HoldingRecording) -> list[str]:
    """Wait for the close, and return the errors of all closes."""
    await asyncio.wait_for(recording.ended.wait(), PATIENCE_S)
    return recording.closes


async def asked(client: Wire, upstream: RawUpstream) -> Wire:
    """Ask, and return Ollama's side with the request read."""
    await client.send(PLAIN)
    wire = await upstream.accept()
    await wire.message()
    return wire


# --- the request ---


@pytest.mark.parametrize("request_bytes", [PLAIN, CHUNKED], ids=["length", "chunked"])
@pytest.mark.usefixtures("attendant")
async def test_a_body_handed_back_untouched_goes_on_in_its_framing(
    client: Wire, upstream: RawUpstream, request_bytes: bytes
) -> None:
    await client.send(request_bytes)
    wire = await upstream.accept()
    assert await wire.exactly(len(request_bytes)) == request_bytes


async def test_the_attendant_sees_the_whole_body_and_the_head_as_it_came(
    client: Wire, upstream: RawUpstream, attendant: ObedientAttendant
) -> None:
    await client.send(CHUNKED.replace(b"Host: x", b"Host: x\r\nX-LTMLD-Scope: me"))
    request = await upstream.answer(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert attendant.bodies == [BODY]
    assert attendant.heads[0].get(b"x-ltmld-scope") == b"me"
    assert (attendant.heads[0].target, attendant.heads[0].peer) == ("/api/chat", "127.0.0.1")
    assert request.get(b"x-ltmld-scope") is None


@pytest.mark.parametrize("request_bytes", [PLAIN, CHUNKED], ids=["length", "chunked"])
async def test_a_rewritten_body_gets_a_length_of_its_own(
    client: Wire, upstream: RawUpstream, attendant: ObedientAttendant, request_bytes: bytes
) -> None:
    attendant.inject, attendant.drop_headers = b'{"longer":"than before"}', frozenset({b"content-encoding"})
    await client.send(request_bytes.replace(b"Host: x", b"Host: x\r\nContent-Encoding: zstd\r\nX-A: 1"))
    request = await upstream.answer(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert request.names() == [b"Host", b"X-A", b"Content-Length"]
    assert request.body == b'{"longer":"than before"}'


@pytest.mark.usefixtures("attendant")
async def test_a_body_that_is_expected_is_asked_for_here(client: Wire, upstream: RawUpstream) -> None:
    await client.send(CHAT + b"Content-Length: 15\r\nExpect: 100-continue\r\n\r\n")
    assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(BODY)
    request = await upstream.answer(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (request.get(b"expect"), request.body) == (None, BODY)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 150000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n249f0\r\n"]
)
async def test_a_body_over_the_limit_passes_unread(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, attendant: ObedientAttendant, framing: bytes
) -> None:
    await cold_client.send(
        CHAT + framing + b"x" * 150_000 + (b"\r\n0\r\n\r\n" if b"chunked" in framing else b"")
    )
    request = await upstream.answer(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert request.payload == b"x" * 150_000
    assert (await cold_client.message()).first == b"HTTP/1.1 204 No Content"
    assert (attendant.bodies, proxy.stats.unread, proxy.stats.looked_into) == ([], 1, 0)


async def test_other_requests_are_not_looked_into(
    client: Wire, upstream: RawUpstream, attendant: ObedientAttendant
) -> None:
    await client.send(b"POST /api/embed HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
    await upstream.answer(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert attendant.bodies == []


async def test_the_attendant_may_come_later(client: Wire, upstream: RawUpstream, proxy: Proxy) -> None:
    wire = await asked(client, upstream)
    await wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    await client.message()
    proxy.attendant = late = ObedientAttendant()
    late.may_attend.set()
    await client.send(PLAIN)
    await wire.message()
    assert (late.bodies, proxy.stats.looked_into) == ([BODY], 1)


async def test_a_request_that_met_a_dead_connection_is_sent_again_as_planned(
    client: Wire, upstream: RawUpstream, attendant: ObedientAttendant, proxy: Proxy
) -> None:
    wire = await asked(client, upstream)
    await wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    await client.message()
    attendant.inject = b"y" * 200_000
    await client.send(PLAIN)
    await wire.message()
    wire.reset()
    assert (await upstream.answer(b"HTTP/1.1 204 No Content\r\n\r\n")).body == b"y" * 200_000
    assert (proxy.stats.retried, len(attendant.bodies)) == (1, 2)


# --- the answer ---


async def test_the_terminator_waits_until_the_exchange_is_committed(
    client: Wire, upstream: RawUpstream, recording: HoldingRecording, attendant: ObedientAttendant
) -> None:
    wire = await asked(client, upstream)
    await wire.send(STREAM + chunk(TOKEN))
    assert (await client.until(TOKEN + b"\r\n")).endswith(chunk(TOKEN))
    await wire.send(chunk(DONE) + b"0\r\n\r\n")
    await asyncio.wait_for(recording.committing.wait(), PATIENCE_S)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.reader.read(1), 0.05)
    assert attendant.bodies
    recording.may_commit.set()
    assert await client.some() == chunk(DONE) + b"0\r\n\r\n"
    assert await closed(recording) == [""]
    assert recording.order == ["begin", "feed", "feed", "commit", "committed", "close"]
    assert recording.begun == (200, "application/x-ndjson")


async def test_a_chunk_is_cut_where_the_terminator_begins(
    client: Wire, upstream: RawUpstream, recording: HoldingRecording, attendant: ObedientAttendant
) -> None:
    wire = await asked(client, upstream)
    await wire.send(STREAM + chunk(TOKEN + TOKEN + DONE + b"after\n") + chunk(b"and after"))
    assert (await client.until(b"\r\n\r\n")) + await client.exactly(len(chunk(TOKEN * 2))) == STREAM + chunk(
        TOKEN * 2
    )
    recording.may_commit.set()
    await wire.send(chunk(b"later") + b"0\r\n\r\n")
    rest = await client.until(b"0\r\n\r\n")
    assert b"".join(chunks(rest)) == DONE + b"after\nand afterlater"
    assert b"later" not in recording.seen
    assert await closed(recording) == [""]
    assert attendant.bodies


@pytest.mark.usefixtures("attendant")
async def test_a_whole_json_answer_is_held_until_it_is_committed(
    client: Wire, upstream: RawUpstream, recording: HoldingRecording
) -> None:
    wire = await asked(client, upstream)
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n" + DONE)
    await client.until(b"\r\n\r\n")
    await asyncio.wait_for(recording.committing.wait(), PATIENCE_S)
    recording.may_commit.set()
    assert await client.exactly(14) == DONE
    assert await closed(recording) == [""]
    await client.send(PLAIN)
    await wire.message()  # both connections live on


@pytest.mark.usefixtures("attendant")
@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"], ids=["1.1", "1.0"])
@pytest.mark.parametrize("body", [DONE, TOKEN + DONE], ids=["whole", "streamed"])
async def test_the_terminator_of_an_answer_that_ends_by_closing_waits_and_comes(
    cold_client: Wire,
    upstream: RawUpstream,
    proxy: Proxy,
    recording: HoldingRecording,
    head: bytes,
    body: bytes,
) -> None:
    wire = await asked(cold_client, upstream)
    await wire.send(head + body)
    await asyncio.wait_for(recording.committing.wait(), PATIENCE_S)
    wire.close()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cold_client.until(DONE), 0.05)
    assert proxy.stats.open == 1
    recording.may_commit.set()
    assert (await cold_client.rest()).endswith(body)
    assert await closed(recording) == [""]
    assert (recording.order[-2:], proxy.stats.open) == (["committed", "close"], 0)


@pytest.mark.usefixtures("attendant")
async def test_a_body_that_ends_without_terminator_is_passed_whole_and_closed(
    client: Wire, upstream: RawUpstream, recording: HoldingRecording
) -> None:
    wire = await asked(client, upstream)
    await wire.send(STREAM + chunk(b'{"error":"no newline"}') + b"0\r\n\r\n")
    assert (await client.message()).payload == b'{"error":"no newline"}'
    assert await closed(recording) == [""]
    assert recording.commits == 0


# --- the endings ---


@pytest.mark.usefixtures("attendant")
async def test_a_client_that_hangs_up_right_after_the_terminator_is_recorded_complete(
    client: Wire, upstream: RawUpstream, recording: HoldingRecording
) -> None:
    recording.may_commit.set()
    wire = await asked(client, upstream)
    await wire.send(STREAM + chunk(TOKEN) + chunk(DONE))
    await client.until(DONE + b"\r\n")
    client.reset()
    await wire.gone()
    assert await closed(recording) == [""]
    assert recording.order[-3:] == ["commit", "committed", "close"]


@pytest.mark.usefixtures("attendant")
async def test_a_client_that_goes_mid_stream_leaves_a_record(
    client: Wire, upstream: RawUpstream, proxy: Proxy, recording: HoldingRecording
) -> None:
    wire = await asked(client, upstream)
    await wire.send(STREAM + chunk(TOKEN))
    await client.until(TOKEN)
    client.close()
    await wire.gone()
    assert await closed(recording) == [""]
    assert (recording.seen, recording.commits, proxy.stats.inference_open) == (TOKEN, 0, 0)


@pytest.mark.usefixtures("attendant")
async def test_a_client_that_goes_during_the_commit_does_not_hurry_it(
    client: Wire, upstream: RawUpstream, recording: HoldingRecording
) -> None:
    wire = await asked(client, upstream)
    await wire.send(STREAM + chunk(DONE))
    await asyncio.wait_for(recording.committing.wait(), PATIENCE_S)
    client.close()
    await wire.gone()
    assert recording.closes == []
    recording.may_commit.set()
    assert await closed(recording) == [""]
    assert recording.order[-2:] == ["committed", "close"]


async def test_a_client_that_goes_while_attended_never_reaches_ollama(
    cold_client: Wire,
    upstream: RawUpstream,
    proxy: Proxy,
    attendant: ObedientAttendant,
    recording: HoldingRecording,
) -> None:
    attendant.may_attend.clear()
    await cold_client.send(PLAIN)
    await asyncio.wait_for(attendant.attending.wait(), PATIENCE_S)
    cold_client.close()
    await until(lambda: proxy.stats.open == 0)
    attendant.may_attend.set()
    assert await closed(recording) == [""]
    assert (upstream.wires, recording.order) == ([], ["close"])


@pytest.mark.usefixtures("attendant")
async def test_ollama_dying_mid_stream_is_in_the_record(
    client: Wire, upstream: RawUpstream, recording: HoldingRecording
) -> None:
    wire = await asked(client, upstream)
    await wire.send(STREAM + chunk(TOKEN) + b"9\r\nhal")
    await client.until(TOKEN)
    wire.reset()
    assert b"0\r\n\r\n" not in await client.rest()
    (error,) = await closed(recording)
    assert "broke off in the middle" in error
    assert recording.seen == TOKEN + b"hal"


@pytest.mark.usefixtures("attendant")
async def test_ollama_dying_behind_the_terminator_loses_neither_line_nor_record(
    client: Wire, upstream: RawUpstream, recording: HoldingRecording
) -> None:
    wire = await asked(client, upstream)
    await wire.send(STREAM + chunk(DONE))
    await asyncio.wait_for(recording.committing.wait(), PATIENCE_S)
    wire.reset()
    await asyncio.sleep(0)
    recording.may_commit.set()
    assert (await client.rest()).endswith(chunk(DONE))
    assert "broke off" in (await closed(recording))[0]
    assert recording.order[-2:] == ["committed", "close"]


async def test_without_ollama_the_attendant_words_the_502_and_the_record_is_closed(
    client: Wire, upstream: RawUpstream, attendant: ObedientAttendant, recording: HoldingRecording
) -> None:
    await upstream.stop()
    await client.send(PLAIN)
    answer = await client.message()
    assert (answer.first, answer.body) == (b"HTTP/1.1 502 Bad Gateway", b'{"mine":true}')
    assert "cannot be reached" in attendant.messages[0]
    assert await closed(recording) == attendant.messages


@pytest.mark.usefixtures("attendant")
async def test_what_piles_up_behind_a_slow_commit_stops_ollama(
    client: Wire, upstream: RawUpstream, recording: HoldingRecording
) -> None:
    wire = await asked(client, upstream)
    whole = 20_000_000
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(DONE) + whole) + DONE)
    await asyncio.wait_for(recording.committing.wait(), PATIENCE_S)
    wire.writer.write(b"x" * whole)
    assert await wire.unsent() > 10_000_000
    recording.may_commit.set()
    assert len((await client.message()).body) == len(DONE) + whole


@pytest.mark.usefixtures("attendant")
async def test_stopping_waits_for_the_record(
    upstream: RawUpstream, proxy: Proxy, recording: HoldingRecording
) -> None:
    async with await connect(proxy.port) as client:
        wire = await asked(client, upstream)
        await wire.send(STREAM + chunk(DONE))
        await asyncio.wait_for(recording.committing.wait(), PATIENCE_S)
        stopping = asyncio.create_task(proxy.stop())
        recording.may_commit.set()
        await wire.send(b"0\r\n\r\n")
        assert (await client.message()).payload == DONE
        await stopping
    assert recording.closes == [""]


@pytest.mark.usefixtures("attendant")
async def test_stopping_waits_for_a_record_whose_client_has_gone(
    client: Wire, upstream: RawUpstream, proxy: Proxy, recording: HoldingRecording
) -> None:
    wire = await asked(client, upstream)
    await wire.send(STREAM + chunk(DONE))
    await asyncio.wait_for(recording.committing.wait(), PATIENCE_S)
    client.close()
    await wire.gone()
    stopping = asyncio.create_task(proxy.stop())
    await until(lambda: proxy.stats.open == 0)
    asyncio.get_running_loop().call_later(0.05, recording.may_commit.set)
    await stopping
    assert recording.order[-2:] == ["committed", "close"]


async def test_the_counters_tell_sleep_when_nobody_talks(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy
) -> None:
    wire = await asked(cold_client, upstream)
    assert (proxy.stats.inference_open, proxy.stats.open) == (1, 1)
    began = proxy.stats.last_inference_at
    await wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    await cold_client.message()
    assert (proxy.stats.inference_open, proxy.stats.open, proxy.stats.requests) == (0, 0, 1)
    assert proxy.stats.last_inference_at > began
    await cold_client.send(b"GET /api/tags HTTP/1.1\r\nHost: x\r\n\r\n")
    await wire.message()
    assert (proxy.stats.inference_open, proxy.stats.open) == (0, 1)
    assert proxy.stats.as_dict()["requests"] == 2
