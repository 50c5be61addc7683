"""Promise: a body of any size passes through a few buffers, and does not pile up before one who does not read."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.raw_upstream import RawUpstream, Wire, connect

SERVE = """
import asyncio, sys, uvloop
from ltmld.config import ProxySettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.proxy.server import Proxy
from tests.support.attendants import WatchingAttendant

async def serve():
    proxy = Proxy(upstream=OllamaHost(port=int(sys.argv[1])), settings=ProxySettings())
    proxy.attendant = WatchingAttendant(bytes_max=256 * 1024)
    await proxy.start("127.0.0.1", 0)
    print(proxy.port, flush=True)
    await asyncio.Event().wait()

uvloop.run(serve())
"""
ROOT = Path(__file__).resolve().parents[2]
WHOLE = 200 * 1024 * 1024
PART_BYTES = 1024 * 1024
PART = b"x" * PART_BYTES
LINE = b'{"message":{"role":"assistant","content":"' + b"x" * 8000 + b'"},"done":false}\n'
LINES = (b"%x\r\n%b\r\n" % (len(LINE), LINE)) * 128
GROWTH_KB_MAX = 5 * 1024

pytestmark = [
    # The loop that serves; the process under test has its own anyway.
    pytest.mark.asyncio(loop_factories=["uvloop"]),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


def resident_kb(pid: int, row: str) -> int:
    """Return a row of the process's status: VmRSS now, VmHWM at its highest."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in text.splitlines() if line.startswith(row)).split()[1])


@asynccontextmanager
async def in_a_process(upstream: RawUpstream) -> AsyncIterator[Wire]:
    """Serve in a process of its own, and check its memory in the end."""
    served = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, str(upstream.port), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert served.stdout is not None
    try:
        async with await connect(int(await served.stdout.readline())) as client:
            # What the first requests load is not counted.
            for path in (b"/", b"/api/chat"):
                await client.send(
                    b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
                )
                await upstream.answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                await client.message()
            before = resident_kb(served.pid, "VmRSS")
            yield client
            assert resident_kb(served.pid, "VmHWM") - before < GROWTH_KB_MAX
    finally:
        served.kill()
        await served.wait()


async def pour(wire: Wire, part: bytes, *, end: bytes = b"") -> None:
    """Send a large body, as fast as the other side takes it."""
    for _ in range(WHOLE // PART_BYTES):
        await wire.send(part)
    await wire.send(end)


async def drain(wire: Wire, count: int) -> None:
    """Read a large body to the last of its x."""
    while count > 0:
        count -= (await wire.some()).count(b"x")


async def passed(sender: Wire, receiver: Wire, part: bytes, *, end: bytes = b"", stalls: bool) -> None:
    """Pass a large body; one who stalls begins to read only when the sender cannot send any more."""
    if stalls:
        receiver.hold()
    pouring = asyncio.create_task(pour(sender, part, end=end))
    if stalls:
        assert await sender.unsent() > 0
        receiver.go_on()
    await asyncio.gather(pouring, drain(receiver, WHOLE // PART_BYTES * part.count(b"x")))


STALLS = pytest.mark.parametrize("stalls", [False, True], ids=["read", "stalled"])
FRAMINGS = {
    "length": (b"Content-Length: %d" % WHOLE, PART, b""),
    "chunked": (b"Transfer-Encoding: chunked", b"100000\r\n" + PART + b"\r\n", b"0\r\n\r\n"),
}


@STALLS
@pytest.mark.parametrize("framing", FRAMINGS)
async def test_200_mb_each_way_grow_memory_by_less_than_5_mb(
    upstream: RawUpstream, framing: str, *, stalls: bool
) -> None:
    header, part, end = FRAMINGS[framing]
    async with in_a_process(upstream) as client:
        await client.send(b"POST /api/blobs/x HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
        wire = await upstream.accept()
        await wire.until(b"\r\n\r\n")
        await passed(client, wire, part, end=end, stalls=stalls)
        await wire.send(b"HTTP/1.1 200 OK\r\nA: y\r\n" + header + b"\r\n\r\n")
        await passed(wire, client, part, end=end, stalls=stalls)


WATCHED = {
    "a stream": (b"application/x-ndjson\r\nTransfer-Encoding: chunked", LINES),
    "one document": (b"application/json\r\nContent-Length: %d" % WHOLE, PART),
}


@STALLS
@pytest.mark.parametrize("form", WATCHED)
async def test_an_answer_of_200_mb_that_is_watched_for_memory_grows_it_no_more(
    upstream: RawUpstream, form: str, *, stalls: bool
) -> None:
    header, part = WATCHED[form]
    async with in_a_process(upstream) as client:
        await client.send(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
        wire = await upstream.accept()
        await wire.message()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: " + header + b"\r\n\r\n")
        await passed(wire, client, part, stalls=stalls)
