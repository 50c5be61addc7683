"""Promise: an attendant or a recording that breaks its port's promise costs the memory, never the answer."""

from __future__ import annotations

import asyncio

import pytest

from ltmld.proxy.server import Proxy
from tests.support.attendants import BrokenAttendant, BrokenRecording, ObedientAttendant
from tests.support.raw_upstream import PATIENCE_S, RawUpstream, Wire, until

HEAD = b"POST /api/chat HTTP/1.1\r\nHost: x\r\n"
LENGTH = HEAD + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n"
EXPECTING = HEAD + b"Expect: 100-continue\r\nX-LTMLD-Scope: me\r\nContent-Length: 5\r\n\r\nhello"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'f\r\n{"done":false}\n\r\ne\r\n{"done":true}\n\r\n0\r\n\r\n'
)


@pytest.fixture(autouse=True)
async def told() -> list[str]:
    """Return what the loop was told of, which would go to the log."""
    messages: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: messages.append(context["message"]))
    return messages


@pytest.mark.parametrize("breaks", ["commit", "close"])
async def test_a_recording_that_raises_does_not_keep_the_client_waiting(
    client: Wire, upstream: RawUpstream, proxy: Proxy, told: list[str], breaks: str
) -> None:
    recording = BrokenRecording(breaks=breaks)
    proxy.attendant = attendant = ObedientAttendant(recording=recording)
    attendant.may_attend.set()
    await client.send(LENGTH)
    wire = await upstream.accept()
    await wire.message()
    await wire.send(ANSWER)
    assert (await client.message()).payload == b'{"done":false}\n{"done":true}\n'
    await asyncio.wait_for(recording.ended.wait(), PATIENCE_S)
    await until(lambda: proxy.stats.defects == 1)
    assert (proxy.stats.open, proxy.stats.inference_open) == (0, 0)
    assert (recording.commits, recording.closes, len(told)) == (1, [""], 1)
    await client.send(LENGTH)
    await wire.message()  # both connections live on


@pytest.mark.parametrize(
    ("sent", "passed"),
    [(LENGTH, LENGTH), (CHUNKED, CHUNKED), (EXPECTING, LENGTH)],
    ids=["length", "chunked", "expecting"],
)
async def test_a_request_whose_attendant_raises_goes_on_untouched(
    client: Wire, upstream: RawUpstream, proxy: Proxy, told: list[str], sent: bytes, passed: bytes
) -> None:
    proxy.attendant = attendant = BrokenAttendant()
    await client.send(sent)
    wire = await upstream.accept()
    assert await wire.exactly(len(passed)) == passed
    await wire.send(ANSWER)
    assert (await client.message()).payload == b'{"done":false}\n{"done":true}\n'
    assert (proxy.stats.defects, proxy.stats.open, proxy.stats.inference_open) == (1, 0, 0)
    assert (attendant.bodies, len(told)) == ([b"hello"], 1)
