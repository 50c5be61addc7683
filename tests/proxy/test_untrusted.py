"""Promise: whatever answers in Ollama's place, no client reads another's answer, and none is left waiting."""

from __future__ import annotations

import asyncio

import pytest

from ltmld.proxy.server import Proxy
from tests.support.raw_upstream import RawUpstream, Wire, chunks

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"

BAD_HEADS = {
    "no HTTP": b"SSH-2.0-x\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status below 100": b"HTTP/1.1 099 No\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok\r\n\r\n",
    "bare CR": b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
    "a zero byte": b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
    "a folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    "a space before a colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nok",
    "two equal lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "a list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "a signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "chunked, and lengths that contradict": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked in two headers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
    "nearly chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a protocol that nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    "a head too large": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 4096 + b"\r\n\r\n",
    "a head too large, unfinished": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 5000,
    "an interim answer too large": b"HTTP/1.1 103 Early Hints\r\nX: " + b"y" * 4096 + b"\r\n\r\n",
    "an interim answer that ends in nothing": HINT + b"rubbish\r\n\r\n",
}


async def asked(client: Wire, upstream: RawUpstream) -> Wire:
    """Ask, and return Ollama's side with the request read."""
    await client.send(GET)
    wire = await upstream.accept()
    await wire.message()
    return wire


async def final(client: Wire) -> bytes:
    """Return the first line of the next answer that is final."""
    while (first := (await client.until(b"\r\n\r\n")).split(b"\r\n")[0]).startswith(b"HTTP/1.1 1"):
        pass
    return first


@pytest.mark.parametrize("head", BAD_HEADS.values(), ids=BAD_HEADS.keys())
async def test_an_answer_that_cannot_be_trusted_is_a_502_and_its_connection_closed(
    client: Wire, upstream: RawUpstream, proxy: Proxy, head: bytes
) -> None:
    wire = await asked(client, upstream)
    await wire.send(head + OK)
    assert await final(client) == b"HTTP/1.1 502 Bad Gateway"
    await client.until(b"}")
    await wire.gone()
    assert (proxy.stats.upstream_errors, proxy.stats.open) == (1, 0)
    again = await asked(client, upstream)  # on a new connection: nothing of the old one is left
    await again.send(OK)
    assert (await client.message()).body == b"ok"


UPGRADES = {
    "the one of one": (b"websocket", b"websocket", True),
    "in another case": (b"websocket", b"WebSocket", True),
    "one of two": (b"h2c, websocket", b"websocket", True),
    "another": (b"websocket", b"h2c", False),
    "one more": (b"websocket", b"websocket, h2c", False),
    "nothing": (b"websocket", b"", False),
}


@pytest.mark.parametrize(("asked_for", "chosen", "switches"), UPGRADES.values(), ids=UPGRADES.keys())
async def test_a_tunnel_is_opened_only_for_a_protocol_that_the_client_asked_for(
    client: Wire, upstream: RawUpstream, asked_for: bytes, chosen: bytes, *, switches: bool
) -> None:
    await client.send(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: " + asked_for + b"\r\n\r\n")
    wire = await upstream.accept()
    await wire.until(b"\r\n\r\n")
    said = b"Connection: Upgrade\r\nUpgrade: " + chosen + b"\r\n\r\n"
    await wire.send(b"HTTP/1.1 101 Switching Protocols\r\n" + said)
    head = await client.until(b"\r\n\r\n")
    assert head.split(b" ")[1] == (b"101" if switches else b"502")
    if switches:
        await client.send(b"\x00in")
        assert await wire.exactly(3) == b"\x00in"
    else:
        await wire.gone()


@pytest.mark.parametrize("count", [99, 100])
async def test_as_many_interim_answers_pass_as_may_be(
    client: Wire, upstream: RawUpstream, count: int
) -> None:
    wire = await asked(client, upstream)
    await wire.send(HINT * count + OK)
    assert await client.exactly(len(HINT) * count) == HINT * count
    assert (await client.message()).body == b"ok"


async def test_one_interim_answer_more_is_a_502(client: Wire, upstream: RawUpstream) -> None:
    wire = await asked(client, upstream)
    await wire.send(HINT * 101 + OK)
    assert await client.exactly(len(HINT) * 100) == HINT * 100
    answer = await client.message()
    assert answer.first == b"HTTP/1.1 502 Bad Gateway"
    assert b"more than 100 interim answers" in answer.body
    await wire.gone()


@pytest.mark.parametrize("size", [4095, 4096, 4097])
async def test_the_head_of_an_answer_may_have_so_many_bytes(
    client: Wire, upstream: RawUpstream, size: int
) -> None:
    start, end = b"HTTP/1.1 200 OK\r\nX: ", b"\r\nContent-Length: 2\r\n\r\n"
    head = start + b"y" * (size - len(start) - len(end)) + end
    wire = await asked(client, upstream)
    await wire.send(head + b"ok")
    if size > 4096:
        assert await final(client) == b"HTTP/1.1 502 Bad Gateway"
    else:
        assert await client.exactly(size + 2) == head + b"ok"


async def test_both_framings_in_an_answer_are_read_as_chunks_and_only_those_are_announced(
    client: Wire, upstream: RawUpstream
) -> None:
    wire = await asked(client, upstream)
    await wire.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    )
    answer = await client.message()
    assert (answer.names(), answer.payload) == ([b"Transfer-Encoding"], b"hi")


POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
WHOLE = {
    "a counted answer": (GET, OK),
    "an empty answer": (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "a chunked answer": (GET, STREAM + b"2\r\nok\r\n0\r\n\r\n"),
    "no content": (GET, b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not modified": (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n"),
    "an answer to HEAD": (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"),
}


@pytest.mark.parametrize(("request_bytes", "answer"), WHOLE.values(), ids=WHOLE.keys())
async def test_what_follows_an_answer_never_answers_the_next_request(
    client: Wire, upstream: RawUpstream, request_bytes: bytes, answer: bytes
) -> None:
    await client.send(request_bytes)
    wire = await upstream.accept()
    await wire.until(b"\r\n\r\n")
    await wire.send(answer + POISON)
    assert await client.exactly(len(answer)) == answer
    await wire.gone()
    again = await asked(client, upstream)
    await again.send(OK)
    assert (await client.message()).body == b"ok"


async def test_a_pipelined_request_is_not_answered_by_what_follows_the_answer_before(
    cold_client: Wire, upstream: RawUpstream
) -> None:
    await cold_client.send(GET + GET)
    wire = await upstream.accept()
    await wire.until(b"\r\n\r\n")
    await wire.send(OK + POISON)
    assert (await cold_client.message()).body == b"ok"
    again = await upstream.accept()
    await again.message()
    await again.send(OK)
    assert (await cold_client.message()).body == b"ok"


BAD_CHUNKS = [
    b"xyz\r\n",
    b"-1\r\n",
    b"2\nhi",
    b"2\r\nhiX\r\n",
    b"fffffffffffffffff\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n",
]


@pytest.mark.parametrize("bad", BAD_CHUNKS)
async def test_a_stream_that_turns_malformed_is_broken_and_never_ended(
    client: Wire, upstream: RawUpstream, proxy: Proxy, bad: bytes
) -> None:
    wire = await asked(client, upstream)
    await wire.send(STREAM + b"5\r\nhello\r\n" + bad)
    said = await client.rest()
    assert said.startswith(STREAM + b"5\r\nhello\r\n")
    with pytest.raises(ValueError, match="invalid literal"):
        chunks(said.partition(b"\r\n\r\n")[2])
    await wire.gone()
    assert (proxy.stats.upstream_errors, proxy.stats.open) == (1, 0)


async def test_a_flood_of_interim_answers_waits_for_the_client(client: Wire, upstream: RawUpstream) -> None:
    wire = await asked(client, upstream)
    client.hold()
    await wire.send(HINT * 50 + b"HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n")
    wire.writer.write(b"x" * 30_000_000)
    assert await wire.unsent() > 10_000_000
    client.go_on()
    await asyncio.wait_for(client.exactly(len(HINT) * 50), 10)
    assert len((await client.message()).body) == 30_000_000
