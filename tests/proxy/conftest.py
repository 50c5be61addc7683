"""The data plane between a client and an upstream that are both made of bytes, on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from ltmld.config import ProxySettings
from ltmld.proxy.server import Proxy
from tests.support.raw_upstream import RawUpstream, Wire, connect
from tests.support.serving import serving


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run everything on the loop of the standard library and on the one that serves."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def settings() -> ProxySettings:
    """Return small limits, so that tests meet them."""
    return ProxySettings(
        head_bytes_max=4096, look_bytes_max=100_000, connect_timeout_s=1.0, idle_timeout_s=60.0, grace_s=1.0
    )


@pytest.fixture
async def upstream() -> AsyncIterator[RawUpstream]:
    """Listen where Ollama would."""
    raw = await RawUpstream().start()
    yield raw
    await raw.stop()


@pytest.fixture
async def proxy(upstream: RawUpstream, settings: ProxySettings) -> AsyncIterator[Proxy]:
    """Serve, without an attendant."""
    async with serving(upstream.port, settings) as plane:
        yield plane


@pytest.fixture
async def cold_client(proxy: Proxy) -> AsyncIterator[Wire]:
    """Connect one client; no connection to Ollama is open yet."""
    async with await connect(proxy.port) as wire:
        yield wire


@pytest.fixture(params=["cold", "warm"])
async def client(request: pytest.FixtureRequest, cold_client: Wire, upstream: RawUpstream) -> Wire:
    """Connect one client; warm: one small request before has left a kept-alive connection to Ollama."""
    if request.param == "warm":
        await cold_client.send(b"GET /warm HTTP/1.1\r\nHost: x\r\n\r\n")
        wire = await upstream.accept()
        await wire.message()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await cold_client.message()
        upstream.again(wire)
    return cold_client
