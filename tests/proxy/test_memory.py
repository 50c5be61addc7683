"""Promise: a body of any size passes through a few buffers, never through memory as a whole."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.raw_upstream import RawUpstream, Wire, connect

SERVE = """
import asyncio, sys, uvloop
from ltmld.config import ProxySettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.proxy.server import Proxy

async def serve():
    proxy = Proxy(upstream=OllamaHost(port=int(sys.argv[1])), settings=ProxySettings())
    await proxy.start("127.0.0.1", 0)
    print(proxy.port, flush=True)
    await asyncio.Event().wait()

uvloop.run(serve())
"""
WHOLE = 200 * 1024 * 1024
PART = b"x" * (1024 * 1024)


def resident_kb(pid: int, row: str) -> int:
    """Return a row of the process's status: VmRSS now, VmHWM at its highest."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in text.splitlines() if line.startswith(row)).split()[1])


async def pour(wire: Wire, framing: bytes) -> None:
    """Send a large body, as fast as the other side takes it."""
    for _ in range(WHOLE // len(PART)):
        await wire.send(b"100000\r\n" + PART + b"\r\n" if framing == b"chunked" else PART)
    if framing == b"chunked":
        await wire.send(b"0\r\n\r\n")


async def drain(wire: Wire) -> int:
    """Read a large body, and return how many bytes of it were x."""
    count = 0
    while count < WHOLE:
        count += (await wire.some()).count(b"x")
    return count


@pytest.mark.asyncio(
    loop_factories=["uvloop"]
)  # the one that serves; the process under test has its own anyway
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("framing", [b"length", b"chunked"])
async def test_200_mb_each_way_grow_memory_by_less_than_5_mb(upstream: RawUpstream, framing: bytes) -> None:
    header = b"Transfer-Encoding: chunked" if framing == b"chunked" else b"Content-Length: %d" % WHOLE
    served = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, str(upstream.port), stdout=asyncio.subprocess.PIPE
    )
    assert served.stdout is not None
    async with await connect(int(await served.stdout.readline())) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")  # what the first request loads is not counted
        await upstream.answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await client.message()
        before = resident_kb(served.pid, "VmRSS")
        await client.send(b"POST /blob HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
        wire = await upstream.accept()
        await wire.until(b"\r\n\r\n")
        await asyncio.gather(pour(client, framing), drain(wire))
        await wire.send(b"HTTP/1.1 200 OK\r\nX: y\r\n" + header + b"\r\n\r\n")
        await asyncio.gather(pour(wire, framing), drain(client))
        assert resident_kb(served.pid, "VmHWM") - before < 5 * 1024
    served.kill()
    await served.wait()
