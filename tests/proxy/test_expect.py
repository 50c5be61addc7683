"""Promise: a client is asked for its body only where it waits to be asked (RFC 9110 10.1.1), as by Ollama."""

from __future__ import annotations

import pytest

from ltmld.proxy.server import Proxy
from tests.support.attendants import ObedientAttendant
from tests.support.raw_upstream import RawUpstream, Wire, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"POST /api/chat HTTP/%b\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("body", [b"{}", b""], ids=["a body", "no body"])
async def test_only_who_can_be_asked_and_has_a_body_is_asked_for_it(
    cold_client: Wire, upstream: RawUpstream, proxy: Proxy, version: bytes, body: bytes
) -> None:
    proxy.attendant = attendant = ObedientAttendant()
    attendant.may_attend.set()
    await cold_client.send(HEAD % (version, len(body)))
    await until(lambda: proxy.stats.open == 1)
    await cold_client.send(body)
    assert (await upstream.answer(OK)).body == body
    first = (await cold_client.until(b"\r\n\r\n")).split(b"\r\n")[0]
    asked_for = version == b"1.1" and bool(body)
    assert first == (b"HTTP/1.1 100 Continue" if asked_for else b"HTTP/1.1 200 OK")
    assert attendant.bodies == [body]
