"""Promise: the short way decides nothing differently: cold or warm, a request gets the same answer, to the byte.

Cold: no connection to Ollama is open, and every request is relayed. Warm: one is kept alive, and what is simple
enough takes the short way (``ltmld.proxy.express``).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from ltmld.config import ProxySettings
from ltmld.proxy.server import Proxy
from tests.support.attendants import ObedientAttendant
from tests.support.raw_upstream import RawUpstream, Wire, connect, until
from tests.support.serving import serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIMITS = ProxySettings(
    head_bytes_max=2000, headers_max=40, look_bytes_max=3000, repeat_bytes_max=500, grace_s=0.1
)
HOST = b"Host: localhost\r\n"


def get(*lines: bytes, target: bytes = b"/x", version: bytes = b"1.1", host: bytes = HOST) -> bytes:
    return b"GET %b HTTP/%b\r\n%b%b\r\n" % (target, version, host, b"".join(line + b"\r\n" for line in lines))


def post(body: bytes, *lines: bytes, target: bytes = b"/x") -> bytes:
    head = b"".join(line + b"\r\n" for line in lines)
    return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n%b\r\n%b" % (target, HOST, len(body), head, body)


def padded(size: int) -> bytes:
    """Return a head of exactly *size* bytes."""
    return get(b"X: " + b"y" * (size - len(get(b"X: "))))


REQUESTS = {
    "plain": get(),
    "as many headers as may be": get(*[b"a: b"] * 39),
    "one header too many": get(*[b"a: b"] * 40),
    "very many headers": get(*[b"a:b"] * 300),
    "very many headers of a post": post(b"{}", *[b"a:b"] * 50),
    "as large as may be": padded(LIMITS.head_bytes_max),
    "one byte too large": padded(LIMITS.head_bytes_max + 1),
    "a target too large": get(target=b"/" + b"y" * 2000),
    "a small body": post(b"{}"),
    "a body as large as is kept": post(b"x" * 500),
    "a body that is not kept": post(b"x" * 501),
    "a body that is looked into": post(b"{}", target=b"/api/chat"),
    "a body too large to be looked into": post(b"x" * 3001, target=b"/api/chat"),
    "empty lines before it": b"\r\n\r\n" + get(),
    "HTTP/1.0": get(version=b"1.0"),
    "HTTP/1.0 without a host": get(version=b"1.0", host=b""),
    "HTTP/1.2": get(version=b"1.2"),
    "HTTP/2.0": get(version=b"2.0"),
    "no HTTP": b"hello\r\n\r\n",
    "a close": get(b"Connection: close"),
    "own headers": get(b"X-LTMLD-Scope: a", b"Keep-Alive: timeout=1"),
    "a body that is expected": post(b"{}", b"Expect: 100-continue"),
    "HEAD": get().replace(b"GET", b"HEAD"),
    "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
    "an upgrade": get(b"Connection: Upgrade", b"Upgrade: websocket"),
    "two hosts": get(HOST[:-2]),
    "no host": get(host=b""),
    "no name of a host": get(host=b"Host: a/b\r\n"),
    "a host of elsewhere": get(host=b"Host: evil.example\r\n"),
    "a post for a host of elsewhere": post(b"{}").replace(b"localhost", b"evil.example"),
    "a target of elsewhere": get(target=b"http://evil.example/x"),
    "both framings": post(b"{}", b"Transfer-Encoding: chunked"),
    "chunks": b"POST /x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "two lengths": post(b"{}", b"Content-Length: 3"),
    "a bare LF": get(b"a: b\nc: d"),
    "a folded line": get(b"a: b\r\n c"),
    "a zero byte": get(b"a: b\x00"),
    "TLS": b"\x16\x03\x01\x00\x05hello\r\n\r\n",
    "two at once": get() + get(target=b"/y"),
}
ANSWERS = {
    "counted": OK,
    "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "with hops": b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok",
    "named hops": b"HTTP/1.1 200 OK\r\nConnection: X-A\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    "interim before": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "a head too large": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 2000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "an own header": b"HTTP/1.1 200 OK\r\nX-LTMLD-A: 1\r\nContent-Length: 2\r\n\r\nok",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What the client and Ollama have seen of one request, and what was counted."""

    told: bytes
    passed: bytes
    counted: dict[str, float]


