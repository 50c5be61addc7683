"""Promise: what memory does not concern passes as it came: method, target, headers, bodies, framing, status."""

from __future__ import annotations

import asyncio

import pytest

from ltmld.proxy.server import Proxy
from tests.support.raw_upstream import RawUpstream, Wire, chunks, connect

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_a_head_goes_on_byte_for_byte(client: Wire, upstream: RawUpstream) -> None:
    head = (
        b"BREW /a%2Fb//c/../d?x=1&y=%20&&z HTTP/1.1\r\nhOsT: somewhere:1\r\nX-b: 2\r\nX-A:1\r\n"
        b"Origin: app://x\r\nUser-Agent:  GitHubCopilotChat/1\r\nX-b: 3 \r\n\r\n"
    )
    await client.send(head)
    wire = await upstream.accept()
    assert await wire.until(b"\r\n\r\n") == head


async def test_an_answer_comes_back_byte_for_byte(client: Wire, upstream: RawUpstream) -> None:
    head = b"HTTP/1.1 299 Quite  Fine\r\nx-B: 2\r\nX-a: 1\r\ncontent-LENGTH: 5\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
    answer = head + b"\r\nhello"
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await upstream.answer(answer)
    assert await client.exactly(len(answer)) == answer


async def test_a_missing_reason_phrase_stays_missing(client: Wire, upstream: RawUpstream) -> None:
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await upstream.answer(b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")
    assert (await client.message()).first == b"HTTP/1.1 200 "


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 11\r\n\r\nhello world",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    ],
)
async def test_a_request_body_goes_on_in_its_framing(
    cold_client: Wire, upstream: RawUpstream, framing: bytes
) -> None:
    request = b"PUT /x HTTP/1.1\r\nHost: x\r\n" + framing
    await cold_client.send(request)
    wire = await upstream.accept()
    assert await wire.exactly(len(request)) == request


async def test_each_chunk_of_a_stream_arrives_as_one_chunk_in_one_read(
    client: Wire, upstream: RawUpstream
) -> None:
    await client.send(b"POST /api/pull HTTP/1.1\r\nHost: x\r\n\r\n")
    wire = await upstream.accept()
    await wire.message()
    await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert (await client.some()).endswith(b"\r\n\r\n")
    for line in (b'{"a":1}\n', b'{"bb":2}\n'):
        await wire.send(b"%x\r\n%b\r\n" % (len(line), line))
        assert await client.some() == b"%x\r\n%b\r\n" % (len(line), line)
    await wire.send(b"0\r\n\r\n")
    assert await client.some() == b"0\r\n\r\n"


async def test_a_chunk_that_comes_in_pieces_goes_on_whole(client: Wire, upstream: RawUpstream) -> None:
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wire = await upstream.accept()
    await wire.message()
    await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8")
    assert (await client.some()).endswith(b"\r\n\r\n")
    for piece in (b"\r\n", b'{"a"', b":1}\n", b"\r"):
        await wire.send(piece)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 0.01)
    await wire.send(b"\n")
    assert await client.some() == b'8\r\n{"a":1}\n\r\n'


async def test_a_large_chunk_does_not_wait_for_its_end(client: Wire, upstream: RawUpstream) -> None:
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wire = await upstream.accept()
    await wire.message()
    await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n" + b"x" * 200_000)
    received = b""
    while received.count(b"x") < 130_000:
        received += await client.some()
    await wire.send(b"x" * (0x100000 - 200_000) + b"\r\n0\r\n\r\n")
    body = received.partition(b"\r\n\r\n")[2] + await client.until(b"\r\n0\r\n\r\n")
    assert sum(map(len, chunks(body))) == 0x100000


async def test_trailers_arrive_both_ways(cold_client: Wire, upstream: RawUpstream) -> None:
    body = b"2\r\nhi\r\n0\r\nX-Sum: 1\r\nx-More: 2\r\n\r\n"
    await cold_client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    request = await upstream.answer(
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    )
    answer = await cold_client.message()
    assert request.body == body
    assert answer.body == body
    assert answer.get(b"trailer") == b"X-Sum"


