"""Promise: however the network cuts the bytes, both sides see the same bodies, and lines stay whole."""

from __future__ import annotations

import asyncio

import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from ltmld.config import ProxySettings
from ltmld.proxy.answer import Answer
from ltmld.proxy.head import read_request
from tests.support.raw_upstream import RawUpstream, chunks, connect
from tests.support.serving import serving

GET = read_request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "")
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

PIECES = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8)
CUTS = st.lists(st.integers(min_value=1, max_value=60), min_size=1, max_size=40)


def framed(pieces: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-T: 1\r\n\r\n"


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut *data* into parts of the given sizes, over and over."""
    parts, at, turn = [], 0, 0
    while at < len(data):
        parts.append(data[at : at + sizes[turn % len(sizes)]])
        at += len(parts[-1])
        turn += 1
    return parts


def answered(parts: list[bytes]) -> list[bytes]:
    """Return what an answer writes for the *parts* it is fed."""
    writes: list[bytes] = []
    answer = Answer(GET, write=writes.append, closes=False, limits=ProxySettings(head_bytes_max=4096))
    for part in parts:
        answer.feed(part)
    assert answer.ended
    assert not answer.extra
    return writes


@given(PIECES, CUTS)
def test_cuts_do_not_change_an_answer(pieces: list[bytes], sizes: list[int]) -> None:
    raw = HEAD + framed(pieces)
    assert b"".join(answered(cut(raw, sizes))) == raw


@given(PIECES, CUTS)
def test_every_write_holds_whole_chunks(pieces: list[bytes], sizes: list[int]) -> None:
    writes = answered(cut(HEAD + framed(pieces), sizes))
    body = b"".join(writes)[len(HEAD) :]
    edges = {len(HEAD)}
    for piece in pieces:
        edges.add(max(edges) + len(b"%x\r\n%b\r\n" % (len(piece), piece)))
    at = 0
    for write in writes:
        at += len(write)
        assert at in edges or at == len(HEAD) + len(body)


@given(PIECES, st.integers(min_value=0, max_value=20), CUTS)
def test_interim_answers_may_be_cut_anywhere_too(pieces: list[bytes], count: int, sizes: list[int]) -> None:
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * count + HEAD + framed(pieces)
    assert b"".join(answered(cut(raw, sizes))) == raw


@settings(max_examples=25)
@given(PIECES, CUTS, CUTS)
def test_cuts_do_not_change_what_either_side_sees(
    pieces: list[bytes], up: list[int], down: list[int]
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_through(pieces, up, down))


async def _through(pieces: list[bytes], up: list[int], down: list[int]) -> None:
    upstream = await RawUpstream().start()
    async with serving(upstream.port, ProxySettings()) as proxy, await connect(proxy.port) as client:
        for part in cut(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + framed(pieces), up
        ):
            await client.send(part)
            await asyncio.sleep(0)
        wire = await upstream.accept()
        assert chunks((await wire.message()).body) == pieces
        for part in cut(HEAD + framed(pieces), down):
            await wire.send(part)
            await asyncio.sleep(0)
        assert chunks((await client.message()).body) == pieces
    await upstream.stop()
