"""Promise: what two parsers could read two ways gets a 4xx (or 5xx for what is not spoken here) and reaches nobody.

The left column is what RFC 9112 and the servers of the field disagree about; Ollama's own server (Go) refuses most
of it in the same way, and where it reads on, it is said beside the case.
"""

from __future__ import annotations

import json

import pytest

from ltmld.proxy.server import Proxy
from tests.support.raw_upstream import RawUpstream, Wire

POST = b"POST /api/show HTTP/1.1\r\nHost: x\r\n"
GET = b"GET / HTTP/1.1\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

LENGTHS = {
    "CL and TE": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",  # Go: TE wins
    "TE and CL": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "CL and TE identity": POST + b"Content-Length: 3\r\nTransfer-Encoding: identity\r\n\r\nabc",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "two equal lengths": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",  # Go: one of them
    "two lengths, two spellings": POST + b"Content-Length: 3\r\ncontent-length: 03\r\n\r\nabc",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a list of other lengths": POST + b"Content-Length: 3,4\r\n\r\nabcd",
    "a signed length": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "a hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "a length with an underscore": POST + b"Content-Length: 0_3\r\n\r\nabc",
    "a length with a fraction": POST + b"Content-Length: 3.0\r\n\r\nabc",
    "a length with a space": POST + b"Content-Length: 1 3\r\n\r\nabc",
    "a length in other digits": POST + "Content-Length: \u0663\r\n\r\nabc".encode(),
    "a superscript length": POST + b"Content-Length: \xb3\r\n\r\nabc",
    "an empty length": POST + b"Content-Length:\r\n\r\n",
    "a huge length": POST + b"Content-Length: 9999999999999999999\r\n\r\n",
    "a length that wraps around": POST + b"Content-Length: 18446744073709551619\r\n\r\nabc",
}

CODINGS = {
    "chunked not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in two headers": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, then identity": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "gzip alone": POST + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "nearly chunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked with a parameter": POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "chunked in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "an empty coding": POST + b"Transfer-Encoding:\r\n\r\n",
    "an empty coding before": POST + b"Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n",
    "an empty coding behind": POST + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
    "a vertical tab before": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a zero byte behind": POST + b"Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n",
    "a no-break space before": POST + b"Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n",
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a tab before the colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}

LINES = {
    "bare LF everywhere": b"GET / HTTP/1.1\nHost: x\n\n",
    "bare LF between headers": GET + b"Host: x\nX: y\r\n\r\n",
    "bare LF at the end": GET + b"Host: x\r\n\nX: y\r\n\r\n",
    "bare CR in a value": GET + b"Host: x\r\nX: a\rY: b\r\n\r\n",
    "bare CR in a name": GET + b"Host: x\r\nX\rY: b\r\n\r\n",
    "CR CR LF": GET + b"Host: x\r\r\nX: y\r\n\r\n",
    "a folded line": GET + b"Host: x\r\nX: a\r\n b\r\n\r\n",
    "a line folded by a tab": GET + b"Host: x\r\nX: a\r\n\tb\r\n\r\n",
    "a first header that begins with a space": GET + b" Host: x\r\n\r\n",
    "a zero byte in a value": GET + b"Host: x\r\nX: a\x00b\r\n\r\n",
    "a zero byte in a name": GET + b"Host: x\r\nX\x00: b\r\n\r\n",
    "a control character": GET + b"Host: x\r\nX: a\x08b\r\n\r\n",
    "a deleted character": GET + b"Host: x\r\nX: a\x7fb\r\n\r\n",
    "a space in a name": GET + b"Host: x\r\nX Y: z\r\n\r\n",
    "a name beyond ASCII": GET + b"Host: x\r\nX\xe4: z\r\n\r\n",
    "a name in parentheses": GET + b"Host: x\r\n(X): z\r\n\r\n",
    "no name": GET + b"Host: x\r\n: a\r\n\r\n",
    "no colon": GET + b"Host: x\r\nX\r\n\r\n",
}

