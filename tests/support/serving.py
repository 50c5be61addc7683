"""A data plane that is stopped whatever happens: uvloop waits for ever on the way out when one is left open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ltmld.config import ProxySettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.proxy.server import Proxy

EVERYWHERE = "0.0.0.0"  # noqa: S104 - for the length of a test
"""A listener out of reach of the network takes only hosts of this machine (``proxy.guard``); this one takes all."""


@asynccontextmanager
async def serving(
    upstream: int | str, settings: ProxySettings, *, host: str = EVERYWHERE, port: int = 0
) -> AsyncIterator[Proxy]:
    """Serve in front of *upstream*: an address, or a port of this machine."""
    target = OllamaHost(port=upstream) if isinstance(upstream, int) else OllamaHost.parse(upstream)
    proxy = Proxy(upstream=target, settings=settings)
    await proxy.start(host, port)
    try:
        yield proxy
    finally:
        await proxy.stop()
