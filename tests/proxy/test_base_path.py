"""Promise: an Ollama below a path is all that is reached through ltmld, and its redirects lead back through it."""

from __future__ import annotations

import pytest

from ltmld.config import ProxySettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.proxy.address import answer_reader, reader
from ltmld.proxy.head import HeadRefusedError
from tests.support.raw_upstream import RawUpstream, connect
from tests.support.serving import serving

BASE = OllamaHost.parse("https://llm.example/team/ollama")
PLAIN = OllamaHost.parse("127.0.0.1:11434")
CLIMBING = [
    b"/../secret",
    b"/..",
    b"/a/../../secret",
    b"/a/..",
    b"/%2e%2e/secret",
    b"/.%2E/secret",
    b"/%252e%252e/secret",
    b"/a%2f..%2fsecret",
    b"/..%2fsecret",
    b"/..%5csecret",
    b"/..\\secret",
    b"/..;/secret",
    b"/..;a=b/secret",
    b"/..%3b/secret",
    b"/%2525252525252e./secret",
    b"http://localhost:11435/../secret",
    b"http://localhost:11435/%2e%2e/secret",
    b"../secret",
    b"/..#/secret",
]
STAYING = [
    b"/a..b",
    b"/...",
    b"/a/.b",
    b"/./a",
    b"/a?to=/../b",
    b"/a?..",
    b"/a%2Fb",
    b"/%E4%BD%A0",
    b"/100%25",
]


def sent(target: bytes, host: OllamaHost, *, method: bytes = b"GET") -> bytes:
    """Return the first line that goes on."""
    head = method + b" " + target + b" HTTP/1.1\r\nHost: localhost:11435\r\n\r\n"
    return reader(host, headers_max=9)(head, "").forward().split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("method", "target"),
    [(b"GET", target) for target in CLIMBING]
    # CONNECT to a host has no path.
    + [(b"CONNECT", target) for target in CLIMBING if target.startswith(b"/")],
)
def test_a_path_that_climbs_is_refused_below_a_base_path(method: bytes, target: bytes) -> None:
    with pytest.raises(HeadRefusedError, match=r"write it without '\.\.'") as refused:
        sent(target, BASE, method=method)
    assert refused.value.status == 400


@pytest.mark.parametrize("target", CLIMBING)
def test_without_a_base_path_it_goes_on_as_it_came(target: bytes) -> None:
    assert sent(target, PLAIN) == b"GET " + target + b" HTTP/1.1"


@pytest.mark.parametrize("target", STAYING)
def test_a_path_that_does_not_climb_goes_on(target: bytes) -> None:
    assert sent(target, BASE) == b"GET /team/ollama" + target + b" HTTP/1.1"


def test_a_connect_to_a_path_stays_below_the_base_path_too() -> None:
    assert sent(b"/x", BASE, method=b"CONNECT") == b"CONNECT /team/ollama/x HTTP/1.1"


def location(value: bytes, host: OllamaHost) -> bytes:
    """Return the Location that the client sees."""
    head = b"HTTP/1.1 301 Moved\r\nA: 1\r\nlocation:  " + value + b"\r\nContent-Length: 0\r\n\r\n"
    passing = answer_reader(host)(head).forward(close=False)
    assert passing.startswith(b"HTTP/1.1 301 Moved\r\nA: 1\r\nlocation:  ")
    assert passing.endswith(b"\r\nContent-Length: 0\r\n\r\n")
    return passing.split(b"\r\n")[2].removeprefix(b"location:  ")


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (b"/team/ollama/api/tags", b"/api/tags"),
        (b"/team/ollama", b"/"),
        (b"/team/ollama?a=b", b"/?a=b"),
        (b"/team/ollama/#top", b"/#top"),
        (b"https://llm.example/team/ollama/v1/", b"/v1/"),
        (b"https://LLM.example:443/team/ollama/v1/", b"/v1/"),
        (b"http://llm.example/team/ollama/v1/", b"/v1/"),
        (b"//llm.example/team/ollama/v1/", b"/v1/"),
        # Never a host that was a path before: two slashes begin one.
        (b"/team/ollama//evil.example/", b"/.//evil.example/"),
        (b"/team/ollama/\\evil.example/", b"/./\\evil.example/"),
        # What lies elsewhere is told as it was.
        (b"/team/ollamas/x", b"/team/ollamas/x"),
        (b"/login", b"/login"),
        (b"api/tags/", b"api/tags/"),
        (b"https://llm.example/login", b"https://llm.example/login"),
        (b"https://evil.example/team/ollama/x", b"https://evil.example/team/ollama/x"),
        (b"https://llm.example.evil/team/ollama/x", b"https://llm.example.evil/team/ollama/x"),
        (b"https://llm.example@evil/team/ollama/x", b"https://llm.example@evil/team/ollama/x"),
        (b"", b""),
    ],
)
def test_a_redirect_within_the_base_path_leads_back_here_and_any_other_is_told_as_it_was(
    said: bytes, seen: bytes
) -> None:
    assert location(said, BASE) == seen


def test_without_a_base_path_a_redirect_to_the_name_of_ollama_leads_back_here_too() -> None:
    named = OllamaHost.parse("https://llm.example")
    assert location(b"https://llm.example/v1/", named) == b"/v1/"
    assert location(b"https://llm.example", named) == b"/"
    assert location(b"/v1/", named) == b"/v1/"


@pytest.mark.parametrize("said", [b"http://127.0.0.1:11434/v1/", b"/v1/", b"//x/"])
def test_an_ollama_that_has_no_name_redirects_as_it_says(said: bytes) -> None:
    assert location(said, PLAIN) == said


async def test_the_whole_way_nothing_beside_the_base_path_is_reached_and_a_redirect_can_be_followed(
    upstream: RawUpstream, settings: ProxySettings
) -> None:
    async with serving(f"http://127.0.0.1:{upstream.port}/base", settings) as proxy:
        for way in ("cold", "warm"):
            async with await connect(proxy.port) as client:
                await client.send(b"GET /v1/models/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
                wire = await upstream.accept()
                assert (await wire.message()).first == b"GET /base/v1/models/ HTTP/1.1", way
                await wire.send(
                    b"HTTP/1.1 301 Moved\r\nLocation: /base/v1/models\r\nContent-Length: 4\r\n\r\nlook"
                )
                answer = await client.message()
                assert (answer.get(b"location"), answer.body) == (b"/v1/models", b"look"), way
                upstream.again(wire)
                await client.send(b"GET /../secret HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert (await client.message()).first == b"HTTP/1.1 400 Bad Request", way
        assert len(upstream.wires) == 1
