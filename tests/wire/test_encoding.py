"""A compressed body is unpacked up to a limit, and never beyond it."""

from __future__ import annotations

import tracemalloc
from hashlib import sha512

import pytest
import zstandard

from ltmld.errors import WireError
from ltmld.wire.dialects import dialect_for
from ltmld.wire.encoding import UNPACKED_BYTES_MAX, decoded
from tests.support.recordings import recorded

# A skippable frame (RFC 8878, 3.1.2): four bytes that say nothing.
_SKIPPED = b"\x50\x2a\x4d\x18\x04\0\0\0four"


def test_a_plain_body_is_the_very_same_object() -> None:
    body = b'{"model":"tiny"}'
    assert decoded(body, "", 1) is body
    assert decoded(body, "identity", 1) is body


def test_a_zstd_body_is_unpacked_however_it_was_written() -> None:
    body = b'{"model":"tiny"}' * 100
    packer = zstandard.ZstdCompressor().compressobj()
    streamed = packer.compress(body) + packer.flush()
    assert decoded(zstandard.compress(body), "zstd", len(body)) == body
    assert decoded(streamed, " zstd ", len(body)) == body
    half = len(body) // 2
    frames = zstandard.compress(body[:half]) + _SKIPPED + zstandard.compress(body[half:])
    assert decoded(frames, "zstd", len(body)) == body


def test_a_recorded_zstd_body_is_read() -> None:
    case = recorded("v1-responses-zstd")
    plain = decoded(case.request.body, case.request.header("Content-Encoding"), 1 << 20)
    assert plain == b'{"model": "tiny", "max_output_tokens": 2, "input": "hi"}'


@pytest.mark.parametrize("route", ["/api/chat", "/api/generate"])
def test_where_ollama_takes_no_zstd_none_is_unpacked(route: str) -> None:
    dialect = dialect_for("POST", route)
    assert dialect is not None
    with pytest.raises(WireError, match="not known"):
        decoded(zstandard.compress(b"{}"), "zstd", 10, takes_zstd=dialect.takes_zstd)


@pytest.mark.parametrize("route", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_where_ollama_takes_zstd_it_is_unpacked(route: str) -> None:
    dialect = dialect_for("POST", route)
    assert dialect is not None
    assert decoded(zstandard.compress(b"{}"), "zstd", 10, takes_zstd=dialect.takes_zstd) == b"{}"


def test_beyond_ollamas_own_limits_the_body_is_left_to_ollama() -> None:
    """Ollama refuses what unpacks to more than 20 MiB, and a window above 8 MiB."""
    largest = bytes(UNPACKED_BYTES_MAX)
    assert len(decoded(zstandard.compress(largest), "zstd", 1 << 30)) == UNPACKED_BYTES_MAX
    with pytest.raises(WireError, match="more than 20971520 bytes"):
        decoded(zstandard.compress(largest + b"x"), "zstd", 1 << 30)
    wide = zstandard.ZstdCompressionParameters.from_level(3, window_log=24)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    with pytest.raises(WireError, match="cannot be unpacked"):
        decoded(packer.compress(bytes(9 << 20)) + packer.flush(), "zstd", 1 << 30)


@pytest.mark.parametrize("text", [b'{"model":"tiny"}' * 40, sha512(b"hardly packs").digest() * 2])
def test_a_body_that_was_cut_off_anywhere_is_not_understood(text: bytes) -> None:
    packed = zstandard.compress(text)
    for length in range(1, len(packed)):
        with pytest.raises(WireError, match="zstd body"):
            decoded(packed[:length], "zstd", 1 << 20)


def test_a_body_that_unpacks_beyond_the_limit_is_refused() -> None:
    bomb = zstandard.compress(bytes(50_000_000))
    assert len(bomb) < 10_000
    tracemalloc.start()
    with pytest.raises(WireError, match="more than 1000 bytes"):
        decoded(bomb, "zstd", 1000)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd, gzip", "ZSTD", "x-zstd"])
def test_an_encoding_that_ollama_does_not_take_is_not_understood(encoding: str) -> None:
    with pytest.raises(WireError, match="not known"):
        decoded(b"x", encoding, 10)


def test_broken_zstd_is_not_understood() -> None:
    with pytest.raises(WireError, match="cannot be unpacked"):
        decoded(b"no zstd at all", "zstd", 10)
