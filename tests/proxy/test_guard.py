"""Promise: a browser page of elsewhere gets no further through ltmld than it would get at Ollama itself.

The upstreams here answer everything: they stand for an Ollama that listens on all addresses, or is elsewhere, and
checks no Host. What ltmld lets through they would serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from ipaddress import ip_address

import pytest

from ltmld.config import ProxySettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.proxy.address import reader
from ltmld.proxy.guard import KNOWN_MAX, Guard, allowed_host, on_loopback
from tests.support.raw_upstream import RawUpstream, Wire, connect
from tests.support.serving import serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# Recorded: origin-public-host-preserved.
FORBIDDEN = re.compile(
    rb"HTTP/1.1 403 Forbidden\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\nContent-Length: 0\r\n\r\n"
)
HERE = socket.gethostname()
TAKEN = (
    "|localhost|LOCALHOST:11435|localhost:|127.0.0.1|127.9.9.9:1|[::1]:11435|::1|0.0.0.0|[::]:80|10.1.2.3:80"
    "|172.16.0.1|172.31.255.255|192.168.1.20:9999|[fd00::1]:1|box.local:11434|Box.Local|app.localhost"
    f"|host.docker.internal:11435|[::ffff:127.0.0.1]:1|::ffff:192.168.0.9|{HERE}|{HERE.upper()}:11435"
).split("|")
REFUSED = [
    *(
        "evil.example",
        "evil.example:11435",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "llm.example.com",
    ),
    *(
        "8.8.8.8",
        "8.8.8.8:11435",
        "172.32.0.1",
        "172.15.0.1",
        "169.254.1.1",
        "198.18.0.1",
        "[2001:db8::1]:80",
    ),
    *(
        "locallocalhost",
        "xlocal",
        "internal",
        "localhost.",
        "localhost:80:80",
        "127.1",
        "2130706433",
        "0x7f000001",
    ),
    *("[localhost", "127.0.0.1]:80", "[fe80::1]:80", "127.0.0.01", "224.0.0.1", "255.255.255.255"),
    "[::1]",  # Go splits no port off, and takes what stays in brackets for a name
]


@pytest.mark.parametrize("host", TAKEN)
def test_a_host_is_taken_that_ollama_on_loopback_takes(host: str) -> None:
    assert allowed_host(host.encode())
    assert Guard(defers=False).admits(host.encode())


@pytest.mark.parametrize("host", REFUSED)
def test_a_host_is_refused_that_ollama_on_loopback_refuses(host: str) -> None:
    guard = Guard(defers=False)
    assert not guard.admits(host.encode())
    assert guard.known == set()


def test_an_address_of_this_machine_is_taken_only_while_it_is_one() -> None:
    guard = Guard(defers=False)
    # Addresses for documentation (RFC 5737, RFC 3849): no machine has them.
    assert not guard.admits(b"203.0.113.7:11435")
    assert not guard.admits(b"[2001:db8::7]:11435")
    assert guard.known == set()


def test_an_address_of_an_interface_is_taken_and_asked_for_again() -> None:
    own = []
    with contextlib.suppress(OSError):  # a name that means nothing here, or an address of another machine
        for kind, _, _, _, place in socket.getaddrinfo(HERE, None, type=socket.SOCK_STREAM):
            address = ip_address(place[0])
            if address.is_global or address.is_link_local:
                socket.create_server((str(place[0]), 0), family=kind).close()
                own.append(str(place[0]))
    if not own:
        pytest.skip("this machine has no address but loopback and private ones")
    guard = Guard(defers=False)
    assert all(guard.admits(name.encode()) for name in own)
    assert guard.known == set()


def test_the_hosts_that_are_remembered_are_bounded() -> None:
    guard = Guard(defers=False)
    for port in range(3 * KNOWN_MAX):
        assert guard.admits(b"localhost:%d" % port)
        assert len(guard.known) <= KNOWN_MAX


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.0.0.2", True), ("::1", True), ("0.0.0.0", False), ("::", False)],  # noqa: S104 - asked about, not bound
)
def test_only_a_listener_on_loopback_is_out_of_the_networks_reach(address: str, *, expected: bool) -> None:
    assert on_loopback(address) is expected


EVIL = [
    b"GET /api/tags HTTP/1.1\r\nHost: evil.example:11435\r\n\r\n",
    b"GET /api/tags HTTP/1.1\r\nHost: evil.example:11435\r\nOrigin: http://evil.example:11435\r\n\r\n",
    b"OPTIONS /api/chat HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\r\n",
    b"GET http://evil.example/api/tags HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://localhost@evil.example/api/tags HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: 8.8.8.8\r\n\r\n",
]
CHANGING = [
    b"POST /api/signout HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"DELETE /api/delete HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


@pytest.mark.parametrize("head", EVIL + CHANGING)
async def test_a_page_whose_name_was_made_to_mean_this_machine_does_not_get_to_an_ollama_elsewhere(
    upstream: RawUpstream, settings: ProxySettings, head: bytes
) -> None:
    elsewhere = f"http://127.0.0.1:{upstream.port}/base"
    async with (
        serving(elsewhere, settings, host="127.0.0.1") as proxy,
        await connect(proxy.port) as page,
    ):
        for _ in range(2):  # the connection stays open, as Ollama's does, and the second is refused as well
            await page.send(head)
            assert FORBIDDEN.fullmatch(await page.until(b"\r\n\r\n"))
        await page.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await upstream.answer(OK)
        assert (await page.message()).body == b"ok"
        assert (proxy.stats.refused, len(upstream.wires)) == (2, 1)


@pytest.mark.parametrize("head", CHANGING)
async def test_what_changes_something_is_refused_here_wherever_ollama_is(
    upstream: RawUpstream, settings: ProxySettings, head: bytes
) -> None:
    async with serving(upstream.port, settings, host="127.0.0.1") as proxy, await connect(proxy.port) as page:
        await page.send(head)
        assert FORBIDDEN.fullmatch(await page.until(b"\r\n\r\n"))
        assert upstream.wires == []


@pytest.mark.parametrize("head", EVIL)
async def test_an_ollama_here_refuses_in_its_own_words(
    upstream: RawUpstream, settings: ProxySettings, head: bytes
) -> None:
    no = b"HTTP/1.1 403 Forbidden\r\nVary: Origin\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    async with serving(upstream.port, settings, host="127.0.0.1") as proxy, await connect(proxy.port) as page:
        await page.send(head)
        wire = await upstream.accept()
        assert await wire.until(b"\r\n\r\n") == head[:-2] + b"Connection: close\r\n\r\n"
        await wire.send(no)
        assert await page.rest() == no


@pytest.mark.parametrize("head", EVIL)
@pytest.mark.parametrize(
    "told",
    [
        OK,
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_of_an_ollama_here_that_checks_nothing_such_a_page_learns_nothing(
    upstream: RawUpstream, settings: ProxySettings, head: bytes, told: bytes
) -> None:
    async with serving(upstream.port, settings, host="127.0.0.1") as proxy, await connect(proxy.port) as page:
        await page.send(head)
        wire = await upstream.accept()
        await wire.until(b"\r\n\r\n")
        await wire.send(told)
        answer = await page.rest()
        assert FORBIDDEN.fullmatch(answer.replace(b"Connection: close\r\n", b""))
        assert (proxy.stats.refused, proxy.stats.looked_into) == (1, 0)


async def test_a_preflight_is_answered_by_ollama_even_for_a_host_that_is_refused(
    upstream: RawUpstream, settings: ProxySettings
) -> None:
    preflight = b"OPTIONS /api/chat HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://localhost:3000\r\n\r\n"
    allowed = b"HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: http://localhost:3000\r\n\r\n"
    async with serving(upstream.port, settings, host="127.0.0.1") as proxy, await connect(proxy.port) as page:
        await page.send(preflight)
        await upstream.answer(allowed)
        assert await page.rest() == allowed


async def test_a_known_host_on_a_warm_connection_does_not_open_the_way_for_another(
    upstream: RawUpstream, settings: ProxySettings
) -> None:
    async with serving(upstream.port, settings, host="127.0.0.1") as proxy, await connect(proxy.port) as page:
        for _ in range(2):
            await page.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wire = await upstream.accept()
            await wire.message()
            await wire.send(OK)
            await page.message()
            upstream.again(wire)
        await page.send(b"POST / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert FORBIDDEN.fullmatch(await page.until(b"\r\n\r\n"))


async def test_a_refused_page_cannot_pipeline_past_the_refusal(
    upstream: RawUpstream, settings: ProxySettings
) -> None:
    evil = b"POST /api/chat HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 40\r\n\r\n"
    async with serving(upstream.port, settings, host="127.0.0.1") as proxy, await connect(proxy.port) as page:
        await page.send(evil + b"GET /api/tags HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await page.message()
        assert (answer.first, answer.get(b"connection")) == (b"HTTP/1.1 403 Forbidden", b"close")
        assert await page.rest() == b""
        assert upstream.wires == []


async def test_a_listener_for_the_network_takes_every_host_as_ollamas_does(
    upstream: RawUpstream, settings: ProxySettings
) -> None:
    async with serving(upstream.port, settings) as proxy, await connect(proxy.port) as client:
        head = b"GET / HTTP/1.1\r\nHost: llm.example.com\r\nOrigin: https://llm.example.com\r\n\r\n"
        await client.send(head)
        wire = await upstream.accept()
        assert await wire.until(b"\r\n\r\n") == head  # for Ollama's own check, where it listens on loopback


# --- Host and Origin on the way to Ollama ---


def sent_to(address: str, head: bytes) -> list[bytes]:
    """Return the lines of *head* as they go on to *address*."""
    return reader(OllamaHost.parse(address), headers_max=256)(head, "127.0.0.1").forward()[:-4].split(b"\r\n")


@pytest.mark.parametrize(
    "address", ["127.0.0.1:11434", "localhost:11434", "http://192.168.1.9:11434", "[::1]:1"]
)
def test_a_head_to_an_ollama_that_has_no_name_goes_on_byte_for_byte(address: str) -> None:
    head = b"GET http://a/x HTTP/1.1\r\nhOST:  box.local:11435\r\nOrigin:http://box.local:11435\r\n\r\n"
    request = reader(OllamaHost.parse(address), headers_max=256)(head, "127.0.0.1")
    assert (request.forward(), request.untouched) == (head, True)


def test_to_an_ollama_with_a_name_host_and_own_origin_become_its_own_and_all_else_stays() -> None:
    head = (
        b"GET /x?a=%2F HTTP/1.1\r\naccept: */*\r\nhOsT: 192.168.1.5:11435\r\nX-A:1\r\n"
        b"origin:  http://192.168.1.5:11435\r\nReferer: http://192.168.1.5:11435/page\r\n\r\n"
    )
    assert sent_to("https://llm.example/ollama", head) == [
        b"GET /ollama/x?a=%2F HTTP/1.1",
        b"accept: */*",
        b"hOsT: llm.example",
        b"X-A:1",
        b"origin: https://llm.example",
        b"Referer: http://192.168.1.5:11435/page",
    ]


@pytest.mark.parametrize(
    "origin",
    [
        *(
            b"null",
            b"http://evil.example",
            b"http://localhost:3000",
            b"app://x",
            b"http://localhost:11435.evil",
        ),
        *(b"http://localhost", b"HTTP://localhost:11435", b"chrome-extension://abc", b""),
    ],
)
def test_an_origin_of_elsewhere_stays_of_elsewhere(origin: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost:11435\r\nOrigin: " + origin + b"\r\n\r\n"
    assert sent_to("https://llm.example", head)[2] == b"Origin: " + origin


@pytest.mark.parametrize("scheme", [b"http", b"https"])
def test_a_page_of_the_proxys_own_is_of_the_same_origin_for_ollama_too(scheme: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost:11435\r\nOrigin: " + scheme + b"://localhost:11435\r\n\r\n"
    assert sent_to("http://llm.example:8080", head)[1:] == [
        b"Host: llm.example:8080",
        b"Origin: http://llm.example:8080",
    ]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"GET /", b"GET /base/"),
        (b"GET //a//b", b"GET /base//a//b"),
        (b"GET /?", b"GET /base/?"),
        (b"GET /a?u=http://x/", b"GET /base/a?u=http://x/"),
        (b"GET http://localhost:11435", b"GET /base/"),
        (b"GET http://localhost:11435?x", b"GET /base/?x"),
        (b"GET HTTP://localhost:11435/a%2Fb?c", b"GET /base/a%2Fb?c"),
        (b"OPTIONS *", b"OPTIONS *"),
        (b"CONNECT localhost:80", b"CONNECT localhost:80"),
    ],
)
def test_a_base_path_stands_before_every_path(target: bytes, expected: bytes) -> None:
    head = target + b" HTTP/1.1\r\nHost: localhost:11435\r\n\r\n"
    assert sent_to("http://127.0.0.1:11434/base", head) == [expected + b" HTTP/1.1", b"Host: 127.0.0.1:11434"]


def test_a_client_of_http_1_0_that_says_no_host_gets_ollamas() -> None:
    assert sent_to("http://llm.example", b"GET / HTTP/1.0\r\n\r\n") == [
        b"GET / HTTP/1.0",
        b"Host: llm.example",
    ]


async def test_what_goes_to_a_name_is_answered_on_kept_connections_and_from_memory_too(
    upstream: RawUpstream, settings: ProxySettings
) -> None:
    async with serving(f"http://127.0.0.1:{upstream.port}/base", settings, host="127.0.0.1") as proxy:
        clients: list[Wire] = [await connect(proxy.port) for _ in range(2)]
        for client in clients * 2:  # the second of each takes the short way
            await client.send(b"POST /api/show HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
            wire = await upstream.accept()
            request = await wire.message()
            assert request.first == b"POST /base/api/show HTTP/1.1"
            assert request.get(b"host") == b"127.0.0.1:%d" % upstream.port
            assert request.body == b"{}"
            await wire.send(OK)
            assert (await client.message()).body == b"ok"
            upstream.again(wire)
        await asyncio.gather(*(client.__aexit__() for client in clients))
