"""Promise: every limit is a setting, holds to the byte, and says what happens beyond it."""

from __future__ import annotations

import asyncio

import pytest

from ltmld.config import ProxySettings
from ltmld.proxy.server import Proxy
from tests.support.attendants import HoldingRecording, ObedientAttendant
from tests.support.raw_upstream import RawUpstream, Wire, connect, until
from tests.support.serving import serving

HEAD = b"GET /x HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: localhost\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIMITS = ProxySettings(
    head_bytes_max=2000,
    headers_max=40,
    look_bytes_max=3000,
    repeat_bytes_max=500,
    held_bytes_max=1000,
    upstream_idle_max=1,
    grace_s=0.1,
)
AROUND = pytest.mark.parametrize("over", [-1, 0, 1], ids=["n-1", "n", "n+1"])


@pytest.fixture
def settings() -> ProxySettings:
    return LIMITS


async def answered(client: Wire, upstream: RawUpstream) -> bytes:
    """Let Ollama answer if it is asked; return the first line of what the client gets."""
    answer = asyncio.create_task(client.message())
    await until(lambda: bool(upstream.waiting) or answer.done())
    if upstream.waiting:
        await upstream.answer(OK)
    return (await answer).first.split(b" ", 2)[1]


@AROUND
@pytest.mark.parametrize("cut", [1, 1999], ids=["at once", "in two parts"])
async def test_a_head_may_have_so_many_bytes(
    cold_client: Wire, upstream: RawUpstream, over: int, cut: int
) -> None:
    head = HEAD + b"X: " + b"y" * (LIMITS.head_bytes_max + over - len(HEAD) - 7) + b"\r\n\r\n"
    assert len(head) == LIMITS.head_bytes_max + over
    await cold_client.send(head[:cut])
    await cold_client.send(head[cut:])
    assert await answered(cold_client, upstream) == (b"431" if over > 0 else b"200")


@AROUND
async def test_a_request_may_have_so_many_headers(
    cold_client: Wire, upstream: RawUpstream, over: int
) -> None:
    await cold_client.send(HEAD + b"a: b\r\n" * (LIMITS.headers_max - 1 + over) + b"\r\n")
    assert await answered(cold_client, upstream) == (b"431" if over > 0 else b"200")


@AROUND
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_of_so_many_bytes_is_looked_into_and_a_larger_one_passes(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, over: int, framing: str
) -> None:
    proxy.attendant = attendant = ObedientAttendant()
    attendant.may_attend.set()
    size = LIMITS.look_bytes_max + over
    framed = {
        "length": b"Content-Length: %d\r\n\r\n%b" % (size, b"x" * size),
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size),
    }
    await cold_client.send(POST.replace(b"/x", b"/api/chat") + framed[framing])
    assert (await upstream.answer(OK)).payload == b"x" * size
    assert (await cold_client.message()).body == b"ok"
    assert len(attendant.bodies) == (0 if over > 0 else 1)
    assert proxy.stats.unread == (1 if over > 0 else 0)


@AROUND
async def test_trailers_may_have_as_many_bytes_as_a_head(
    cold_client: Wire, upstream: RawUpstream, over: int
) -> None:
    trailer = b"X: " + b"y" * (LIMITS.head_bytes_max - 5 + over) + b"\r\n"
    assert len(trailer) == LIMITS.head_bytes_max + over
    await cold_client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n" + trailer + b"\r\n")
    assert await answered(cold_client, upstream) == (b"400" if over > 0 else b"200")


@pytest.mark.parametrize(("extension", "status"), [(1900, b"200"), (2200, b"400")])
async def test_chunk_extensions_may_have_about_as_many_bytes_as_a_head(
    cold_client: Wire, upstream: RawUpstream, extension: int, status: bytes
) -> None:
    line = b"2;" + b"e" * extension + b"\r\nhi\r\n"
    await cold_client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + line + b"0\r\n\r\n")
    assert await answered(cold_client, upstream) == status


async def test_many_small_extensions_are_limited_as_one_large_one(
    cold_client: Wire, upstream: RawUpstream
) -> None:
    await cold_client.send(
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + (b"1;" + b"e" * 90 + b"\r\nx\r\n") * 50
    )
    assert await answered(cold_client, upstream) == b"400"


async def test_requests_sent_ahead_wait_beyond_a_heads_size_and_are_all_answered_in_order(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy
) -> None:
    count = 2000
    ahead = b"".join(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number for number in range(count))
    cold_client.writer.write(ahead)
    wire = await upstream.accept()
    (served,) = proxy._plane.clients
    await until(lambda: not served._reading)
    assert len(served._backlog) <= LIMITS.head_bytes_max + 2**18  # and what one read brings
    for number in range(count):
        request = await wire.message()
        assert request.first == b"GET /%d HTTP/1.1" % number
        await wire.send(OK)
    assert await cold_client.exactly(len(OK) * count) == OK * count


@AROUND
async def test_a_body_of_so_many_bytes_is_sent_again_and_a_larger_one_meets_no_kept_connection(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, over: int
) -> None:
    await cold_client.send(HEAD + b"\r\n")
    kept = await upstream.accept()
    await kept.message()
    await kept.send(OK)
    await cold_client.message()
    size = LIMITS.repeat_bytes_max + over
    await cold_client.send(POST + b"Content-Length: %d\r\n\r\n%b" % (size, b"x" * size))
    if over <= 0:
        await kept.message()
        kept.reset()
    assert (await upstream.answer(OK)).body == b"x" * size
    assert (await cold_client.message()).body == b"ok"
    assert proxy.stats.retried == (0 if over > 0 else 1)


async def test_so_many_idle_connections_to_ollama_are_kept_and_no_more(
    upstream: RawUpstream, proxy: Proxy
) -> None:
    async with await connect(proxy.port) as first, await connect(proxy.port) as second:
        for client in (first, second):
            await client.send(HEAD + b"\r\n")
        wires = [await upstream.accept(), await upstream.accept()]
        for wire in wires:
            await wire.message()
            await wire.send(OK)
        for client in (first, second):
            assert (await client.message()).body == b"ok"
        await until(lambda: len(proxy._plane.pool._idle) == 1)
        await until(lambda: sum(wire.reader.at_eof() for wire in wires) == 1)


@AROUND
async def test_so_many_bytes_wait_behind_the_terminator_before_ollama_waits(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, over: int
) -> None:
    recording = HoldingRecording()
    proxy.attendant = attendant = ObedientAttendant(recording=recording)
    attendant.may_attend.set()
    await cold_client.send(POST.replace(b"/x", b"/api/chat") + b"Content-Length: 2\r\n\r\n{}")
    wire = await upstream.accept()
    await wire.message()
    held = b'"done":true' + b" " * (LIMITS.held_bytes_max - 11 + over)
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + held)
    await recording.committing.wait()
    (served,) = proxy._plane.clients
    relay = served._relay
    assert relay is not None
    assert relay._upload.upstream is not None
    assert relay._upload.upstream._reading == (over <= 0)
    recording.may_commit.set()
    await wire.send(b"x" * (5000 - len(held)))
    assert len((await cold_client.message()).body) == 5000


@AROUND
async def test_so_many_clients_are_served(upstream: RawUpstream, over: int) -> None:
    async with serving(upstream.port, ProxySettings(connections_max=3, grace_s=0.1)) as proxy:
        clients = [await connect(proxy.port) for _ in range(3 + over)]
        await clients[-1].send(HEAD + b"\r\n")
        assert await answered(clients[-1], upstream) == (b"503" if over > 0 else b"200")
        for client in clients:
            client.close()
