"""Promise: however an exchange ends, both sides learn the truth, nothing is left open, and the next one works."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import time

import pytest

from ltmld.config import ProxySettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.errors import PortInUseError, SettingsError
from ltmld.proxy.server import Proxy
from tests.support.raw_upstream import PATIENCE_S, RawUpstream, Wire, connect, until
from tests.support.serving import serving

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


# --- the client goes ---


@pytest.mark.parametrize("begun", [b"", STREAM + b"2\r\nhi\r\n"], ids=["before the first byte", "mid-stream"])
async def test_a_client_that_goes_closes_ollamas_connection_within_50_ms(
    client: Wire, proxy: Proxy, upstream: RawUpstream, begun: bytes
) -> None:
    await client.send(GET)
    wire = await upstream.accept()
    await wire.message()
    if begun:
        await wire.send(begun)
        await client.until(b"hi\r\n")
    client.close()
    started = time.perf_counter()
    await wire.gone()
    assert time.perf_counter() - started < 0.05
    await until(lambda: (proxy.stats.open, proxy.stats.hang_ups) == (0, 1))


async def test_a_client_that_goes_during_its_upload_takes_it_along(
    client: Wire, upstream: RawUpstream
) -> None:
    await client.send(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    wire = await upstream.accept()
    await wire.until(b"half")
    client.reset()
    await wire.gone()


async def test_a_half_closed_client_has_gone_as_it_has_for_ollama(
    client: Wire, upstream: RawUpstream
) -> None:
    await client.send(GET)
    wire = await upstream.accept()
    await wire.message()
    client.writer.write_eof()
    await wire.gone()
    assert await client.rest() == b""


async def test_a_client_that_goes_while_ollama_is_being_connected_leaves_nothing(
    upstream: RawUpstream, settings: ProxySettings
) -> None:
    async with serving(upstream.port, settings) as proxy:
        for _ in range(20):
            async with await connect(proxy.port) as client:
                await client.send(GET)
        await until(lambda: (proxy.stats.requests, proxy.stats.open) == (20, 0))
    for wire in upstream.wires:
        await wire.gone()


# --- Ollama goes ---


async def test_ollama_dying_mid_stream_breaks_the_clients_stream(
    client: Wire, proxy: Proxy, upstream: RawUpstream
) -> None:
    await client.send(GET)
    wire = await upstream.accept()
    await wire.message()
    await wire.send(STREAM + b"2\r\nhi\r\n7\r\nhal")
    await client.until(b"hi\r\n")
    wire.reset()
    assert not (await client.rest()).endswith(b"0\r\n\r\n")
    assert (proxy.stats.upstream_errors, proxy.stats.open) == (1, 0)


async def test_ollama_closing_short_of_its_length_breaks_the_answer(
    client: Wire, upstream: RawUpstream
) -> None:
    await client.send(GET)
    wire = await upstream.accept()
    await wire.message()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    wire.close()
    with pytest.raises(asyncio.IncompleteReadError):
        await client.message()


async def test_a_reset_does_not_look_like_the_end_of_an_unframed_body(
    client: Wire, upstream: RawUpstream
) -> None:
    await client.send(GET)
    wire = await upstream.accept()
    await wire.message()
    await wire.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    await client.until(b"half")
    wire.reset()
    with pytest.raises(ConnectionError):
        await client.rest()


@pytest.mark.parametrize(
    "rubbish",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 5000,
    ],
)
async def test_an_answer_that_is_not_http_is_a_502(
    client: Wire, upstream: RawUpstream, rubbish: bytes
) -> None:
    await client.send(GET)
    await upstream.answer(rubbish)
    answer = await client.message()
    assert answer.first == b"HTTP/1.1 502 Bad Gateway"
    assert b"not HTTP/1.1" in answer.body


async def test_rubbish_inside_a_stream_breaks_it(client: Wire, proxy: Proxy, upstream: RawUpstream) -> None:
    await client.send(GET)
    wire = await upstream.accept()
    await wire.message()
    await wire.send(STREAM + b"2\r\nhi\r\nrubbish\r\n")
    assert (await client.rest()).endswith(b"2\r\nhi\r\n")
    await wire.gone()
    assert proxy.stats.upstream_errors == 1


async def test_unasked_bytes_end_a_kept_connection(client: Wire, upstream: RawUpstream) -> None:
    await client.send(GET)
    wire = await upstream.accept()
    await wire.message()
    await wire.send(OK)
    await client.message()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
    await wire.gone()
    await client.send(GET)
    await upstream.answer(OK)
    assert (await client.message()).body == b"ok"


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        (b"/api/chat", {"error": ""}),
        (b"/v1/models", {"error": {"message": "", "type": "api_error", "param": None, "code": None}}),
    ],
)
async def test_without_ollama_the_answer_is_a_502_that_says_what_to_do(
    proxy: Proxy, upstream: RawUpstream, path: bytes, shape: dict[str, object]
) -> None:
    await upstream.stop()
    async with await connect(proxy.port) as client:
        for _ in range(2):
            await client.send(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await client.message()
            tree = json.loads(answer.body)
            message = tree["error"] if isinstance(tree["error"], str) else tree["error"]["message"]
            assert answer.first == b"HTTP/1.1 502 Bad Gateway"
            assert message == (
                f"ltmld: Ollama cannot be reached at http://127.0.0.1:{upstream.port} (connection refused). "
                "Start it with `ollama serve`; ltmld goes on trying."
            )
            assert str(tree).replace(message, "") == str(shape)
    assert proxy.stats.upstream_errors == 2


async def test_when_ollama_is_back_the_next_request_reaches_it(client: Wire, upstream: RawUpstream) -> None:
    await upstream.stop()
    await client.send(GET)
    assert (await client.message()).first == b"HTTP/1.1 502 Bad Gateway"
    again = await RawUpstream().start(upstream.port)
    await client.send(GET)
    await again.answer(OK)
    assert (await client.message()).body == b"ok"
    await again.stop()


async def test_a_502_to_head_has_no_body(client: Wire, upstream: RawUpstream) -> None:
    await upstream.stop()
    await client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await client.rest()).endswith(b"\r\n\r\n")


# --- kept-alive connections that died ---


async def _use_and_kill(client: Wire, upstream: RawUpstream) -> None:
    """Have one answer, then let Ollama drop the connection as soon as it is used again."""
    await client.send(GET)
    wire = await upstream.accept()
    await wire.message()
    await wire.send(OK)
    await client.message()


@pytest.mark.parametrize(
    "request_bytes", [GET, b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"]
)
async def test_a_request_that_met_a_dead_connection_is_sent_again_once(
    client: Wire, proxy: Proxy, upstream: RawUpstream, request_bytes: bytes
) -> None:
    await _use_and_kill(client, upstream)
    await client.send(request_bytes)
    await upstream.wires[0].message()
    upstream.wires[0].reset()
    second = await upstream.accept()
    assert await second.exactly(len(request_bytes)) == request_bytes
    second.close()
    assert (await client.message()).first == b"HTTP/1.1 502 Bad Gateway"
    assert proxy.stats.retried == 1
    assert upstream.waiting == 0


async def test_a_request_is_not_sent_again_once_an_answer_began(client: Wire, upstream: RawUpstream) -> None:
    await _use_and_kill(client, upstream)
    await client.send(GET)
    await upstream.wires[0].message()
    await upstream.wires[0].send(b"HTTP/1.1 20")
    upstream.wires[0].close()
    assert (await client.message()).first == b"HTTP/1.1 502 Bad Gateway"
    assert upstream.waiting == 0


async def test_a_new_connection_that_dies_silently_is_a_502_and_no_retry(
    cold_client: Wire, upstream: RawUpstream
) -> None:
    await cold_client.send(GET)
    wire = await upstream.accept()
    await wire.message()
    wire.close()
    answer = await cold_client.message()
    assert b"without an answer" in answer.body
    assert upstream.waiting == 0


async def test_what_cannot_be_repeated_never_meets_a_kept_connection(
    client: Wire, upstream: RawUpstream
) -> None:
    await _use_and_kill(client, upstream)
    await client.send(
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    )
    assert (await upstream.answer(OK)).payload == b"hi"
    assert (await client.message()).body == b"ok"


# --- early answers ---


async def test_an_early_answer_arrives_although_the_upload_never_ends(
    cold_client: Wire, upstream: RawUpstream
) -> None:
    await cold_client.send(
        b"POST /api/blobs/x HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 1000
    )
    wire = await upstream.accept()
    await wire.until(b"\r\n\r\n")
    await wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    wire.reset()
    sending = asyncio.create_task(cold_client.send(b"x" * 20_000_000))
    answer = await cold_client.message()
    assert (answer.first, answer.get(b"connection")) == (b"HTTP/1.1 200 OK", b"close")
    await sending
    assert await cold_client.rest() == b""


async def test_after_an_early_answer_the_half_sent_request_ends_its_connection(
    cold_client: Wire, upstream: RawUpstream
) -> None:
    await cold_client.send(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    wire = await upstream.accept()
    await wire.until(b"half")
    await wire.send(OK)
    assert (await cold_client.message()).body == b"ok"
    await wire.gone()


async def test_an_answer_that_lies_behind_a_reset_is_found(settings: ProxySettings) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as listening, socket.socket() as client:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        client.setblocking(False)
        async with serving(listening.getsockname()[1], settings) as proxy:
            await loop.sock_connect(client, ("127.0.0.1", proxy.port))
            client.send(b"POST /api/blobs/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
            ollama, _ = await loop.sock_accept(listening)
            await until(lambda: bool(select.select([ollama], [], [], 0)[0]))
            # All at once, before the proxy can look: more body, the answer, and a reset, for the head lies unread.
            client.send(b"x" * 1000)
            ollama.send(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
            ollama.close()
            answer = await asyncio.wait_for(loop.sock_recv(client, 1000), PATIENCE_S)
            assert answer.startswith(b"HTTP/1.1 413 Too Large")
            client.close()


# --- start and stop ---


async def test_a_port_in_use_is_named_with_the_remedy(proxy: Proxy, settings: ProxySettings) -> None:
    second = Proxy(upstream=OllamaHost(port=1), settings=settings)
    with pytest.raises(PortInUseError, match=rf"127\.0\.0\.1:{proxy.port} is in use .*LTMLD_LISTEN"):
        await second.start("127.0.0.1", proxy.port)


async def test_an_address_of_another_machine_is_refused_by_name(settings: ProxySettings) -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1:8.*LTMLD_LISTEN"):
        await Proxy(upstream=OllamaHost(port=1), settings=settings).start("192.0.2.1", 8)


async def test_stopping_lets_an_open_stream_end(client: Wire, proxy: Proxy, upstream: RawUpstream) -> None:
    await client.send(GET)
    wire = await upstream.accept()
    await wire.message()
    await wire.send(STREAM + b"2\r\nhi\r\n")
    await client.until(b"hi\r\n")
    stopping = asyncio.create_task(proxy.stop())
    await asyncio.sleep(0)
    with pytest.raises(ConnectionError):
        await connect(proxy.port)
    await wire.send(b"0\r\n\r\n")
    assert await client.rest() == b"0\r\n\r\n"
    await stopping


async def test_stopping_breaks_off_what_does_not_end_in_time(
    upstream: RawUpstream, settings: ProxySettings
) -> None:
    hurried = settings.model_copy(update={"grace_s": 0.05})
    async with (
        serving(upstream.port, hurried) as proxy,
        await connect(proxy.port) as client,
        await connect(proxy.port) as idle,
    ):
        await client.send(GET)
        wire = await upstream.accept()
        await wire.message()
        await proxy.stop()
        await wire.gone()
        await client.gone()
        await idle.gone()


async def test_idle_connections_are_closed_on_both_sides(
    client: Wire, proxy: Proxy, upstream: RawUpstream
) -> None:
    await _use_and_kill(client, upstream)
    loop = asyncio.get_running_loop()
    proxy._sweep(now=loop.time() + 59)
    assert not upstream.wires[0].reader.at_eof()
    proxy._sweep(now=loop.time() + 61)
    await upstream.wires[0].gone()
    await client.gone()
