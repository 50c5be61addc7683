"""Promise: what two parsers could read two ways is refused, and never reaches Ollama."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.proxy.head import Framing, HeadRefusedError, read_request
from ltmld.proxy.server import Proxy
from tests.support.raw_upstream import RawUpstream, Wire, connect


@pytest.mark.parametrize("first", [b"NOT HTTP", b"GET /a b HTTP/1.1", b"GET /"])
async def test_what_is_not_http_is_answered_as_ollama_answers_it_and_not_forwarded(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, first: bytes
) -> None:
    # Recorded: malformed-request. It is not forwarded, because nobody can tell where such a request ends: what
    # follows it could be read as another's request on the connection to Ollama, which is kept and shared.
    await cold_client.send(first + b"\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await cold_client.rest() == (
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
        b"400 Bad Request"
    )
    assert (upstream.wires, proxy.stats.refused) == ([], 1)


async def test_a_body_that_turns_out_malformed_takes_its_connection_to_ollama_along(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy
) -> None:
    await cold_client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
    wire = await upstream.accept()
    await wire.until(b"hi\r\n")
    await cold_client.send(b"nonsense\r\n")
    assert (await cold_client.message()).first == b"HTTP/1.1 400 Bad Request"
    await wire.gone()
    assert proxy.stats.open == 0


async def test_a_head_with_bare_lf_is_refused_without_waiting_for_an_end_that_never_comes(
    client: Wire,
) -> None:
    await client.send(b"GET / HTTP/1.1\nHost: x\n\n")
    assert (await client.message()).first == b"HTTP/1.1 400 Bad Request"


async def test_trailers_without_end_are_refused(client: Wire) -> None:
    await client.send(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: " + b"y" * 80_000
    )
    assert (await client.message()).first == b"HTTP/1.1 400 Bad Request"


async def test_empty_lines_before_a_request_are_ignored(proxy: Proxy, upstream: RawUpstream) -> None:
    async with await connect(proxy.port) as client:
        await client.send(b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wire = await upstream.accept()
        assert (await wire.until(b"\r\n\r\n")).startswith(b"GET / ")


class _Seen:
    """What llhttp makes of a request."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.url = b""
        self.ended = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_message_complete(self) -> None:
        self.ended = True


_PIECES = st.sampled_from(
    b"Content-Length: 0|Content-Length: 5|Transfer-Encoding: chunked|Host: x|X:|X : y| z|Expect: y|x|\r\n|\n|\r|:"
    b"| |\t|\x00|\xff|Connection: close, x".split(b"|")
)


@given(st.lists(_PIECES, max_size=8), st.sampled_from([b"\r\n", b"\n"]))
def test_whatever_is_accepted_llhttp_reads_alike(pieces: list[bytes], separator: bytes) -> None:
    raw = b"POST /a?b HTTP/1.1\r\n" + separator.join(pieces) + b"\r\n\r\n"
    raw = raw[: raw.index(b"\r\n\r\n") + 4]
    try:
        request = read_request(raw, "")
    except HeadRefusedError:
        return
    seen = _Seen()
    parser = httptools.HttpRequestParser(seen)
    parser.feed_data(raw)
    assert (tuple(seen.headers), seen.url) == (request.head.headers, b"/a?b")
    assert seen.ended == (request.framing is Framing.NONE)
