"""A data plane that is stopped whatever happens: uvloop waits for ever on the way out when one is left open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ltmld.config import ProxySettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.proxy.server import Proxy


@asynccontextmanager
async def serving(upstream_port: int, settings: ProxySettings) -> AsyncIterator[Proxy]:
    """Serve in front of *upstream_port*."""
    proxy = Proxy(upstream=OllamaHost(port=upstream_port), settings=settings)
    await proxy.start("127.0.0.1", 0)
    try:
        yield proxy
    finally:
        await proxy.stop()
