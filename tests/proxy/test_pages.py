"""Promise: a web page gets the same answer through ltmld as from the Ollama behind it, and never a better one."""

from __future__ import annotations

import itertools
import re

import pytest

from ltmld.config import ProxySettings
from ltmld.standin.server import running_standin
from tests.support.raw_upstream import connect
from tests.support.serving import serving

METHODS = [
    b"GET /api/tags",
    b"HEAD /",
    b"OPTIONS /api/chat",
    b"GET /api/tags/",
    b"DELETE /api/delete",
    b"POST /api/me",
]
NEAR = [b"localhost:11435", b"127.0.0.1:11435", b"192.168.1.5:8080", b"box.local", b"[::1]:11435"]
FAR = [b"evil.example", b"8.8.8.8:11435", b"llm.example.com"]
ORIGINS = [
    *(
        b"",
        b"null",
        b"http://localhost:3000",
        b"https://evil.example",
        b"http://192.168.1.5:8080",
        b"tauri://localhost",
    ),
    *(
        b"https://box.local",
        b"https://llm.example.com",
        b"https://a.friend",
        b"http://localhost:11435",
        b"app://x",
    ),
]
PAGES = list(itertools.product(METHODS, NEAR + FAR, ORIGINS))


def asking(first: bytes, host: bytes, origin: bytes) -> bytes:
    """Return what a page's browser sends; a request with a method of its own is preceded by a preflight."""
    named = b"Origin: " + origin + b"\r\n" if origin else b""
    asked = b"Access-Control-Request-Method: POST\r\n" if first.startswith(b"OPTIONS") else b""
    return first + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + named + asked + b"\r\n"


async def answer(port: int, request: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Return what one connection is told: first line, headers but those of its hop and the time, body."""
    async with await connect(port) as page:
        await page.send(request)
        told = await page.message(has_body=not request.startswith(b"HEAD"))
    lines = [b"%b: %b" % header for header in told.headers]
    return told.first, [line for line in lines if not re.match(rb"(?i)(date|connection):", line)], told.body


@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.parametrize("listening", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - for the length of a test
@pytest.mark.parametrize("origins", [[], ["https://a.friend"], ["*"]])
async def test_before_an_ollama_that_checks_a_page_is_told_what_ollama_would_tell_it(
    listening: str, origins: list[str]
) -> None:
    with running_standin(origins=origins) as standin:
        async with serving(standin.port, ProxySettings(), host=listening) as proxy:
            for first, host, origin in PAGES:
                request = asking(first, host, origin)
                direct, through = await answer(standin.port, request), await answer(proxy.port, request)
                refused_here = first.startswith((b"DELETE", b"POST")) or first.endswith(b"/")
                if listening == "127.0.0.1" and host in FAR and refused_here:
                    # Refused before Ollama sees it, which would add what CORS demands, and redirects anybody.
                    assert (through[0], through[2]) == (b"HTTP/1.1 403 Forbidden", b""), request
                else:
                    assert through == direct, request


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_before_an_ollama_that_checks_nothing_a_page_of_elsewhere_gets_403_all_the_same() -> None:
    with running_standin(host="0.0.0.0", origins=["*"]) as standin:  # noqa: S104 - a test of just that
        async with serving(standin.port, ProxySettings(), host="127.0.0.1") as proxy:
            for first, host, origin in PAGES:
                request = asking(first, host, origin)
                direct, through = await answer(standin.port, request), await answer(proxy.port, request)
                preflight = direct[0] == b"HTTP/1.1 204 No Content"
                if host in FAR and not preflight:
                    assert (through[0], through[2]) == (b"HTTP/1.1 403 Forbidden", b""), request
                else:
                    assert through == direct, request


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_a_page_is_told_by_origins_where_ollama_listens_for_all_and_ltmld_too() -> None:
    with running_standin(host="0.0.0.0") as standin:  # noqa: S104 - a test of just that
        async with serving(standin.port, ProxySettings()) as proxy:
            for first, host, origin in PAGES:
                request = asking(first, host, origin)
                assert await answer(proxy.port, request) == await answer(standin.port, request), request
