"""Promise: with a certificate the data plane is the same data plane, for clients that speak https."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ltmld.config import ProxySettings
from ltmld.errors import SettingsError
from ltmld.proxy.server import Proxy
from tests.support.certificates import Authority
from tests.support.raw_upstream import RawUpstream, Wire, connect, until
from tests.support.sealed import Sealed
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
def secure(settings: ProxySettings, authority: Authority) -> ProxySettings:
    """Return settings with a certificate."""
    certificate, key = authority.issue("127.0.0.1")
    return settings.model_copy(update={"tls_certificate": certificate, "tls_key": key})


@pytest.fixture
async def proxy(upstream: RawUpstream, secure: ProxySettings) -> AsyncIterator[Proxy]:
    """Serve by https."""
    async with serving(upstream.port, secure) as plane:
        yield plane


@pytest.fixture
async def client(proxy: Proxy, authority: Authority) -> AsyncIterator[Wire]:
    """Connect one client by https."""
    async with await connect(proxy.port, trust=authority.client()) as wire:
        yield wire


async def test_requests_and_streams_pass_on_one_connection(client: Wire, upstream: RawUpstream) -> None:
    await client.send(GET)
    wire = await upstream.accept()
    await wire.message()
    await wire.send(OK)
    assert (await client.message()).body == b"ok"

    await client.send(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody")
    assert (await wire.message()).body == b"body"
    await wire.send(CHUNKED + b"1\r\na\r\n")
    assert (await client.until(b"a\r\n")).endswith(b"1\r\na\r\n")
    await wire.send(b"0\r\n\r\n")
    assert await client.until(b"0\r\n\r\n") == b"0\r\n\r\n"


async def test_only_http1_is_agreed_on(proxy: Proxy, authority: Authority, upstream: RawUpstream) -> None:
    trust = authority.client()
    trust.set_alpn_protocols(["h2", "http/1.1"])
    async with await connect(proxy.port, trust=trust) as client:
        assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    assert upstream.waiting == 0


async def test_a_large_upload_waits_for_an_upstream_that_does_not_read(
    proxy: Proxy, authority: Authority, upstream: RawUpstream
) -> None:
    async with await connect(proxy.port) as plain:
        client = await Sealed(plain, authority.client(), name="127.0.0.1").shake()
        await client.send(
            b"POST /api/blobs/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % LARGE
        )
        wire = await upstream.accept()
        await wire.until(b"\r\n\r\n")
        wire.hold()
        sending = asyncio.create_task(client.send(b"x" * LARGE))
        assert await plain.unsent() > LARGE // 4
        wire.go_on()
        assert await wire.exactly(LARGE) == b"x" * LARGE
        await sending
        await wire.send(OK)
        assert (await client.until(b"ok")).endswith(b"ok")


async def test_a_large_answer_waits_for_a_client_that_does_not_read(
    proxy: Proxy, authority: Authority, upstream: RawUpstream
) -> None:
    whole = bytes(range(256)) * (LARGE // 256)
    async with await connect(proxy.port) as plain:
        client = await Sealed(plain, authority.client(), name="127.0.0.1").shake()
        await client.send(GET)
        wire = await upstream.accept()
        await wire.message()
        plain.hold()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole)
        sending = asyncio.create_task(wire.send(head + whole))
        assert await wire.unsent() > LARGE // 4
        plain.go_on()
        seen = await client.until(b"\r\n\r\n")
        body = bytearray(seen.partition(b"\r\n\r\n")[2])
        while len(body) < len(whole):
            body += await client.some()
        assert bytes(body) == whole
        await sending


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("way", ["close", "end of TCP", "close_notify only", "reset"])
async def test_however_a_client_goes_ollama_is_told_at_once(
    way: str, proxy: Proxy, authority: Authority, upstream: RawUpstream, *, begun: bool
) -> None:
    async with await connect(proxy.port) as plain:
        client = await Sealed(plain, authority.client(), name="127.0.0.1").shake()
        await client.send(GET)
        wire = await upstream.accept()
        await wire.message()
        if begun:
            await wire.send(CHUNKED + b"1\r\na\r\n")
            await client.until(b"a\r\n")
        if way in ("close", "close_notify only"):
            await plain.send(client.farewell())
        if way == "reset":
            plain.reset()
        elif way != "close_notify only":
            plain.close()
        await wire.gone()
        await until(lambda: proxy.stats.hang_ups == 1)


async def test_a_client_that_goes_while_its_answer_is_stalled_is_noticed(
    proxy: Proxy, authority: Authority, upstream: RawUpstream
) -> None:
    async with await connect(proxy.port) as plain:
        client = await Sealed(plain, authority.client(), name="127.0.0.1").shake()
        await client.send(GET)
        wire = await upstream.accept()
        await wire.message()
        plain.hold()
        sending = asyncio.create_task(
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE + b"x" * LARGE)
        )
        assert await wire.unsent() > 0
        plain.reset()
        await wire.gone()
        with pytest.raises(ConnectionError):
            await sending


async def test_what_is_refused_is_told_why_and_read_on_for_a_while(client: Wire, proxy: Proxy) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    await client.send(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    answer = await client.message()
    assert answer.first.startswith(b"HTTP/1.1 400")
    await client.send(b"x" * LARGE)  # it is read and dropped, or this would wait, and end in a reset
    client.close()
    assert (proxy.stats.refused, told) == (1, [])


@pytest.mark.parametrize("whole", [True, False])
async def test_an_answer_that_ends_with_its_connection_ends_as_it_ended_at_ollama(
    proxy: Proxy, authority: Authority, upstream: RawUpstream, *, whole: bool
) -> None:
    async with await connect(proxy.port) as plain:
        client = await Sealed(plain, authority.client(), name="127.0.0.1").shake()
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        wire = await upstream.accept()
        await wire.message()
        await wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf or whole")
        await client.until(b"whole")
        if whole:
            wire.close()
            assert await client.some() == b""
        else:
            wire.reset()
            with pytest.raises(ConnectionError):
                await client.some()


async def test_plain_http_ends_cleanly(proxy: Proxy, upstream: RawUpstream, client: Wire) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    async with await connect(proxy.port) as plain:
        await plain.send(GET)
        await plain.gone()
    gc.collect()

    await client.send(GET)
    await upstream.answer(OK)
    assert (await client.message()).body == b"ok"
    assert (told, upstream.waiting, proxy.stats.requests) == ([], 0, 1)


async def test_a_client_that_does_not_believe_the_certificate_ends_cleanly(proxy: Proxy) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect(proxy.port, trust=ssl.create_default_context())
    gc.collect()
    assert told == []


async def test_a_handshake_that_never_ends_is_ended(secure: ProxySettings, upstream: RawUpstream) -> None:
    limits = secure.model_copy(update={"head_timeout_s": 0.1})
    async with serving(upstream.port, limits) as proxy, await connect(proxy.port) as plain:
        await plain.gone()


async def test_who_is_one_too_many_is_told_so(
    secure: ProxySettings, upstream: RawUpstream, authority: Authority
) -> None:
    limits = secure.model_copy(update={"connections_max": 1})
    trust = authority.client()
    async with (
        serving(upstream.port, limits) as proxy,
        await connect(proxy.port, trust=trust) as first,
        await connect(proxy.port, trust=trust) as second,
    ):
        await second.send(GET)
        assert (await second.message()).first == b"HTTP/1.1 503 Service Unavailable"
        await first.send(GET)
        await upstream.answer(OK)
        assert (await first.message()).body == b"ok"


async def test_stopping_closes_idle_clients_and_breaks_off_the_others(
    secure: ProxySettings, upstream: RawUpstream, authority: Authority
) -> None:
    limits = secure.model_copy(update={"grace_s": 0.1})
    trust = authority.client()
    async with serving(upstream.port, limits) as proxy:
        idle, busy = await connect(proxy.port, trust=trust), await connect(proxy.port, trust=trust)
        await busy.send(GET)
        wire = await upstream.accept()
        await proxy.stop()
        await wire.gone()
        await idle.gone()
        await busy.gone()


async def shown(proxy: Proxy, authority: Authority) -> str:
    """Return the serial number of the certificate that a client sees."""
    async with await connect(proxy.port, trust=authority.client()) as client:
        return str(client.writer.get_extra_info("peercert")["serialNumber"])


async def test_a_renewed_certificate_is_shown_without_a_restart(
    secure: ProxySettings, proxy: Proxy, authority: Authority
) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    assert secure.tls_certificate is not None
    assert secure.tls_key is not None
    before = await shown(proxy, authority)
    certificate, key = authority.issue("127.0.0.1")

    for half in range(2):  # the key is still the old one: said once, and nothing changes
        if not half:
            secure.tls_certificate.write_bytes(certificate.read_bytes())
        proxy._sweep(now=0.0)
        assert await shown(proxy, authority) == before
        assert [context["message"].partition(":")[0] for context in told] == ["ltmld"]

    secure.tls_key.write_bytes(key.read_bytes())
    proxy._sweep(now=0.0)
    assert await shown(proxy, authority) != before
    secure.tls_key.unlink()
    proxy._sweep(now=0.0)
    assert len(told) == 2
    assert await shown(proxy, authority) != before


def _no_certificate(authority: Authority, folder: Path) -> tuple[Path, Path]:
    return folder / "missing.pem", authority.issue("x")[1]


def _no_key(authority: Authority, folder: Path) -> tuple[Path, Path]:
    return authority.issue("x")[0], folder / "missing.key"


def _no_pair(authority: Authority, _: Path) -> tuple[Path, Path]:
    return authority.issue("x")[0], authority.issue("y")[1]


def _no_pem(authority: Authority, folder: Path) -> tuple[Path, Path]:
    (folder / "text.pem").write_text("no certificate")
    return folder / "text.pem", authority.issue("x")[1]


def _encrypted(authority: Authority, folder: Path) -> tuple[Path, Path]:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - for this one case

    certificate, key = authority.issue("x")
    private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    (folder / "encrypted.key").write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return certificate, folder / "encrypted.key"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (_no_certificate, r"tls_certificate .*missing\.pem cannot be read: no such file"),
        (_no_key, r"tls_key .*missing\.key cannot be read: no such file"),
        (_no_pair, "key values mismatch"),
        (_no_pem, r"text\.pem .* cannot be used"),
        (_encrypted, "the key is encrypted"),
    ],
)
async def test_a_certificate_that_cannot_be_used_ends_the_start(
    files: Callable[[Authority, Path], tuple[Path, Path]],
    said: str,
    authority: Authority,
    settings: ProxySettings,
    tmp_path: Path,
) -> None:
    certificate, key = files(authority, tmp_path)
    with pytest.raises(SettingsError, match=said):
        async with serving(1, settings.model_copy(update={"tls_certificate": certificate, "tls_key": key})):
            pass