async def exchanged(request: bytes, answer: bytes, *, warm: bool) -> Exchange:
    upstream = await RawUpstream().start()
    try:
        async with serving(upstream.port, LIMITS, host="127.0.0.1") as proxy:
            proxy.attendant = attendant = ObedientAttendant()
            attendant.may_attend.set()
            return await _exchanged(proxy, upstream, request, answer, warm=warm)
    finally:
        await upstream.stop()


async def _exchanged(
    proxy: Proxy, upstream: RawUpstream, request: bytes, answer: bytes, *, warm: bool
) -> Exchange:
    if warm:
        async with await connect(proxy.port) as other:
            await other.send(get())
            kept = await upstream.accept()
            await kept.message()
            await kept.send(OK)
            await other.message()
            upstream.again(kept)
        await until(lambda: not proxy._plane.clients)
    before = proxy.stats.as_dict()
    async with await connect(proxy.port) as client:
        playing = asyncio.create_task(_play(upstream, answer))
        await client.send(request)
        told = await client.some()
        client.writer.write(get(b"Connection: close", target=b"/last"))
        told += await client.rest()
        playing.cancel()
        passed = b"".join(await playing)
    after = proxy.stats.as_dict()
    kinds = ("requests", "refused", "unread", "looked_into", "upstream_errors", "defects")
    counted = {kind: after[kind] - before[kind] for kind in kinds if kind in after}
    return Exchange(told=_undated(told), passed=passed, counted=counted)


async def _play(upstream: RawUpstream, answer: bytes) -> list[bytes]:
    """Answer every request of every connection until cancelled; return the requests as they came."""
    passed: list[bytes] = []
    players: set[asyncio.Task[None]] = set()
    try:
        while True:
            wire = await upstream._arrived.get()
            players.add(asyncio.create_task(_answer_all(wire, answer, passed)))
    except asyncio.CancelledError:
        for player in players:
            player.cancel()
        await asyncio.gather(*players, return_exceptions=True)
        return passed


async def _answer_all(wire: Wire, answer: bytes, passed: list[bytes]) -> None:
    while True:
        try:
            head = await wire.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        body = await wire.reader.readexactly(length)
        if b"chunked" in head:
            body = await wire.reader.readuntil(b"0\r\n\r\n")
        passed.append(head + body)
        last = b" /last " in head
        reply = OK if last else answer
        if head.startswith(b"HEAD"):
            reply = reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        await wire.send(reply)
        if last or b" HTTP/" not in head:
            wire.close()


def _undated(told: bytes) -> bytes:
    lines = told.split(b"\r\n")
    return b"\r\n".join(b"Date:" if line.startswith(b"Date:") else line for line in lines)


@pytest.mark.parametrize("request_bytes", REQUESTS.values(), ids=REQUESTS.keys())
async def test_a_request_is_answered_alike_whether_ollama_is_connected_or_not(request_bytes: bytes) -> None:
    cold = await exchanged(request_bytes, OK, warm=False)
    assert cold.told
    assert await exchanged(request_bytes, OK, warm=True) == cold


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_an_answer_is_passed_on_alike_whether_ollama_was_connected_or_not(answer: bytes) -> None:
    cold = await exchanged(get(), answer, warm=False)
    assert cold.told
    assert await exchanged(get(), answer, warm=True) == cold


@pytest.mark.parametrize("count", [40, 41, 301], ids=str)
async def test_too_many_headers_are_refused_on_a_kept_connection_too(
    client: Wire, upstream: RawUpstream, count: int
) -> None:
    await client.send(get(*[b"a:b"] * (count - 1)))
    answer = asyncio.create_task(client.message())
    await until(lambda: bool(upstream.waiting) or answer.done())
    if count <= LIMITS.headers_max:
        await upstream.answer(OK)
    assert (await answer).first.split(b" ")[1] == (b"431" if count > LIMITS.headers_max else b"200")


@pytest.fixture
def settings() -> ProxySettings:
    return LIMITS
