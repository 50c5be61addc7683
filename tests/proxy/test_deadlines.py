"""Promise: nobody holds a connection, or memory, by sending slowly; and nobody who sends is hurried."""

from __future__ import annotations

import asyncio

import pytest

from ltmld.config import ProxySettings
from ltmld.proxy.server import Proxy
from tests.support.attendants import ObedientAttendant
from tests.support.fuzzing import unread
from tests.support.raw_upstream import RawUpstream, Wire, connect, until
from tests.support.serving import serving

LIMITS = ProxySettings(head_timeout_s=60.0, body_timeout_s=30.0, idle_timeout_s=300.0, linger_s=0.05)
HALF_CHAT = b"POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"


@pytest.fixture
def settings() -> ProxySettings:
    return LIMITS


def swept(proxy: Proxy, *, later_s: float) -> None:
    """Do what the plane does every few seconds, as if it were later."""
    proxy._sweep(now=asyncio.get_running_loop().time() + later_s)


async def begun(proxy: Proxy, client: Wire, part: bytes) -> None:
    """Send the first part of a head, and wait until it is there."""
    await client.send(part)
    await until(lambda: any(each._began_at for each in proxy._plane.clients))


@pytest.fixture
def looking(proxy: Proxy) -> Proxy:
    proxy.attendant = ObedientAttendant()
    proxy.attendant.may_attend.set()
    return proxy


# --- heads ---


