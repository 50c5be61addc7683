"""Promise: the odd corners of HTTP pass as they came too: targets, interim answers, refusals, redirects, tunnels."""

from __future__ import annotations

import pytest

from ltmld.proxy.server import Proxy
from tests.support.raw_upstream import RawUpstream, Wire

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TARGETS = [
    *(
        b"/?",
        b"/a?",
        b"/??",
        b"/a%2Fb",
        b"/a%2fb",
        b"//a///b//",
        b"/./a/../b",
        b"/a;p=1;q",
        b"/%",
        b"/%zz",
        b"/%00",
    ),
    *(
        b"/\xff\xfe\xc3\xa9",
        b'/a|b^c`d{e}<f>"g\\h',
        b"/?a=1&a=2&&b=+%20",
        b"/v1/models/a%2Fb%3Alatest",
        b"/a#b",
    ),
    *(b"http://localhost:1/a?b", b"HTTPS://localhost//x", b"*", b"/" + b"x" * 3000),
]


@pytest.mark.parametrize("method", [b"GET", b"OPTIONS", b"DELETE", b"M-SEARCH", b"get"])
@pytest.mark.parametrize("target", TARGETS)
async def test_a_target_goes_on_byte_for_byte(
    client: Wire, upstream: RawUpstream, method: bytes, target: bytes
) -> None:
    head = method + b" " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    await client.send(head)
    wire = await upstream.accept()
    assert await wire.exactly(len(head)) == head
    await wire.send(OK)
    assert await client.exactly(len(OK)) == OK


async def test_every_interim_answer_arrives_and_the_final_one_after_them(
    client: Wire, upstream: RawUpstream
) -> None:
    interim = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 102 Processing\r\nX-a: 1\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nLink: </b>\r\n\r\n"
        b"HTTP/1.1 199 \r\n\r\n"
    )
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    wire = await upstream.accept()
    await wire.message()
    await wire.send(interim[:60])
    await wire.send(interim[60:])
    assert await client.exactly(len(interim)) == interim
    await wire.send(OK)
    assert await client.exactly(len(OK)) == OK


async def test_a_client_of_http_1_0_is_spared_interim_answers(client: Wire, upstream: RawUpstream) -> None:
    await client.send(b"GET / HTTP/1.0\r\n\r\n")
    await upstream.answer(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
    assert await client.rest() == OK


UNTOUCHED = {
    "redirect": b"HTTP/1.1 301 Moved Permanently\r\nContent-Type: text/html; charset=utf-8\r\nLocation: /api/tags\r\n"
    b'Content-Length: 44\r\n\r\n<a href="/api/tags">Moved Permanently</a>.\n\n',
    "redirect of a post": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: ../chat?a=%2F\r\nContent-Length: 0\r\n\r\n",
    "redirect elsewhere": b"HTTP/1.1 308 \r\nLocation: http://127.0.0.1:11434/x\r\nContent-Length: 0\r\n\r\n",
    "empty refusal": b"HTTP/1.1 403 Forbidden\r\nDate: x\r\nContent-Length: 0\r\n\r\n",
    "preflight": b"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: http://localhost:3000\r\nVary: Origin\r\n"
    b"Vary: Access-Control-Request-Method\r\n\r\n",
    "wrong method": b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, POST\r\nContent-Length: 0\r\n\r\n",
    "sign in": b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 18\r\n\r\n{"signin_url":"x"}',
    "no reason": b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n",
    "a reason of its own": b"HTTP/1.1 200 \xfcber  alles\t!\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("origin", [b"", b"Origin: null\r\n", b"Origin: http://evil.example\r\n"])
@pytest.mark.parametrize("answer", UNTOUCHED.values(), ids=UNTOUCHED.keys())
async def test_what_ollama_refuses_or_redirects_comes_back_untouched_and_the_connection_stays(
    client: Wire, upstream: RawUpstream, answer: bytes, origin: bytes
) -> None:
    head = b"OPTIONS /api/chat/ HTTP/1.1\r\nHost: localhost\r\n" + origin + b"\r\n"
    await client.send(head)
    wire = await upstream.accept()
    assert await wire.exactly(len(head)) == head
    await wire.send(answer)
    assert await client.exactly(len(answer)) == answer
    await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await wire.message()
    await wire.send(OK)
    assert await client.exactly(len(OK)) == OK


@pytest.mark.parametrize("status", [b"400 Bad Request", b"426 Upgrade Required"])
async def test_an_upgrade_that_is_refused_is_no_tunnel(
    client: Wire, upstream: RawUpstream, status: bytes
) -> None:
    await client.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    await upstream.answer(b"HTTP/1.1 " + status + b"\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno")
    answer = await client.message()
    assert (answer.first, answer.body) == (b"HTTP/1.1 " + status, b"no")
    await client.send(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await upstream.wires[-1].message()).first == b"GET /next HTTP/1.1"


async def test_connect_becomes_a_tunnel_where_ollama_grants_it(client: Wire, upstream: RawUpstream) -> None:
    head = b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n"
    await client.send(head)
    wire = await upstream.accept()
    assert await wire.exactly(len(head)) == head
    await wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
    assert (await client.message(has_body=False)).first == b"HTTP/1.1 200 Connection established"
    await client.send(b"\x16\x03raw")
    assert await wire.exactly(5) == b"\x16\x03raw"
    await wire.send(b"back")
    wire.close()
    assert await client.rest() == b"back"


async def test_connect_that_ollama_refuses_is_an_ordinary_answer(client: Wire, upstream: RawUpstream) -> None:
    answer = (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 18\r\n\r\n404 page not found"
    )
    await client.send(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n")
    await upstream.answer(answer)
    assert await client.exactly(len(answer)) == answer


async def test_trailers_go_on_in_order_and_spelling(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy
) -> None:
    body = b"1\r\na\r\n0\r\nx-B: 2\r\nX-a: 1\r\nx-B: 3\r\n\r\n"
    await cold_client.send(
        b"PUT / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    )
    request = await upstream.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert (request.body, (await cold_client.message()).body) == (body, body)
    assert proxy.stats.refused == 0
