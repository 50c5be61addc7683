"""A compressed body is unpacked up to a limit, and never beyond it."""

from __future__ import annotations

import tracemalloc

import pytest
import zstandard

from ltmld.errors import WireError
from ltmld.wire.encoding import decoded


def test_a_plain_body_is_the_very_same_object() -> None:
    body = b'{"model":"tiny"}'
    assert decoded(body, "", 1) is body
    assert decoded(body, "identity", 1) is body


def test_a_zstd_body_is_unpacked_however_it_was_written() -> None:
    body = b'{"model":"tiny"}' * 100
    packer = zstandard.ZstdCompressor().compressobj()
    streamed = packer.compress(body) + packer.flush()
    assert decoded(zstandard.compress(body), "zstd", len(body)) == body
    assert decoded(streamed, " ZSTD ", len(body)) == body


def test_a_body_that_unpacks_beyond_the_limit_is_refused() -> None:
    bomb = zstandard.compress(bytes(50_000_000))
    assert len(bomb) < 10_000
    tracemalloc.start()
    with pytest.raises(WireError, match="more than 1000 bytes"):
        decoded(bomb, "zstd", 1000)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd, gzip"])
def test_an_encoding_that_ollama_does_not_take_is_not_understood(encoding: str) -> None:
    with pytest.raises(WireError, match="not known"):
        decoded(b"x", encoding, 10)


def test_broken_zstd_is_not_understood() -> None:
    with pytest.raises(WireError, match="cannot be unpacked"):
        decoded(b"no zstd at all", "zstd", 10)