async def test_interim_answers_arrive_in_order(client: Wire, upstream: RawUpstream) -> None:
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await upstream.answer(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
    hints = await client.message(has_body=False)
    assert (hints.first, hints.get(b"link")) == (b"HTTP/1.1 103 Early Hints", b"</a>")
    assert (await client.message()).body == b"ok"


async def test_a_client_that_expects_100_gets_it_from_ollama(client: Wire, upstream: RawUpstream) -> None:
    await client.send(
        b"POST /api/blobs/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    )
    wire = await upstream.accept()
    assert b"Expect: 100-continue" in await wire.until(b"\r\n\r\n")
    await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    await client.send(b"blob")
    assert await wire.exactly(4) == b"blob"
    await wire.send(OK)
    assert (await client.message()).body == b"ok"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_an_answer_to_head_has_no_body_and_keeps_the_connection(
    client: Wire, upstream: RawUpstream, head: bytes
) -> None:
    await client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    wire = await upstream.accept()
    await wire.message()
    await wire.send(head)
    assert await client.until(b"\r\n\r\n") == head
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await wire.message()
    await wire.send(OK)
    assert (await client.message()).body == b"ok"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_a_status_without_body_ends_at_its_head(
    client: Wire, upstream: RawUpstream, status: bytes
) -> None:
    await client.send(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
    wire = await upstream.accept()
    for _ in range(2):
        await wire.message()
        await wire.send(b"HTTP/1.1 " + status + b"\r\n\r\n")
        assert (await client.until(b"\r\n\r\n")) == b"HTTP/1.1 " + status + b"\r\n\r\n"


async def test_an_http_1_0_client_gets_what_ollama_gives_such_clients(
    client: Wire, upstream: RawUpstream
) -> None:
    await client.send(b"GET /api/version HTTP/1.0\r\n\r\n")
    wire = await upstream.accept()
    assert await wire.until(b"\r\n\r\n") == b"GET /api/version HTTP/1.0\r\n\r\n"
    await wire.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello")
    wire.close()
    assert await client.rest() == b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"


async def test_chunks_are_taken_apart_for_an_http_1_0_client(client: Wire, upstream: RawUpstream) -> None:
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    await upstream.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
    assert await client.rest() == b"HTTP/1.1 200 OK\r\n\r\nhi"


async def test_a_body_without_a_length_runs_to_the_close(client: Wire, upstream: RawUpstream) -> None:
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wire = await upstream.accept()
    await wire.message()
    await wire.send(b"HTTP/1.1 200 OK\r\n\r\nhel")
    await wire.send(b"lo")
    wire.close()
    answer = await client.message()
    assert (answer.body, answer.get(b"connection")) == (b"hello", b"close")


async def test_hop_by_hop_headers_stay_here(client: Wire, upstream: RawUpstream) -> None:
    await client.send(
        b"GET / HTTP/1.1\r\nHost: x\r\nKeep-Alive: 5\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n"
        b"TE: trailers\r\nProxy-Connection: keep-alive\r\nAccept: */*\r\n"
        b"X-LTMLD-Scope: me\r\nx-ltmld-memory: off\r\n\r\n"
    )
    request = await upstream.answer(
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 9\r\n"
        b"A: 1\r\nContent-Length: 0\r\n\r\n"
    )
    assert request.names() == [b"Host", b"Accept"]
    assert (await client.message()).names() == [b"A", b"Content-Length"]


async def test_naming_the_length_in_connection_does_not_take_it_away(
    client: Wire, upstream: RawUpstream
) -> None:
    await client.send(
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Content-Length, Host\r\nContent-Length: 2\r\n\r\nhi"
    )
    request = await upstream.answer(OK)
    assert (request.names(), request.body) == ([b"Host", b"Content-Length"], b"hi")


async def test_an_upgrade_becomes_a_tunnel(client: Wire, upstream: RawUpstream) -> None:
    await client.send(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly"
    )
    wire = await upstream.accept()
    assert (await wire.message()).names() == [b"Host", b"Connection", b"Upgrade"]
    await wire.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x00first"
    )
    assert (await client.message(has_body=False)).names() == [b"Connection", b"Upgrade"]
    assert await client.exactly(6) == b"\x00first"
    assert await wire.exactly(5) == b"early"
    await client.send(b"\x81GET / HTTP/9\n")
    assert await wire.exactly(14) == b"\x81GET / HTTP/9\n"
    await wire.send(b"bye")
    wire.close()
    assert await client.rest() == b"bye"


async def test_the_last_bytes_into_a_tunnel_arrive_although_the_client_has_gone(
    client: Wire, upstream: RawUpstream
) -> None:
    await client.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    wire = await upstream.accept()
    await wire.message()
    await wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    await client.message(has_body=False)
    await client.send(b"last words")
    client.close()
    assert await wire.rest() == b"last words"


async def test_an_upgrade_that_ollama_ignores_is_an_ordinary_answer(
    client: Wire, upstream: RawUpstream
) -> None:
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    await upstream.answer(OK)
    assert (await client.message()).body == b"ok"


async def test_pipelined_requests_are_answered_in_order(client: Wire, upstream: RawUpstream) -> None:
    await client.send(
        b"".join(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d" % (n, n) for n in range(5))
    )
    wire = await upstream.accept()
    for n in range(5):
        request = await wire.message()
        assert (request.first, request.body) == (b"POST /%d HTTP/1.1" % n, b"%d" % n)
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % n)
        assert (await client.message()).body == b"%d" % n
    assert upstream.waiting == 0


async def test_a_request_pipelined_behind_a_chunked_body_is_to_be_sent_again(
    cold_client: Wire, upstream: RawUpstream
) -> None:
    body = b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    await cold_client.send(b"POST /1 HTTP/1.1\r\nHost: x\r\n" + body + b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
    await upstream.answer(OK)
    assert (await cold_client.message()).get(b"connection") == b"close"
    assert await cold_client.rest() == b""
    assert upstream.waiting == 0


async def test_connections_are_kept_alive_on_both_sides(proxy: Proxy, upstream: RawUpstream) -> None:
    async with await connect(proxy.port) as first, await connect(proxy.port) as second:
        await first.send(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
        wire = await upstream.accept()
        for n, client in enumerate((first, second, first), start=1):
            if n > 1:
                await client.send(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n)
            assert (await wire.message()).first == b"GET /%d HTTP/1.1" % n
            await wire.send(OK)
            await client.message()
    assert upstream.waiting == 0


async def test_connection_close_ends_the_clients_connection_only(
    client: Wire, proxy: Proxy, upstream: RawUpstream
) -> None:
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    wire = await upstream.accept()
    assert (await wire.message()).names() == [b"Host"]
    await wire.send(OK)
    assert await client.rest() == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    async with await connect(proxy.port) as other:
        await other.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await wire.message()


async def test_ollama_closing_its_connection_leaves_the_clients_open(
    client: Wire, upstream: RawUpstream
) -> None:
    for _ in range(2):
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await upstream.answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        answer = await client.message()
        assert (answer.body, answer.get(b"connection")) == (b"ok", None)


@pytest.mark.parametrize("version", [b"1.2", b"1.9"])
async def test_a_later_version_of_http_1_passes_as_the_one_spoken_here(
    client: Wire, upstream: RawUpstream, version: bytes
) -> None:
    """RFC 9110 2.5 and 6.2; Go's server, and so Ollama, reads every 1.x alike."""
    await client.send(b"POST /x HTTP/%b\r\nhOST:  x\r\nContent-Length: 2\r\n\r\n{}" % version)
    wire = await upstream.accept()
    said = b"POST /x HTTP/1.1\r\nhOST:  x\r\nContent-Length: 2\r\n\r\n{}"
    assert await wire.exactly(len(said)) == said
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert (await client.message()).body == b"ok"
