"""Promise: more clients than there is room for are told so, and those that have left make room."""

from __future__ import annotations

import asyncio
import json
import resource
import select
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from ltmld.config import ProxySettings
from ltmld.proxy.server import Proxy
from ltmld.proxy.sockets import RESERVE, room_for
from tests.support.raw_upstream import PATIENCE_S, RawUpstream, Wire, connect, until
from tests.support.serving import serving

GET = b"GET /api/version HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def small(upstream: RawUpstream) -> AsyncIterator[Proxy]:
    """Serve two clients at most."""
    async with serving(upstream.port, ProxySettings(connections_max=2, grace_s=0.1)) as plane:
        yield plane


async def test_a_client_too_many_is_told_so_and_closed_and_the_others_are_served(
    small: Proxy, upstream: RawUpstream
) -> None:
    async with await connect(small.port) as first, await connect(small.port) as second:
        async with await connect(small.port) as third:
            await third.send(GET)
            answer = await third.message()
            assert answer.first == b"HTTP/1.1 503 Service Unavailable"
            assert "LTMLD_PROXY__CONNECTIONS_MAX" in json.loads(answer.body)["error"]
            assert await third.rest() == b""
        assert (small.stats.turned_away, upstream.wires) == (1, [])
        for client in (first, second):
            await client.send(GET)
            wire = await upstream.accept()
            await wire.message()
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert (await client.message()).body == b"ok"
            upstream.again(wire)


async def test_a_client_that_leaves_makes_room(small: Proxy, upstream: RawUpstream) -> None:
    async with await connect(small.port):
        for _ in range(3):
            async with await connect(small.port) as second:
                await second.send(GET)
                wire = await upstream.accept()
                await wire.message()
                second.close()
                await wire.gone()
            await until(lambda: len(small._plane.clients) == 1)
    assert small.stats.turned_away == 0


async def test_a_client_too_many_that_says_nothing_is_closed_all_the_same(upstream: RawUpstream) -> None:
    async with (
        serving(upstream.port, ProxySettings(connections_max=1, linger_s=0.05)) as proxy,
        await connect(proxy.port),
        await connect(proxy.port) as second,
    ):
        await second.gone()


async def test_far_too_many_clients_are_closed_at_once(upstream: RawUpstream) -> None:
    limits = ProxySettings(connections_max=1, turned_away_max=1)
    async with (
        serving(upstream.port, limits) as proxy,
        await connect(proxy.port),
        await connect(proxy.port) as second,
        await connect(proxy.port) as third,
    ):
        await third.gone()
        await second.send(GET)
        assert (await second.message()).first == b"HTTP/1.1 503 Service Unavailable"
        assert proxy.stats.turned_away == 2


@pytest.fixture
def files() -> Iterator[tuple[int, int]]:
    """Return the limit of open files, and put it back."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield limits
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_the_limit_of_open_files_is_raised_as_far_as_is_needed(files: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (RESERVE + 100, files[1]))
    assert room_for(200) == 200
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (RESERVE + 400, files[1])
    assert room_for(100) == 100
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == RESERVE + 400


def test_where_few_files_may_be_open_few_connections_are_held(files: tuple[int, int]) -> None:
    hard = files[1] if files[1] != resource.RLIM_INFINITY else files[0]
    assert room_for(hard) == max(1, (hard - RESERVE) // 2)


@pytest.mark.parametrize("leave", [Wire.reset, Wire.close], ids=["reset", "close"])
async def test_a_client_that_goes_while_ollama_takes_nothing_is_noticed_at_the_next_sweep(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, leave: Callable[[Wire], None]
) -> None:
    if leave is Wire.close and not hasattr(select, "POLLRDHUP"):
        pytest.skip("only Linux tells of a close behind unread bytes")
    await cold_client.send(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n")
    wire = await upstream.accept()
    wire.hold()
    while all(client._reading for client in proxy._plane.clients):
        await cold_client.send(b"x" * 16_384)
    proxy._sweep(now=0.0)
    assert proxy.stats.open == 1
    leave(cold_client)
    async with asyncio.timeout(PATIENCE_S):
        while proxy.stats.open:
            proxy._sweep(now=0.0)
            await asyncio.sleep(0.001)
    assert proxy.stats.hang_ups == 1
    wire.go_on()
    await wire.gone()
