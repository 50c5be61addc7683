"""Promise: a client that goes away stops Ollama within 50 ms, whatever was going on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from ltmld.proxy.server import Proxy
from tests.support.attendants import HoldingRecording, ObedientAttendant
from tests.support.raw_upstream import PATIENCE_S, RawUpstream, Wire, until

GONE_S_MAX = 0.05
GET = b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHAT = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
WHOLE = CHAT + b"16\r\n\r\n" + b'{"stream":false}'
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b'{"done":true}\n'

Stage = tuple[Wire, RawUpstream, ObedientAttendant]


async def asked(stage: Stage, request: bytes, begun: bytes = b"") -> Wire:
    """Send *request* whole, answer with *begun*, and wait until the client has it."""
    client, upstream, _ = stage
    await client.send(request)
    wire = await upstream.accept()
    await wire.message()
    if begun:
        await wire.send(begun)
        await client.until(begun[-4:])
    return wire


async def before_the_first_byte(stage: Stage) -> Wire:
    return await asked(stage, GET)


async def before_the_first_byte_of_a_chat(stage: Stage) -> Wire:
    return await asked(stage, WHOLE)


async def in_the_middle_of_a_stream(stage: Stage) -> Wire:
    return await asked(stage, WHOLE, STREAM + b"6\r\ntoken\n\r\n")


async def in_the_middle_of_a_counted_answer(stage: Stage) -> Wire:
    return await asked(stage, GET, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


async def in_the_middle_of_an_answer_that_ends_by_closing(stage: Stage) -> Wire:
    return await asked(stage, GET, b"HTTP/1.1 200 OK\r\n\r\nhalf")


async def after_half_a_head(stage: Stage) -> Wire:
    wire = await asked(stage, GET)
    await wire.send(b"HTTP/1.1 200 OK\r\nX: ")
    return wire


async def during_an_upload(stage: Stage) -> Wire:
    client, upstream, _ = stage
    await client.send(b"POST /api/blobs/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
    wire = await upstream.accept()
    await wire.until(b"half")
    return wire


async def during_a_chunked_upload(stage: Stage) -> Wire:
    client, upstream, _ = stage
    kept = len(upstream.wires)  # what cannot be repeated takes a new connection
    await client.send(
        b"POST /api/blobs/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
    )
    await until(lambda: len(upstream.wires) > kept)
    await upstream.wires[-1].until(b"half")
    return upstream.wires[-1]


async def while_the_end_is_written_down(stage: Stage) -> Wire:
    client, upstream, attendant = stage
    attendant.recording = recording = HoldingRecording()
    await client.send(WHOLE)
    wire = await upstream.accept()
    await wire.message()
    await wire.send(STREAM + b"%x\r\n%b\r\n" % (len(DONE), DONE))
    await asyncio.wait_for(recording.committing.wait(), PATIENCE_S)
    return wire


MOMENTS: list[Callable[[Stage], Awaitable[Wire]]] = [
    before_the_first_byte,
    before_the_first_byte_of_a_chat,
    in_the_middle_of_a_stream,
    in_the_middle_of_a_counted_answer,
    in_the_middle_of_an_answer_that_ends_by_closing,
    after_half_a_head,
    during_an_upload,
    during_a_chunked_upload,
    while_the_end_is_written_down,
]


@pytest.fixture
def attendant(proxy: Proxy) -> ObedientAttendant:
    proxy.attendant = ObedientAttendant()
    proxy.attendant.may_attend.set()
    return proxy.attendant


@pytest.mark.parametrize("leave", [Wire.close, Wire.reset], ids=["close", "reset"])
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
async def test_a_client_that_goes_stops_ollama_within_50_ms(
    client: Wire,
    upstream: RawUpstream,
    proxy: Proxy,
    attendant: ObedientAttendant,
    moment: Callable[[Stage], Awaitable[Wire]],
    leave: Callable[[Wire], None],
) -> None:
    wire = await moment((client, upstream, attendant))
    leave(client)
    started = time.perf_counter()
    await wire.gone()
    assert time.perf_counter() - started < GONE_S_MAX
    await until(lambda: proxy.stats.open == 0)
    assert proxy.stats.hang_ups == 1
    if attendant.recording is not None:
        attendant.recording.may_commit.set()


async def test_a_client_that_goes_in_the_middle_of_a_held_body_never_reaches_ollama(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, attendant: ObedientAttendant
) -> None:
    await cold_client.send(CHAT + b"100\r\n\r\nhalf")
    await until(lambda: proxy.stats.open == 1)
    cold_client.reset()
    await until(lambda: proxy.stats.open == 0)
    assert (upstream.wires, attendant.bodies, proxy.stats.hang_ups) == ([], [], 1)


async def test_a_client_that_goes_while_memory_is_asked_never_reaches_ollama(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, attendant: ObedientAttendant
) -> None:
    attendant.may_attend.clear()
    await cold_client.send(WHOLE)
    await asyncio.wait_for(attendant.attending.wait(), PATIENCE_S)
    cold_client.close()
    started = time.perf_counter()
    await until(lambda: proxy.stats.open == 0)
    assert time.perf_counter() - started < GONE_S_MAX
    attendant.may_attend.set()
    await until(lambda: not proxy._plane.tasks)
    assert (upstream.wires, proxy.stats.hang_ups) == ([], 1)