HOSTS = {
    "no host": GET + b"X: y\r\n\r\n",
    "no header at all": GET + b"\r\n",
    "two hosts": GET + b"Host: localhost\r\nHost: evil.example\r\n\r\n",
    "the same host twice": GET + b"Host: x\r\nhost: x\r\n\r\n",
    "a user at a host": GET + b"Host: localhost@evil.example\r\n\r\n",
    "a host with a path": GET + b"Host: localhost/evil.example\r\n\r\n",
    "a host with a query": GET + b"Host: localhost?evil.example\r\n\r\n",
    "a host with a fragment": GET + b"Host: localhost#evil.example\r\n\r\n",
    "a host with a backslash": GET + b"Host: localhost\\evil.example\r\n\r\n",
    "a host with a space": GET + b"Host: localhost evil.example\r\n\r\n",
    "a host beyond ASCII": GET + b"Host: localh\xf6st\r\n\r\n",
}

CHUNKS = {
    "a size that is none": CHUNKED + b"xyz\r\n\r\n",
    "no size": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "a hexadecimal prefix": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "a plus": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "a minus": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "an underscore": CHUNKED + b"0_5\r\nhello\r\n0\r\n\r\n",
    "a space before the size": CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n",
    "a space behind the size": CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",  # Go: reads on
    "a tab behind the size": CHUNKED + b"5\t\r\nhello\r\n0\r\n\r\n",
    "other digits": CHUNKED + "\uff15\r\nhello\r\n0\r\n\r\n".encode(),
    "a huge size": CHUNKED + b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "a size that wraps around": CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "LF behind the size": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "CR CR behind the size": CHUNKED + b"5\r\rhello\r\n0\r\n\r\n",
    "LF behind the data": CHUNKED + b"5\r\nhello\n0\r\n\r\n",
    "LF at the end": CHUNKED + b"5\r\nhello\r\n0\n\n",
    "no line end behind the data": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "longer than it says": CHUNKED + b"2\r\nhello\r\n0\r\n\r\n",
    "LF in an extension": CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n",  # "TE.EXT" smuggling
    "CR in an extension": CHUNKED + b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "a zero byte in an extension": CHUNKED + b"5;a\x00\r\nhello\r\n0\r\n\r\n",
    "an extension over the limit": CHUNKED + b"5;a=" + b"b" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
    "a length as a trailer": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "a coding as a trailer": CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a host as a trailer": CHUNKED + b"0\r\nHost: evil.example\r\n\r\n",
    "a connection as a trailer": CHUNKED + b"0\r\nConnection: upgrade\r\n\r\n",
    "an own header as a trailer": CHUNKED + b"0\r\nX-LTMLD-Scope: you\r\n\r\n",
    "a folded trailer": CHUNKED + b"0\r\nX: a\r\n b\r\n\r\n",
    "a trailer without name": CHUNKED + b"0\r\n: a\r\n\r\n",
    "a space before a trailer's colon": CHUNKED + b"0\r\nX : a\r\n\r\n",
    "LF behind a trailer": CHUNKED + b"0\r\nX: a\n\r\n",
    "a zero byte in a trailer": CHUNKED + b"0\r\nX: a\x00b\r\n\r\n",
    "trailers over the limit": CHUNKED + b"0\r\n" + b"X: " + b"y" * 4096 + b"\r\n\r\n",
}

BAD = {**LENGTHS, **CODINGS, **LINES, **HOSTS, **CHUNKS}

