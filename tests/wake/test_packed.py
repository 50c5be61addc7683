"""A packed body is unpacked and read beside the event loop, however small it came: it may be large inside."""

from __future__ import annotations

import asyncio

import pytest
import zstandard

from ltmld.config import WakeSettings
from ltmld.core.ports import RequestHead
from ltmld.errors import WireError
from ltmld.wake.hearing import Heard, Hearing

BODY = b'{"model":"tiny","input":"hi"}'


async def heard(body: bytes, *headers: tuple[bytes, bytes]) -> tuple[Heard, bool]:
    """Return what was heard, and whether the event loop could go on meanwhile."""
    head = RequestHead(method="POST", target="/v1/responses", headers=headers, peer="127.0.0.1")
    hearing = Hearing(WakeSettings(), body_bytes_max=1 << 25)
    try:
        task = asyncio.ensure_future(hearing.hear(head, body, fingerprints=()))
        await asyncio.sleep(0)
        aside = not task.done()
        return await task, aside
    finally:
        hearing.close()


async def test_a_packed_body_is_read_aside_and_a_small_plain_one_at_once() -> None:
    plain, aside = await heard(BODY)
    assert (plain.request.messages[0].text, aside) == ("hi", False)
    packed, aside = await heard(zstandard.compress(BODY), (b"content-encoding", b"zstd"))
    assert (packed.request.messages[0].text, aside) == ("hi", True)


async def test_a_body_that_unpacks_beyond_ollamas_limit_passes_untouched() -> None:
    bomb = zstandard.compress(b" " * (21 << 20) + BODY)
    assert len(bomb) < 10_000
    with pytest.raises(WireError, match="passes untouched"):
        await heard(bomb, (b"content-encoding", b"zstd"))
