"""Promise: who speaks no HTTP at all reads Ollama's own answer, and gets nothing else through to Ollama."""

from __future__ import annotations

import pytest

from ltmld.config import ProxySettings
from ltmld.proxy import raw
from ltmld.proxy.refusal import NOT_HTTP
from ltmld.proxy.server import Proxy
from tests.support.raw_upstream import RawUpstream, Wire, connect, until
from tests.support.serving import serving

STRANGE = b"NOT HTTP\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("said", [STRANGE, b"hello\r\n", b"NOT HTTP\r\nX-Case: 1\r\n\r\n"])
async def test_what_is_not_http_reaches_ollama_and_its_answer_the_client(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, said: bytes
) -> None:
    await cold_client.send(said)
    wire = await upstream.accept()
    assert await wire.exactly(len(said)) == said
    await wire.send(b"HTTP/1.1 418 ")
    await wire.send(b"Whatever it is")
    wire.close()
    assert await cold_client.rest() == b"HTTP/1.1 418 Whatever it is"
    assert proxy.stats.refused == 1


async def test_its_connection_to_ollama_serves_nobody_before_and_nobody_after(
    client: Wire, proxy: Proxy, upstream: RawUpstream
) -> None:
    before = list(upstream.wires)
    await client.send(STRANGE)
    await until(lambda: len(upstream.wires) > len(before))
    own = upstream.wires[-1]
    await own.exactly(len(STRANGE))
    async with await connect(proxy.port) as other:
        await other.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await own.send(OK)
        own.writer.write_eof()
        assert await own.rest() == b""
    assert await client.rest() == OK


@pytest.mark.parametrize(
    "smuggled",
    [
        b"NOT HTTP\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        b"NOT HTTP\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\r\n\r\n",  # HTTP/0.9, which some servers still answer
        b"get /api/tags http/1.1\r\nHost: x\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/tags HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\nHost: x\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_some_parser_could_take_for_a_request_never_reaches_ollama(
    cold_client: Wire, upstream: RawUpstream, smuggled: bytes
) -> None:
    await cold_client.send(smuggled)
    assert (await cold_client.rest())[:10] in (b"HTTP/1.1 4", b"HTTP/1.1 5")
    assert upstream.wires == []


async def test_nothing_that_comes_behind_it_reaches_ollama(cold_client: Wire, upstream: RawUpstream) -> None:
    await cold_client.send(STRANGE)
    wire = await upstream.accept()
    await wire.exactly(len(STRANGE))
    await cold_client.send(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    await wire.send(OK)
    wire.writer.write_eof()
    assert await cold_client.rest() == OK
    assert await wire.rest() == b""
    assert upstream.waiting == 0


async def test_of_http_2_ollama_sees_the_first_line_and_no_frame(
    cold_client: Wire, upstream: RawUpstream
) -> None:
    # Behind a whole preface a server that speaks HTTP/2 would take frames, and no guard of ours would read them.
    await cold_client.send(PREFACE + bytes(9))
    wire = await upstream.accept()
    await wire.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    wire.writer.write_eof()
    assert await wire.rest() == b"PRI * HTTP/2.0\r\n\r\n"
    assert (await cold_client.rest()).startswith(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n")


async def test_a_stranger_that_says_one_line_and_no_more_still_reads_the_answer(
    cold_client: Wire, upstream: RawUpstream
) -> None:
    await cold_client.send(STRANGE)
    cold_client.writer.write_eof()
    wire = await upstream.accept()
    await wire.send(NOT_HTTP)
    wire.close()
    assert await cold_client.rest() == NOT_HTTP


async def test_a_stranger_that_goes_takes_its_connection_to_ollama_along(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy
) -> None:
    await cold_client.send(STRANGE)
    wire = await upstream.accept()
    await wire.exactly(len(STRANGE))
    cold_client.reset()
    await wire.gone()
    assert proxy.stats.defects == 0


async def test_without_ollama_it_is_answered_here_in_ollamas_words(settings: ProxySettings) -> None:
    spare = await RawUpstream().start()
    await spare.stop()
    async with serving(spare.port, settings) as proxy, await connect(proxy.port) as client:
        await client.send(STRANGE)
        assert await client.rest() == NOT_HTTP


async def test_an_ollama_that_says_nothing_is_not_waited_for_for_ever(
    cold_client: Wire, upstream: RawUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw, "ANSWER_TIMEOUT_S", 0.05)
    await cold_client.send(STRANGE)
    wire = await upstream.accept()
    assert await cold_client.rest() == NOT_HTTP
    await wire.gone()


async def test_of_an_endless_answer_only_the_beginning_is_passed_on(
    cold_client: Wire, upstream: RawUpstream
) -> None:
    await cold_client.send(STRANGE)
    wire = await upstream.accept()
    await wire.send(b"x" * (raw.ANSWER_BYTES_MAX + 5))
    assert await cold_client.rest() == b"x" * raw.ANSWER_BYTES_MAX
    await wire.gone()


async def test_stopping_waits_for_no_stranger(upstream: RawUpstream, settings: ProxySettings) -> None:
    async with serving(upstream.port, settings) as proxy, await connect(proxy.port) as client:
        await client.send(STRANGE)
        await upstream.accept()
        await proxy.stop()
        await client.gone()
