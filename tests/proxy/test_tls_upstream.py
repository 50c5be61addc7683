"""Promise: behind TLS everything is as without it, and nobody but the right Ollama is spoken to."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ltmld.config import ProxySettings
from ltmld.errors import SettingsError
from ltmld.proxy.server import Proxy
from tests.support.certificates import EXPIRED, Authority
from tests.support.raw_upstream import PATIENCE_S, RawUpstream, Wire, connect, until
from tests.support.sealed import Sealed, SocketWire
from tests.support.serving import serving

GET = b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE = 20_000_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority for the tests of this module."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def believing(settings: ProxySettings, authority: Authority) -> ProxySettings:
    """Return settings that believe the authority."""
    return settings.model_copy(update={"ca_file": authority.ca_file})


@pytest.fixture
async def secured(authority: Authority) -> AsyncIterator[RawUpstream]:
    """Listen by TLS where Ollama would."""
    identity = authority.server("localhost", "127.0.0.1")
    identity.set_alpn_protocols(["h2", "http/1.1"])
    raw = await RawUpstream().start(identity=identity)
    yield raw
    await raw.stop()


@pytest.fixture
async def proxy(secured: RawUpstream, believing: ProxySettings) -> AsyncIterator[Proxy]:
    """Serve in front of it."""
    async with serving(f"https://127.0.0.1:{secured.port}", believing) as plane:
        yield plane


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[Wire]:
    """Connect one client."""
    async with await connect(proxy.port) as wire:
        yield wire


@asynccontextmanager
async def plain_listener() -> AsyncIterator[RawUpstream]:
    """Listen without TLS, for what is done by hand."""
    raw = await RawUpstream().start()
    yield raw
    await raw.stop()


async def test_an_answer_streams_through_and_the_connection_is_kept(
    client: Wire, secured: RawUpstream, proxy: Proxy
) -> None:
    await client.send(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody")
    wire = await secured.accept()
    assert (await wire.message()).body == b"body"
    await wire.send(CHUNKED + b"1\r\na\r\n")
    assert (await client.until(b"a\r\n")).endswith(b"1\r\na\r\n")
    await wire.send(b"1\r\nb\r\n0\r\n\r\n")
    assert await client.until(b"0\r\n\r\n") == b"1\r\nb\r\n0\r\n\r\n"

    await client.send(GET)
    await wire.message()
    await wire.send(OK)
    assert (await client.message()).body == b"ok"
    assert (secured.waiting, proxy.stats.retried) == (0, 0)


async def test_the_server_is_told_whom_is_asked_for_and_that_it_is_http1(
    authority: Authority, believing: ProxySettings
) -> None:
    asked: list[str | None] = []
    identity = authority.server("localhost")
    identity.set_alpn_protocols(["h2", "http/1.1"])
    identity.sni_callback = lambda _socket, name, _context: asked.append(name)
    raw = await RawUpstream().start(identity=identity)
    async with (
        serving(f"https://localhost:{raw.port}", believing) as proxy,
        await connect(proxy.port) as client,
    ):
        await client.send(GET)
        wire = await raw.accept()
        assert wire.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        await wire.message()
        await wire.send(OK)
        assert (await client.message()).body == b"ok"
    assert asked == ["localhost"]
    await raw.stop()


async def refused(raw: RawUpstream, address: str, settings: ProxySettings) -> bytes:
    """Return what the client is told, and see that the upstream heard nothing of the request."""
    async with serving(address, settings) as proxy, await connect(proxy.port) as client:
        await client.send(GET)
        answer = await client.message()
        assert answer.first == b"HTTP/1.1 502 Bad Gateway"
        for wire in raw.wires:
            with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
                await wire.message()
        return answer.body


@pytest.mark.parametrize("case", ["stranger", "name", "expired"])
async def test_who_is_not_who_is_asked_for_is_told_nothing(
    case: str, authority: Authority, settings: ProxySettings, believing: ProxySettings
) -> None:
    names = ("elsewhere.example",) if case == "name" else ("127.0.0.1",)
    identity = authority.server(*names, expires_at=EXPIRED if case == "expired" else None)
    raw = await RawUpstream().start(identity=identity)
    told = await refused(raw, f"https://127.0.0.1:{raw.port}", settings if case == "stranger" else believing)
    assert b"is not to be trusted" in told
    assert b"LTMLD_PROXY__CA_FILE" in told
    assert {"stranger": b"local issuer", "name": b"mismatch", "expired": b"expired"}[case] in told
    await raw.stop()


async def test_a_certificate_that_is_named_itself_is_believed(
    authority: Authority, settings: ProxySettings, tmp_path: Path
) -> None:
    certificate, key = authority.issue("127.0.0.1")
    alone = tmp_path / "alone.pem"
    alone.write_text(
        certificate.read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    )
    identity = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    identity.load_cert_chain(certificate, key)
    raw = await RawUpstream().start(identity=identity)
    believing = settings.model_copy(update={"ca_file": alone})
    async with (
        serving(f"https://127.0.0.1:{raw.port}", believing) as proxy,
        await connect(proxy.port) as client,
    ):
        await client.send(GET)
        await raw.answer(OK)
        assert (await client.message()).body == b"ok"
    await raw.stop()


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
async def test_a_file_without_certificates_ends_the_start(
    content: bytes | None, settings: ProxySettings, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"proxy\.ca_file .*ca\.pem cannot be used: .*correct the path"):
        async with serving("https://127.0.0.1:1", settings.model_copy(update={"ca_file": file})):
            pass


async def test_an_upstream_without_tls_is_said(believing: ProxySettings) -> None:
    async with (
        plain_listener() as raw,
        serving(f"https://127.0.0.1:{raw.port}", believing) as proxy,
        await connect(proxy.port) as client,
    ):
        await client.send(GET)
        wire = await raw.accept()
        await wire.some()
        await wire.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        answer = await client.message()
    assert answer.first == b"HTTP/1.1 502 Bad Gateway"
    assert b"say http:// in upstream" in answer.body


@pytest.mark.parametrize("way", ["silent", "closes", "resets"])
async def test_a_handshake_that_does_not_end_well_is_said_in_time(way: str, believing: ProxySettings) -> None:
    limits = believing.model_copy(update={"connect_timeout_s": 0.2})
    async with (
        plain_listener() as raw,
        serving(f"https://127.0.0.1:{raw.port}", limits) as proxy,
        await connect(proxy.port) as client,
    ):
        await client.send(GET)
        wire = await raw.accept()
        if way != "silent":
            getattr(wire, {"closes": "close", "resets": "reset"}[way])()
        answer = await client.message()
        await wire.gone()
    assert answer.first == b"HTTP/1.1 502 Bad Gateway"
    assert (b"within 0.2 s" if way == "silent" else b"cannot be reached") in answer.body


async def test_a_large_upload_waits_for_an_upstream_that_does_not_read(
    client: Wire, secured: RawUpstream
) -> None:
    await client.send(b"POST /api/blobs/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % LARGE)
    wire = await secured.accept()
    await wire.until(b"\r\n\r\n")
    wire.hold()
    sending = asyncio.create_task(client.send(b"x" * LARGE))
    assert await client.unsent() > LARGE // 4
    wire.go_on()
    assert await wire.exactly(LARGE) == b"x" * LARGE
    await sending
    await wire.send(OK)
    assert (await client.message()).body == b"ok"


async def test_a_large_answer_waits_for_a_client_that_does_not_read(
    authority: Authority, believing: ProxySettings
) -> None:
    whole = bytes(range(256)) * (LARGE // 256)
    async with (
        plain_listener() as raw,
        serving(f"https://127.0.0.1:{raw.port}", believing) as proxy,
        await connect(proxy.port) as client,
    ):
        await client.send(GET)
        peer = await Sealed(await raw.accept(), authority.server("127.0.0.1")).shake()
        await peer.until(b"\r\n\r\n")
        client.hold()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole)
        sending = asyncio.create_task(peer.send(head + whole))
        assert await peer.wire.unsent() > LARGE // 4
        client.go_on()
        assert (await client.message()).body == whole
        await sending


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("way", ["close", "reset"])
async def test_a_client_that_goes_takes_its_connection_with_it(
    way: str, client: Wire, secured: RawUpstream, *, begun: bool
) -> None:
    await client.send(GET)
    wire = await secured.accept()
    await wire.message()
    if begun:
        await wire.send(CHUNKED + b"1\r\na\r\n")
        await client.until(b"a\r\n")
    getattr(client, way)()
    await wire.gone()


async def test_a_connection_that_ollama_closes_while_idle_is_not_used_again(
    authority: Authority, believing: ProxySettings
) -> None:
    identity = authority.server("127.0.0.1")
    async with (
        plain_listener() as raw,
        serving(f"https://127.0.0.1:{raw.port}", believing) as proxy,
        await connect(proxy.port) as client,
    ):
        await client.send(GET)
        first = await Sealed(await raw.accept(), identity).shake()
        await first.until(b"\r\n\r\n")
        await first.send(OK)
        assert (await client.message()).body == b"ok"

        await first.wire.send(
            first.farewell()
        )  # TLS is closed, TCP is not: closed in both directions all the same
        await first.wire.gone()

        await client.send(GET)
        second = await Sealed(await raw.accept(), identity).shake()
        await second.until(b"\r\n\r\n")
        await second.send(OK)
        assert (await client.message()).body == b"ok"
        assert proxy.stats.retried == 0


async def test_a_request_that_meets_a_connection_just_dead_is_repeated(
    client: Wire, secured: RawUpstream, proxy: Proxy
) -> None:
    await client.send(GET)
    await secured.answer(OK)
    await client.message()
    await client.send(GET)
    await secured.wires[0].message()
    secured.wires[0].reset()
    await secured.answer(OK)
    assert (await client.message()).body == b"ok"
    assert proxy.stats.retried == 1


@pytest.mark.parametrize("farewell", [True, False])
async def test_an_answer_that_ends_with_its_connection_is_whole_only_when_tls_says_so(
    authority: Authority, believing: ProxySettings, *, farewell: bool
) -> None:
    async with (
        plain_listener() as raw,
        serving(f"https://127.0.0.1:{raw.port}", believing) as proxy,
        await connect(proxy.port) as client,
    ):
        await client.send(GET)
        peer = await Sealed(await raw.accept(), authority.server("127.0.0.1")).shake()
        await peer.until(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf or whole")
        await client.until(b"whole")
        if farewell:
            await peer.wire.send(peer.farewell())
        peer.wire.close()
        if farewell:
            assert await client.rest() == b""
        else:
            with pytest.raises(ConnectionError):
                await client.rest()


async def test_however_records_are_cut_and_joined_the_answer_is_the_same(
    authority: Authority, believing: ProxySettings
) -> None:
    async with (
        plain_listener() as raw,
        serving(f"https://127.0.0.1:{raw.port}", believing) as proxy,
        await connect(proxy.port) as client,
    ):
        await client.send(GET)
        peer = await Sealed(await raw.accept(), authority.server("127.0.0.1")).shake()
        await peer.until(b"\r\n\r\n")
        for byte in peer.seal(CHUNKED):  # one record in many pieces
            await peer.wire.send(bytes([byte]))
            await asyncio.sleep(0)
        await client.until(b"\r\n\r\n")
        await peer.wire.send(b"".join(peer.seal(bytes([byte])) for byte in b"5\r\nwhole\r\n0\r\n\r\n"))
        assert await client.until(b"0\r\n\r\n") == b"5\r\nwhole\r\n0\r\n\r\n"


async def test_records_that_are_damaged_break_the_answer_off(
    authority: Authority, believing: ProxySettings
) -> None:
    async with (
        plain_listener() as raw,
        serving(f"https://127.0.0.1:{raw.port}", believing) as proxy,
        await connect(proxy.port) as client,
    ):
        await client.send(GET)
        peer = await Sealed(await raw.accept(), authority.server("127.0.0.1")).shake()
        await peer.until(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        assert (await client.until(b"half")).endswith(b"half")
        damaged = bytearray(peer.seal(b"other half"))
        damaged[-1] ^= 1
        await peer.wire.send(bytes(damaged))
        await client.gone()
        await peer.wire.gone()
        assert proxy.stats.upstream_errors == 1


async def test_an_early_answer_arrives_although_the_upload_never_ends(
    authority: Authority, believing: ProxySettings
) -> None:
    """The write fails first, and the answer still lies in the socket, sealed."""
    loop = asyncio.get_running_loop()
    with socket.socket() as listening, socket.socket() as client:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        client.setblocking(False)
        async with serving(f"https://127.0.0.1:{listening.getsockname()[1]}", believing) as proxy:
            await loop.sock_connect(client, ("127.0.0.1", proxy.port))
            client.send(b"POST /api/blobs/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
            ollama, _ = await loop.sock_accept(listening)
            peer = await Sealed(SocketWire(ollama), authority.server("127.0.0.1")).shake()
            await peer.until(b"\r\n\r\n")
            client.send(b"x" * 1000)
            await until(lambda: bool(select.select([ollama], [], [], 0)[0]))
            # All at once, before the proxy can look: more body, the answer, and a reset, for some body lies unread.
            client.send(b"x" * 1000)
            ollama.send(
                peer.seal(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
            )
            ollama.close()
            answer = await asyncio.wait_for(loop.sock_recv(client, 1000), PATIENCE_S)
            assert answer.startswith(b"HTTP/1.1 413 Too Large")
            client.close()
