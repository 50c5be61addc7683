"""Promise: who does not read stops who sends; nothing piles up in between."""

from __future__ import annotations

from tests.support.raw_upstream import RawUpstream, Wire

WHOLE = 50_000_000
STUCK = 30_000_000
"""What must not have left: the rest fits into the buffers of three sockets."""


async def test_a_client_that_does_not_read_stops_ollama_from_sending(
    client: Wire, upstream: RawUpstream
) -> None:
    await client.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
    wire = await upstream.accept()
    await wire.message()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % WHOLE)
    client.hold()
    wire.writer.write(b"x" * WHOLE)
    assert await wire.unsent() > STUCK
    client.go_on()
    assert len((await client.message()).body) == WHOLE


async def test_an_ollama_that_does_not_read_stops_the_client_from_sending(
    cold_client: Wire, upstream: RawUpstream
) -> None:
    cold_client.writer.write(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % WHOLE)
    wire = await upstream.accept()
    wire.hold()
    cold_client.writer.write(b"x" * WHOLE)
    assert await cold_client.unsent() > STUCK
    wire.go_on()
    assert len((await wire.message()).body) == WHOLE
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert (await cold_client.message()).body == b"ok"


async def test_a_client_that_read_slowly_finds_its_connection_as_before(
    client: Wire, upstream: RawUpstream
) -> None:
    for _ in range(2):
        await client.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        wire = await upstream.accept()
        await wire.message()
        client.hold()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n")
        wire.writer.write(b"x" * 5_000_000)
        await wire.unsent()
        client.go_on()
        assert len((await client.message()).body) == 5_000_000
        upstream.again(wire)
