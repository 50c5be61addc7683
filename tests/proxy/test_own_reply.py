"""Promise: what the attendant answers itself is framed as Ollama frames it, and Ollama never hears of it."""

from __future__ import annotations

import asyncio

import pytest

from ltmld.config import ProxySettings
from ltmld.core.ports import OwnReply
from ltmld.proxy.server import Proxy
from tests.support.attendants import ObedientAttendant
from tests.support.raw_upstream import PATIENCE_S, RawUpstream, Wire, chunks, connect
from tests.support.serving import serving

BODY = b'{"messages":[]}'
CHAT = b"POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n" + BODY
LINES = (b'{"done":false}\n', b'{"done":true}\n')
STREAMED = OwnReply(payloads=LINES, content_type="application/x-ndjson", streamed=True)
WHOLE = OwnReply(payloads=(b'{"done":true}',), content_type="application/json; charset=utf-8")


@pytest.fixture
def attendant(proxy: Proxy) -> ObedientAttendant:
    proxy.attendant = ObedientAttendant(answer=STREAMED)
    proxy.attendant.may_attend.set()
    return proxy.attendant


@pytest.mark.usefixtures("attendant")
async def test_a_streamed_answer_is_one_chunk_a_line(client: Wire) -> None:
    await client.send(CHAT)
    answer = await client.message()
    assert answer.first == b"HTTP/1.1 200 OK"
    assert answer.names() == [b"Content-Type", b"Date", b"Transfer-Encoding"]
    assert chunks(answer.body) == list(LINES)


async def test_a_whole_answer_has_a_length(client: Wire, attendant: ObedientAttendant) -> None:
    attendant.answer = WHOLE
    await client.send(CHAT)
    answer = await client.message()
    assert (answer.get(b"content-length"), answer.body) == (b"13", b'{"done":true}')


async def test_ollama_hears_nothing_of_it(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, attendant: ObedientAttendant
) -> None:
    await cold_client.send(CHAT)
    await cold_client.message()
    assert (upstream.waiting, attendant.bodies) == (0, [BODY])
    assert (proxy.stats.answered, proxy.stats.open, proxy.stats.inference_open) == (1, 0, 0)


async def test_the_connection_serves_the_next_request(
    cold_client: Wire, upstream: RawUpstream, attendant: ObedientAttendant
) -> None:
    await cold_client.send(CHAT)
    await cold_client.message()
    attendant.answer = None
    await cold_client.send(CHAT)
    await upstream.answer(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (await cold_client.message()).first == b"HTTP/1.1 204 No Content"


@pytest.mark.usefixtures("attendant")
async def test_a_client_that_wants_its_connection_closed_gets_that(cold_client: Wire) -> None:
    await cold_client.send(CHAT.replace(b"Host: x", b"Host: x\r\nConnection: close"))
    answer = await cold_client.rest()
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"0\r\n\r\n")


@pytest.mark.usefixtures("attendant")
async def test_a_client_of_http10_gets_a_body_that_the_close_ends(cold_client: Wire) -> None:
    await cold_client.send(CHAT.replace(b"HTTP/1.1", b"HTTP/1.0"))
    answer = await cold_client.rest()
    assert b"Transfer-Encoding" not in answer
    assert answer.endswith(b"\r\n\r\n" + b"".join(LINES))


async def test_without_ollama_the_answer_is_the_same(settings: ProxySettings) -> None:
    away = await RawUpstream().start()
    await away.stop()
    async with serving(away.port, settings) as proxy, await connect(proxy.port) as client:
        proxy.attendant = ObedientAttendant(answer=STREAMED)
        proxy.attendant.may_attend.set()
        await client.send(CHAT)
        assert chunks((await client.message()).body) == list(LINES)


async def test_a_client_that_left_meanwhile_is_no_trouble(
    cold_client: Wire, proxy: Proxy, attendant: ObedientAttendant
) -> None:
    attendant.may_attend.clear()
    await cold_client.send(CHAT)
    await asyncio.wait_for(attendant.attending.wait(), PATIENCE_S)
    cold_client.reset()
    attendant.may_attend.set()
    async with await connect(proxy.port) as next_client:
        await next_client.send(CHAT)
        assert chunks((await next_client.message()).body) == list(LINES)
    assert (proxy.stats.open, proxy.stats.defects) == (0, 0)
