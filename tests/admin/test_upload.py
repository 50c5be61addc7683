"""Promise: an import is held on disk, whole and bounded, and the event loop never waits for that disk."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ltmld.admin.upload import MEMORY_BYTES_MAX, Upload
from ltmld.errors import BadInputError

LINE = b"x" * 99 + b"\n"


async def pieces(count: int, piece: bytes) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield piece


async def test_the_disk_is_touched_by_another_thread_than_the_loops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    threads: list[int] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).startswith(str(tmp_path)):
            threads.append(threading.get_ident())

    sys.addaudithook(watch)  # stays until Python ends, and has no other path to see
    upload = Upload(bytes_max=4 * MEMORY_BYTES_MAX)
    try:
        await upload.receive(pieces(2 * MEMORY_BYTES_MAX // 65_000, LINE * 650))
    finally:
        upload.close()
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("count", [0, 1, 3, 700, 2000])
async def test_every_line_comes_back_however_it_was_cut(count: int) -> None:
    upload = Upload(bytes_max=1 << 30)
    try:
        await upload.receive(pieces(count, LINE * 30 + b"half "))
        body = b"".join(upload.lines())
    finally:
        upload.close()
    assert body == (LINE * 30 + b"half ") * count


async def test_one_byte_above_the_limit_refuses_the_import() -> None:
    upload = Upload(bytes_max=1000)
    await upload.receive(pieces(10, LINE))
    upload.close()
    upload = Upload(bytes_max=999)
    with pytest.raises(BadInputError, match=r"admin\.import_bytes_max"):
        await upload.receive(pieces(10, LINE))
    upload.close()