OTHER = {
    "HTTP/2.0": (505, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    "HTTP/0.9, said": (505, b"GET / HTTP/0.9\r\nHost: x\r\n\r\n"),
    "HTTP/1.10": (505, b"GET / HTTP/1.10\r\nHost: x\r\n\r\n"),
    "HTTP/11": (505, b"GET / HTTP/11\r\nHost: x\r\n\r\n"),
    "a head too large": (431, GET + b"Host: x\r\nX: " + b"y" * 5000 + b"\r\n\r\n"),
    "a head too large, unfinished": (431, GET + b"Host: x\r\nX: " + b"y" * 5000),
    "a target too large": (414, b"GET /" + b"y" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a target too large, unfinished": (414, b"GET /" + b"y" * 5000),
    "too many headers": (431, GET + b"Host: x\r\n" + b"a:\r\n" * 300 + b"\r\n"),
}

REASONS = {
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
    505: b"HTTP Version Not Supported",
}


async def refused(client: Wire, upstream: RawUpstream, proxy: Proxy, request: bytes) -> bytes:
    """Send *request* with another behind it; return the first line of the only answer."""
    await client.send(request + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await client.message()
    assert answer.get(b"connection") == b"close"
    # A reason where Ollama would have read on; Ollama's own words where it would have said no more.
    assert answer.body == b"400 Bad Request" or json.loads(answer.body)["error"].startswith("ltmld: ")
    assert await client.rest() == b""
    assert (upstream.wires, proxy.stats.refused, proxy.stats.requests) == ([], 1, 0)
    return answer.first


@pytest.mark.parametrize("request_bytes", BAD.values(), ids=BAD.keys())
async def test_an_ambiguous_request_is_a_400_and_the_end_of_its_connection(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, request_bytes: bytes
) -> None:
    assert await refused(cold_client, upstream, proxy, request_bytes) == b"HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize(("status", "request_bytes"), OTHER.values(), ids=OTHER.keys())
async def test_what_is_too_large_or_of_another_version_is_named_by_its_status(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, status: int, request_bytes: bytes
) -> None:
    told = await refused(cold_client, upstream, proxy, request_bytes)
    assert told == b"HTTP/1.1 %d %b" % (status, REASONS[status])


CHUNKED_AS_EVER = [
    b"chunked",
    b"Chunked",
    b"CHUNKED",
    b"chunked ",
    b"\tchunked",
    b"gzip, chunked",
    b"gzip ,\tchunked",
]


@pytest.mark.parametrize("coding", CHUNKED_AS_EVER)
async def test_every_spelling_of_chunked_that_all_parsers_share_passes_as_it_came(
    cold_client: Wire, upstream: RawUpstream, coding: bytes
) -> None:
    # Recorded: te-gzip-chunked-501. Which codings there are is Ollama's to say; where the body ends is agreed.
    sent = POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    await cold_client.send(sent)
    wire = await upstream.accept()
    assert await wire.exactly(len(sent)) == sent


ACCEPTED = {
    "no host in HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "an empty host": GET + b"Host:\r\n\r\n",
    "a host with a port": GET + b"Host: localhost:11434\r\n\r\n",
    "a host of IPv6": GET + b"Host: [::1]:11434\r\n\r\n",
    "a target in absolute form": b"GET http://x/api/version HTTP/1.1\r\nHost: x\r\n\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target beyond ASCII": b"GET /\xe4 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a value beyond ASCII": GET + b"Host: x\r\nX: \xe4\r\n\r\n",
    "a method nobody knows": b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a head of the largest size": GET + b"Host: x\r\nX: " + b"y" * (4096 - 32) + b"\r\n\r\n",
    "as many headers as may be": GET + b"Host: x\r\n" + b"a:\r\n" * 255 + b"\r\n",
    "leading zeros": POST + b"Content-Length: 003\r\n\r\nabc",
}


@pytest.mark.parametrize("request_bytes", ACCEPTED.values(), ids=ACCEPTED.keys())
async def test_what_is_only_unusual_passes_byte_for_byte(
    cold_client: Wire, upstream: RawUpstream, request_bytes: bytes
) -> None:
    await cold_client.send(request_bytes)
    wire = await upstream.accept()
    assert await wire.exactly(len(request_bytes)) == request_bytes


async def test_chunk_extensions_end_here_and_leading_zeros_do_too(
    cold_client: Wire, upstream: RawUpstream
) -> None:
    await cold_client.send(CHUNKED + b'0005;a="b;c"\r\nhello\r\n0;d\r\n\r\n')
    wire = await upstream.accept()
    assert (await wire.message()).body == b"5\r\nhello\r\n0\r\n\r\n"


BEHIND = [
    CHUNKED + b"6\r\npoison\r\n0\r\n\r\n",
    POST + b"Content-Length: 6\r\n\r\npoison" + CHUNKED + b"0\r\n\r\n",
    GET + b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\npoison",
]


@pytest.mark.parametrize("behind", BEHIND, ids=["chunked", "counted", "upgrade"])
async def test_the_body_of_a_request_behind_a_chunked_one_does_not_join_it(
    cold_client: Wire, upstream: RawUpstream, behind: bytes
) -> None:
    # Found by the fuzzer: llhttp reads on behind the end of a body, and gave the next request's body out as its own.
    await cold_client.send(CHUNKED + b"0\r\n\r\n" + behind)
    wire = await upstream.accept()
    await wire.until(CHUNKED)
    assert await wire.exactly(5) == b"0\r\n\r\n"
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert (await cold_client.message()).get(b"connection") == b"close"
    assert await cold_client.rest() == b""
    assert upstream.waiting == 0
