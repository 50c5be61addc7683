"""Promise: wherever the name leads, ltmld gets there if anything can, and never to itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from ltmld.config import ProxySettings
from ltmld.proxy.dial import STAGGER_S, watch
from tests.support.daemon import free_port
from tests.support.raw_upstream import RawUpstream, connect
from tests.support.serving import serving

GET = b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 loopback")


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
@pytest.mark.parametrize("name", ["localhost", "own address"])
async def test_ollama_is_found_at_whichever_address_of_its_name_it_listens(
    name: str, host: str, settings: ProxySettings
) -> None:
    raw = await RawUpstream().start(host=host)
    bracketed = f"[{host}]" if ":" in host else host
    address = f"{bracketed if name == 'own address' else name}:{raw.port}"
    async with serving(address, settings) as proxy, await connect(proxy.port) as client:
        await client.send(GET)
        request = await raw.answer(OK)
        assert (await client.message()).body == b"ok"
        assert request.first == b"GET /api/version HTTP/1.1"
    await raw.stop()


@needs_ipv6
async def test_clients_are_served_by_ipv6(upstream: RawUpstream, settings: ProxySettings) -> None:
    async with (
        serving(upstream.port, settings, host="::1") as proxy,
        await connect(proxy.port, host="::1") as client,
    ):
        await client.send(GET)
        await upstream.answer(OK)
        assert (await client.message()).body == b"ok"


async def test_a_name_that_nobody_knows_is_said(settings: ProxySettings) -> None:
    async with serving("nobody.invalid", settings) as proxy, await connect(proxy.port) as client:
        await client.send(GET)
        answer = await client.message()
    assert answer.first == b"HTTP/1.1 502 Bad Gateway"
    assert b"http://nobody.invalid:11434" in answer.body


@pytest.mark.parametrize("listens", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - the wildcard is the point
async def test_a_name_that_leads_back_to_ltmld_is_refused(listens: str, settings: ProxySettings) -> None:
    port = free_port()
    async with serving(f"localhost:{port}", settings, host=listens, port=port) as proxy:
        async with await connect(proxy.port) as client:
            await client.send(GET)
            answer = await client.message()
        assert answer.first == b"HTTP/1.1 502 Bad Gateway"
        assert b"leads back to ltmld itself" in answer.body
        assert proxy.stats.requests == 1


async def test_another_program_on_the_same_port_of_another_address_is_no_circle(
    settings: ProxySettings,
) -> None:
    raw = await RawUpstream().start(host="127.0.0.2")
    async with (
        serving(f"127.0.0.2:{raw.port}", settings, host="127.0.0.1", port=raw.port) as proxy,
        await connect(proxy.port) as client,
    ):
        await client.send(GET)
        await raw.answer(OK)
        assert (await client.message()).body == b"ok"
    await raw.stop()


class Resolver:
    """Gives this loop's names the addresses that a test wants."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *places: tuple[str, int]) -> None:
        self.places = list(places)
        loop.getaddrinfo = self._answer  # type: ignore[method-assign, assignment]  # the net's part is the test's

    async def _answer(self, *_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place) for place in self.places]


@pytest.fixture
async def resolver() -> Resolver:
    """Return a resolver of the test's own."""
    return Resolver(asyncio.get_running_loop())


@pytest.fixture
def black_hole() -> Iterator[tuple[str, int]]:
    """Return an address that swallows every attempt to connect: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        place = listener.getsockname()
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(place)
        yield place


async def passes(raw: RawUpstream, settings: ProxySettings) -> float:
    """See that a request to the resolver's name gets to *raw*; return the seconds that it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with serving("several.example:1", settings) as proxy, await connect(proxy.port) as client:
        await client.send(GET)
        await raw.answer(OK)
        assert (await client.message()).body == b"ok"
    return loop.time() - began


async def test_an_address_that_swallows_does_not_hold_up_the_next(
    resolver: Resolver, black_hole: tuple[str, int], upstream: RawUpstream, settings: ProxySettings
) -> None:
    resolver.places = [black_hole, ("127.0.0.1", upstream.port)]
    assert STAGGER_S <= await passes(upstream, settings) < settings.connect_timeout_s


async def test_an_address_that_refuses_is_passed_over_at_once(
    resolver: Resolver, upstream: RawUpstream, settings: ProxySettings
) -> None:
    resolver.places = [("127.0.0.1", free_port()), ("127.0.0.1", free_port()), ("127.0.0.1", upstream.port)]
    assert await passes(upstream, settings) < STAGGER_S


@pytest.mark.parametrize(("count", "said"), [(2, b"connection refused"), (0, b"no address")])
async def test_where_every_address_fails_the_last_reason_is_given(
    count: int, said: bytes, resolver: Resolver, settings: ProxySettings
) -> None:
    resolver.places = [("127.0.0.1", free_port()) for _ in range(count)]
    async with serving("none.example:1", settings) as proxy, await connect(proxy.port) as client:
        await client.send(GET)
        answer = await client.message()
    assert answer.first == b"HTTP/1.1 502 Bad Gateway"
    assert said in answer.body


async def test_where_a_name_moves_the_next_connection_follows(
    resolver: Resolver, upstream: RawUpstream, settings: ProxySettings
) -> None:
    moved = await RawUpstream().start()
    resolver.places = [("127.0.0.1", upstream.port)]
    async with serving("moving.example:1", settings) as proxy:
        for raw in (upstream, moved):
            resolver.places = [("127.0.0.1", raw.port)]
            async with await connect(proxy.port) as client:
                await client.send(GET)
                await raw.answer(OK.replace(b"200 OK\r\n", b"200 OK\r\nConnection: close\r\n"))
                assert (await client.message()).body == b"ok"
    await moved.stop()


async def test_a_connection_over_the_network_is_watched_by_the_system() -> None:
    with socket.socket() as connection:
        watch(connection)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
