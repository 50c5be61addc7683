"""Promise: everything that a real Ollama was recorded to say passes unchanged."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from ltmld.config import ProxySettings
from ltmld.proxy.server import Proxy
from tests.support.raw_upstream import RawMessage, RawUpstream, connect
from tests.support.serving import serving

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"
HOP = {b"connection", b"keep-alive"}


def cases(folder: Path) -> list[Path]:
    """Return the recorded cases that have a request and a response of HTTP/1.1."""
    return sorted(
        case
        for case in folder.iterdir()
        if (case / "response.http").is_file() and (case / "request.http").is_file()
    )


def end_to_end(message: RawMessage) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in message.headers if name.lower() not in HOP]


def head_of(raw: bytes) -> list[tuple[bytes, bytes]]:
    lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    return [(name, value) for name, value in headers if name.lower() not in HOP]


@pytest.mark.parametrize("case", cases(RECORDINGS), ids=lambda case: case.name)
async def test_a_recorded_exchange_passes_unchanged(case: Path, proxy: Proxy, upstream: RawUpstream) -> None:
    sent, said = (case / "request.http").read_bytes(), (case / "response.http").read_bytes()
    async with await connect(proxy.port) as client:
        await client.send(sent)
        wire = await upstream.accept()
        request = await wire.message()
        await wire.send(said)
        if b"content-length:" not in said.lower() and b"chunked" not in said.lower():
            wire.close()
        answer = await client.message(has_body=not sent.startswith(b"HEAD"))
    assert request.first == sent.split(b"\r\n", 1)[0]
    assert end_to_end(request) == head_of(sent)
    assert request.body == sent.partition(b"\r\n\r\n")[2]
    assert answer.first == said.split(b"\r\n", 1)[0]
    assert end_to_end(answer) == head_of(said)
    assert answer.body == (b"" if sent.startswith(b"HEAD") else said.partition(b"\r\n\r\n")[2])


async def test_the_replay_tool_finds_no_difference(shared: Path) -> None:
    with_tool = shared / "tools" / "replay.py"
    if not with_tool.is_file():
        pytest.skip("the replay tool beside the checkout (../shared/tools) is not here")
    spare = await RawUpstream().start()
    await spare.stop()
    async with serving(spare.port, ProxySettings()) as proxy:
        replay = await asyncio.create_subprocess_exec(
            *(sys.executable, str(with_tool), "--proxy", f"127.0.0.1:{proxy.port}"),
            *("--upstream-listen", f"127.0.0.1:{spare.port}", str(shared / "recordings")),
            stdout=subprocess.PIPE,
        )
        said, _ = await asyncio.wait_for(replay.communicate(), 60)
    *differences, summary = said.decode().splitlines()
    same, _, of = summary.removesuffix(" cases the same").partition(" of ")
    assert (differences, same) == ([], of)