async def test_a_head_that_does_not_end_in_time_is_a_408_and_counted(
    proxy: Proxy, upstream: RawUpstream, cold_client: Wire
) -> None:
    await begun(proxy, cold_client, b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ")
    swept(proxy, later_s=59)
    assert proxy.stats.timed_out == 0
    swept(proxy, later_s=61)
    answer = await cold_client.message()
    assert (answer.first, answer.get(b"connection")) == (b"HTTP/1.1 408 Request Timeout", b"close")
    assert b"LTMLD_PROXY__HEAD_TIMEOUT_S" in answer.body
    assert await cold_client.rest() == b""
    assert (proxy.stats.timed_out, proxy.stats.refused, upstream.wires) == (1, 1, [])


async def test_bytes_that_trickle_in_do_not_move_the_deadline(proxy: Proxy, cold_client: Wire) -> None:
    await begun(proxy, cold_client, b"G")
    (served,) = proxy._plane.clients
    first = served._began_at
    for byte in b"ET / HTTP/1.1\r\nHost":
        await cold_client.send(bytes([byte]))
    await until(lambda: served._backlog.endswith(b"Host"))
    assert served._began_at == first
    proxy._sweep(now=first + 60.5)
    assert (await cold_client.message()).first == b"HTTP/1.1 408 Request Timeout"


async def test_a_head_that_ended_has_no_deadline_however_long_the_answer_takes(
    proxy: Proxy, upstream: RawUpstream, cold_client: Wire
) -> None:
    await begun(proxy, cold_client, b"GET / HTTP/1.1\r\nHo")
    await cold_client.send(b"st: x\r\n\r\n")
    wire = await upstream.accept()
    await wire.message()
    swept(proxy, later_s=100_000)
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert (await cold_client.message()).body == b"ok"
    swept(proxy, later_s=290)  # idle now: the head before has left no deadline behind
    assert proxy.stats.timed_out == 0
    assert not cold_client.reader.at_eof()


async def test_half_a_head_behind_a_request_has_its_time_from_the_answer_on(
    proxy: Proxy, upstream: RawUpstream, cold_client: Wire
) -> None:
    await cold_client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT")
    wire = await upstream.accept()
    await wire.message()
    swept(proxy, later_s=100_000)
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert (await cold_client.message()).body == b"ok"
    swept(proxy, later_s=61)
    assert (await cold_client.message()).first == b"HTTP/1.1 408 Request Timeout"


async def test_empty_lines_begin_no_head_and_do_not_keep_a_connection_alive(
    proxy: Proxy, cold_client: Wire
) -> None:
    await cold_client.send(b"\r\n" * 200_000)  # as many as one read brings are cheap to drop
    (served,) = proxy._plane.clients
    await cold_client.send(b"G")
    await until(lambda: served._backlog == b"G")
    proxy._sweep(now=served._began_at + 59)
    assert proxy.stats.timed_out == 0


async def test_a_client_that_says_nothing_is_closed_without_a_word(proxy: Proxy, cold_client: Wire) -> None:
    swept(proxy, later_s=299)
    assert proxy._plane.clients
    swept(proxy, later_s=301)
    assert await cold_client.rest() == b""
    assert proxy.stats.timed_out == 0


# --- bodies ---


async def test_a_body_held_in_memory_that_stops_is_a_408_and_let_go(
    looking: Proxy, upstream: RawUpstream, cold_client: Wire
) -> None:
    await cold_client.send(HALF_CHAT)
    await until(lambda: looking.stats.open == 1)
    swept(looking, later_s=29)
    assert looking.stats.open == 1
    swept(looking, later_s=31)
    answer = await cold_client.message()
    assert answer.first == b"HTTP/1.1 408 Request Timeout"
    assert b"LTMLD_PROXY__BODY_TIMEOUT_S" in answer.body
    assert (looking.stats.open, looking.stats.timed_out, upstream.wires) == (0, 1, [])
    assert (looking.stats.hang_ups, looking.stats.looked_into) == (0, 0)


async def test_every_part_of_a_body_gives_it_more_time(looking: Proxy, cold_client: Wire) -> None:
    await cold_client.send(HALF_CHAT)
    await until(lambda: looking.stats.open == 1)
    (served,) = looking._plane.clients
    served._body.heard_at -= 29
    await cold_client.send(b"more")
    await until(lambda: served._body._remaining == 92)
    swept(looking, later_s=2)
    assert looking.stats.timed_out == 0


async def test_a_body_that_ended_has_no_deadline_while_memory_is_asked(
    looking: Proxy, upstream: RawUpstream, cold_client: Wire
) -> None:
    attendant = looking.attendant
    assert isinstance(attendant, ObedientAttendant)
    attendant.may_attend.clear()
    await cold_client.send(HALF_CHAT + b"x" * 96)
    await attendant.attending.wait()
    swept(looking, later_s=1000)
    attendant.may_attend.set()
    assert (await upstream.answer(b"HTTP/1.1 204 No Content\r\n\r\n")).body == b"half" + b"x" * 96
    assert (await cold_client.message()).first == b"HTTP/1.1 204 No Content"


async def test_an_upload_that_only_passes_may_take_as_long_as_ollama_lets_it(
    looking: Proxy, upstream: RawUpstream, cold_client: Wire
) -> None:
    await cold_client.send(HALF_CHAT.replace(b"/api/chat", b"/api/blobs/sha256:x"))
    wire = await upstream.accept()
    await wire.until(b"half")
    swept(looking, later_s=100_000)
    await cold_client.send(b"x" * 96)
    assert await wire.exactly(96) == b"x" * 96


# --- what is not for this port ---


@pytest.mark.parametrize("parts", [[b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], [b"\x16", b"\x03\x01"]])
async def test_a_tls_hello_is_told_so_at_once(
    proxy: Proxy, upstream: RawUpstream, parts: list[bytes]
) -> None:
    async with await connect(proxy.port) as client:
        for part in parts:
            await client.send(part)
            await asyncio.sleep(0)
        answer = await client.message()
        assert answer.first == b"HTTP/1.1 400 Bad Request"
        assert answer.get(b"content-type") == b"text/plain; charset=utf-8"
        assert b"ask for http://, not https://" in answer.body
    assert (upstream.wires, proxy.stats.refused) == ([], 1)


async def test_an_answer_on_its_way_to_a_slow_reader_is_not_cut_by_the_sweep(
    proxy: Proxy, upstream: RawUpstream, cold_client: Wire
) -> None:
    await cold_client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    wire = await upstream.accept()
    await wire.message()
    (served,) = proxy._plane.clients
    proxy._sweep(now=asyncio.get_running_loop().time() + 10_000)  # the request took hours
    await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await cold_client.until(b"\r\n\r\n")
    cold_client.hold()
    relay = served._relay
    assert relay is not None
    assert relay._upload.upstream is not None
    passing = relay._upload.upstream.transport
    count = 0
    while not served.transport.get_write_buffer_size():  # until the system takes no more for the client
        await wire.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        count += 0x4000
        await until(lambda: not unread(passing))
    await wire.send(b"0\r\n\r\n")
    await until(lambda: served.idle)
    assert served.transport.get_write_buffer_size()
    proxy._sweep(now=proxy._plane.now + 5)
    cold_client.go_on()
    assert (await cold_client.rest()).count(b"x") == count


async def test_a_late_client_does_not_disturb_the_next(
    settings: ProxySettings, upstream: RawUpstream
) -> None:
    async with serving(upstream.port, settings) as proxy:
        async with await connect(proxy.port) as slow:
            await begun(proxy, slow, b"GET")
            swept(proxy, later_s=61)
            await slow.gone()
        async with await connect(proxy.port) as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await upstream.answer(b"HTTP/1.1 204 No Content\r\n\r\n")
            assert (await client.message()).first == b"HTTP/1.1 204 No Content"
