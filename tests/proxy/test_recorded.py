"""Promise: everything that a real Ollama was recorded to say passes unchanged, without memory and with an empty one.

The cases lie in ``tests/recordings``; where the whole collection is beside the checkout, all of it is played. What is
more than one request and its answer (``OWN_DIALOGUE``) is played in ``test_recorded_dialogues``.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ltmld.config import ProxySettings, WakeSettings
from ltmld.daemon.clock import new_id, utc_now
from ltmld.index.index import LocalIndex
from ltmld.ledger import Ledger
from ltmld.models.cards import ModelCards
from ltmld.proxy.server import Proxy
from ltmld.wake.attendant import WakeAttendant
from ltmld.wake.recall import HybridRecall
from tests.support.raw_upstream import RawMessage, RawUpstream, connect
from tests.support.serving import serving

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"
OWN_DIALOGUE = {
    *("blob-post-existing-271mb", "blob-post-expect-continue", "blob-post-new-271mb", "cancel-nonstream"),
    *("chat-25mb-body", "chat-short-body", "dup-content-length", "h2-preface", "half-close-stream"),
    *("half-close-tags", "malformed-request", "pipelined"),
}
CUT = b"truncated"
"""How a recorded body ends that was too long to be kept."""

HOP = {b"connection", b"keep-alive"}
NO_OLLAMA = "http://127.0.0.1:9"


def cases(folder: Path) -> list[Path]:
    """Return the recorded cases that are one request and one answer."""
    return sorted(
        case
        for case in folder.iterdir()
        if (case / "response.http").is_file()
        and (case / "request.http").is_file()
        and case.name not in OWN_DIALOGUE
        and CUT not in (case / "request.http").read_bytes()[-24:]
    )


def end_to_end(message: RawMessage) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in message.headers if name.lower() not in HOP]


def head_of(raw: bytes) -> list[tuple[bytes, bytes]]:
    lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    return [(name, value) for name, value in headers if name.lower() not in HOP]


async def play(case: Path, proxy: Proxy, upstream: RawUpstream) -> None:
    """Play one case, and compare both halves with the recording."""
    sent, said = (case / "request.http").read_bytes(), (case / "response.http").read_bytes()
    async with await connect(proxy.port) as client:
        await client.send(sent)
        wire = await upstream.accept()
        request = await wire.message()
        await wire.send(said)
        wire.writer.write_eof()
        answer = await client.message(has_body=not sent.startswith(b"HEAD"))
    wire.writer.transport.abort()
    assert request.first == sent.split(b"\r\n", 1)[0]
    assert end_to_end(request) == head_of(sent)
    assert request.body == sent.partition(b"\r\n\r\n")[2]
    assert answer.first == said.split(b"\r\n", 1)[0]
    assert end_to_end(answer) == head_of(said)
    assert answer.body == (b"" if sent.startswith(b"HEAD") else said.partition(b"\r\n\r\n")[2])


@asynccontextmanager
async def an_empty_memory(folder: Path) -> AsyncIterator[WakeAttendant]:
    """Attend as the daemon does, on a ledger in which nobody has said anything yet."""
    ledger = Ledger.open(folder, clock=utc_now, new_id=new_id)
    index = LocalIndex(folder / "index", None)
    recall = HybridRecall(ledger=ledger, index=index, settings=WakeSettings(), candidates=50, clock=utc_now)
    attendant = WakeAttendant(
        ledger=ledger,
        recall=recall,
        cards=ModelCards(NO_OLLAMA, timeout_s=1),
        settings=WakeSettings(),
        body_bytes_max=10_000_000,
        clock=utc_now,
        new_id=new_id,
    )
    try:
        yield attendant
    finally:
        await attendant.close()
        recall.close()
        index.close()
        ledger.close()


@pytest.mark.parametrize("case", cases(RECORDINGS), ids=lambda case: case.name)
async def test_a_recorded_exchange_passes_unchanged(case: Path, proxy: Proxy, upstream: RawUpstream) -> None:
    await play(case, proxy, upstream)


@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.parametrize("case", cases(RECORDINGS), ids=lambda case: case.name)
async def test_a_recorded_exchange_passes_an_empty_memory_unchanged(
    case: Path, upstream: RawUpstream, tmp_path: Path
) -> None:
    async with an_empty_memory(tmp_path) as attendant, serving(upstream.port, ProxySettings()) as proxy:
        proxy.attendant = attendant
        await play(case, proxy, upstream)
        assert proxy.stats.defects == 0


async def test_the_recordings_beside_the_checkout_pass_unchanged_too(
    shared: Path, tmp_path: Path, upstream: RawUpstream
) -> None:
    known = {case.name for case in RECORDINGS.iterdir()}
    further = [case for case in cases(shared / "recordings") if case.name not in known]
    async with an_empty_memory(tmp_path) as attendant, serving(upstream.port, ProxySettings()) as proxy:
        for proxy.attendant in (None, attendant):
            for case in further:
                await play(case, proxy, upstream)


@pytest.mark.parametrize("memory", ["off", "empty"])
async def test_the_replay_tool_finds_no_difference(shared: Path, tmp_path: Path, memory: str) -> None:
    # Everything is recorded, but nothing feeds the index: for recall the store stays empty for the whole run.
    with_tool = shared / "tools" / "replay.py"
    if not with_tool.is_file():
        pytest.skip("the replay tool beside the checkout (../shared/tools) is not here")
    spare = await RawUpstream().start()
    await spare.stop()
    async with an_empty_memory(tmp_path) as attendant, serving(spare.port, ProxySettings()) as proxy:
        proxy.attendant = None if memory == "off" else attendant
        replay = await asyncio.create_subprocess_exec(
            *(sys.executable, str(with_tool), "--proxy", f"127.0.0.1:{proxy.port}"),
            *("--upstream-listen", f"127.0.0.1:{spare.port}", str(shared / "recordings")),
            stdout=subprocess.PIPE,
        )
        said, _ = await asyncio.wait_for(replay.communicate(), 60)
    *differences, summary = said.decode().splitlines()
    same, _, of = summary.removesuffix(" cases the same").partition(" of ")
    assert (differences, same) == ([], of)
