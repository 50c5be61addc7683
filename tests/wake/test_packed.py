"""A packed body is unpacked and read beside the event loop, however small it came: it may be large inside."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import zstandard

from ltmld.config import WakeSettings
from ltmld.core.ports import RequestHead
from ltmld.errors import WireError
from ltmld.wake.hearing import Heard, hear

BODY = b'{"model":"tiny","input":"hi"}'


class CountingPool(ThreadPoolExecutor):
    """A pool that counts what it is given."""

    given = 0

    def submit(self, *work: Any, **more: Any) -> Future[Any]:
        self.given += 1
        return super().submit(*work, **more)


async def heard(body: bytes, pool: CountingPool, *headers: tuple[bytes, bytes]) -> Heard:
    head = RequestHead(method="POST", target="/v1/responses", headers=headers, peer="127.0.0.1")
    return await hear(head, body, settings=WakeSettings(), fingerprints=(), body_bytes_max=1 << 25, pool=pool)


async def test_a_packed_body_is_read_aside_and_a_small_plain_one_at_once() -> None:
    with CountingPool(1) as pool:
        assert (await heard(BODY, pool)).request.messages[0].text == "hi"
        assert pool.given == 0
        packed = await heard(zstandard.compress(BODY), pool, (b"content-encoding", b"zstd"))
        assert (packed.request.messages[0].text, pool.given) == ("hi", 1)


async def test_a_body_that_unpacks_beyond_ollamas_limit_passes_untouched() -> None:
    bomb = zstandard.compress(b" " * (21 << 20) + BODY)
    assert len(bomb) < 10_000
    with CountingPool(1) as pool:
        with pytest.raises(WireError, match="passes untouched"):
            await heard(bomb, pool, (b"content-encoding", b"zstd"))
        assert pool.given == 1
