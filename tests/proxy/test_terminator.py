"""Promise: what was sound of an answer is passed on and recorded, whatever the same read brought behind it."""

from __future__ import annotations

import asyncio

import pytest

from ltmld.proxy.server import Proxy
from tests.support.attendants import HoldingRecording, ObedientAttendant
from tests.support.raw_upstream import PATIENCE_S, RawUpstream, Wire

CHAT = b"POST /api/chat HTTP/1.%d\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
TOKEN, DONE = b'{"done":false}\n', b'{"done":true}\n'
BEHIND = {
    "no chunk": b"zz\r\n",
    "a forbidden trailer": b"0\r\nContent-Length: 1\r\n\r\n",
    "a chunk, and no chunk": b"2\r\nhi\r\nzz\r\n",
}


def chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


async def answered(
    client: Wire, upstream: RawUpstream, proxy: Proxy, said: bytes
) -> tuple[bytes, HoldingRecording]:
    """Let Ollama say *said* in one write and close; return what the client gets after the head."""
    recording = HoldingRecording()
    proxy.attendant = attendant = ObedientAttendant(recording=recording)
    attendant.may_attend.set()
    await client.send(CHAT % 1)
    wire = await upstream.accept()
    await wire.message()
    wire.writer.write(STREAM + said)
    wire.close()
    await asyncio.wait_for(recording.committing.wait(), PATIENCE_S)
    recording.may_commit.set()
    told = await client.rest()
    await asyncio.wait_for(recording.ended.wait(), PATIENCE_S)
    return told.partition(b"\r\n\r\n")[2], recording


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
async def test_the_terminator_is_committed_and_passed_on_before_the_break_behind_it(
    client: Wire, upstream: RawUpstream, proxy: Proxy, behind: bytes
) -> None:
    told, recording = await answered(client, upstream, proxy, chunk(TOKEN) + chunk(DONE) + behind)
    assert told.startswith(chunk(TOKEN) + chunk(DONE))
    assert not told.endswith(b"0\r\n\r\n")
    assert (recording.order[-3:], recording.commits) == (["commit", "committed", "close"], 1)
    assert "not HTTP/1.1" in recording.closes[0]
    assert proxy.stats.upstream_errors == 1


async def test_a_terminator_whose_chunk_is_cut_off_is_committed_and_passed_on_too(
    client: Wire, upstream: RawUpstream, proxy: Proxy
) -> None:
    told, recording = await answered(client, upstream, proxy, chunk(TOKEN) + chunk(DONE)[:-2])
    assert told == chunk(TOKEN) + chunk(DONE)
    assert recording.order[-3:] == ["commit", "committed", "close"]
    assert "broke off" in recording.closes[0]
