"""Promise: reading a request has a bounded price, whoever sends it; what would cost more passes as it came."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from ltmld.config import WakeSettings
from ltmld.core.ports import RequestHead
from ltmld.errors import WireError
from ltmld.standin.server import running_standin
from ltmld.wake.hearing import ASIDE_BYTES, ASIDE_VALUES, Heard, Hearing
from tests.wake.test_attendant import MODEL, Room

CHAT = "/v1/chat/completions"
ZSTD = (b"content-encoding", b"zstd")
FEW, MANY = WakeSettings().look_messages_max, WakeSettings().look_values_max


def head(*headers: tuple[bytes, bytes], path: str = CHAT) -> RequestHead:
    return RequestHead(method="POST", target=path, headers=headers, peer="127.0.0.1")


def hearing(**settings: Any) -> Hearing:
    return Hearing(WakeSettings(**{"look_deadline_ms": 60_000, **settings}), body_bytes_max=1 << 25)


async def heard(body: bytes, *headers: tuple[bytes, bytes], path: str = CHAT) -> Heard:
    ear = hearing()
    try:
        return await ear.hear(head(*headers, path=path), body, fingerprints=())
    finally:
        ear.close()


def chat(content: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode()


COSTLY = {
    "numbers": b'{"messages":[' + b"0," * MANY + b"0]}",
    "objects": b'{"messages":[{"role":"user","content":[' + b"{}," * MANY + b"{}]}]}",
    "keys": b"{" + b'"a":1,' * MANY + b'"b":0}',
    "strings": b'{"messages":["' + b'","' * MANY + b'"]}',
    "lists": b'{"messages":[' + b"[]," * MANY + b"[]]}",
    "unparted": b'{"a":"' + b"," * MANY + b'","messages":[' + b'""' * (2 * MANY + 1),
    "messages": b'{"messages":[' + b'{"role":"user"},' * FEW + b'{"role":"user"}]}',
    "parts": b'{"messages":[{"role":"user","content":[' + b"{}," * FEW + b"{}]}]}",
    "items": b'{"input":[' + b'{"role":"user"},' * FEW + b'{"role":"user"}]}',
    "blocks": b'{"system":[' + b"{}," * FEW + b'{}],"messages":[]}',
}


@pytest.mark.parametrize("kind", COSTLY)
async def test_a_body_of_too_many_values_or_messages_passes_and_is_counted(kind: str) -> None:
    ear = hearing()
    with pytest.raises(WireError, match="more than"):
        await ear.hear(head(), COSTLY[kind], fingerprints=())
    assert (ear.stats.too_costly, ear.stats.look_timeouts) == (1, 0)
    ear.close()


async def test_a_few_packed_bytes_that_hold_millions_of_values_are_not_unpacked_to_their_end() -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(b'{"messages":[' + b"0," * 2_500_000 + b"0]}")
    assert len(bomb) < 2000
    with pytest.raises(WireError, match="unpacks to more than 1048576 bytes"):
        await heard(bomb, ZSTD)


async def test_talk_packs_and_unpacks_within_the_limit() -> None:
    said = chat("the same source file again and again, as agents send it\n" * 15_000)
    assert (await heard(zstandard.compress(said), ZSTD)).plain == said


@pytest.mark.parametrize(
    "content",
    [
        "1,2,[3],{4}\n" * 200_000,
        'if (a[0]) { say("x, y\\n", "\\\\"); }\n' * 50_000,
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBOR" * 1_000_000}}],
    ],
    ids=["table", "source", "image"],
)
async def test_a_long_text_is_one_value_whatever_stands_in_it(content: Any) -> None:
    assert len((await heard(chat(content))).request.messages) == 1


async def test_a_conversation_of_thousands_and_a_context_of_a_quarter_million_tokens_are_read() -> None:
    said = [
        {"role": ("user", "assistant")[turn % 2], "content": f"turn {turn}, well"} for turn in range(8000)
    ]
    assert len((await heard(json.dumps({"messages": said}).encode())).request.messages) == 8000
    context = json.dumps({"prompt": "hi", "context": list(range(262_144))}).encode()
    assert (await heard(context, path="/api/generate")).request.context_sha256


@pytest.mark.parametrize(
    ("body", "aside"),
    [
        (chat("hi"), False),
        (chat("x" * (ASIDE_BYTES - 200)), False),
        (chat("x" * ASIDE_BYTES), True),
        (b'{"messages":[{"role":"user","content":[' + b"{}," * ASIDE_VALUES + b"{}]}]}", True),
    ],
    ids=["short", "one text", "long", "many values"],
)
async def test_what_costs_more_than_a_moment_is_read_beside_the_event_loop(
    body: bytes, *, aside: bool
) -> None:
    ear = hearing()
    task = asyncio.ensure_future(ear.hear(head(), body, fingerprints=()))
    await asyncio.sleep(0)
    assert task.done() is not aside
    await task
    ear.close()


@pytest.fixture
async def blocked() -> AsyncIterator[Hearing]:
    """A hearing all of whose threads are busy until the test ends."""
    ear = hearing(look_deadline_ms=30)
    release, busy = block(ear, (await heard(chat("x" * ASIDE_BYTES))).request)
    yield ear
    release.set()
    await busy
    ear.close()


def block(ear: Hearing, request: Any) -> tuple[threading.Event, asyncio.Future[Any]]:
    release = threading.Event()
    works = [ear.written(request, lambda: b"%d" % release.wait(30)) for _ in range(4)]
    return release, asyncio.gather(*works)


async def test_reading_has_a_deadline_and_what_is_late_is_counted(blocked: Hearing) -> None:
    await asyncio.sleep(0)  # lets the others take the threads
    with pytest.raises(WireError, match="takes too long"):
        await blocked.hear(head(), chat("x" * ASIDE_BYTES), fingerprints=())
    assert (blocked.stats.too_costly, blocked.stats.look_timeouts) == (0, 1)


async def test_while_long_bodies_are_read_others_are_placed_and_recorded(tmp_path: Path) -> None:
    with running_standin(models=(MODEL,)) as standin:
        room = Room(tmp_path, standin.url)
        long = (await heard(chat("x" * ASIDE_BYTES))).request
        release, busy = block(room.attendant.hearing, long)
        await asyncio.sleep(0)
        plan = await room.attend("what does my dog Rex eat?")
        release.set()
        await busy
        assert plan.recording is not None
        await plan.recording.close()
        await room.attendant.close()
        room.ledger.close()


@pytest.mark.parametrize(
    ("origin", "looked_into"),
    [
        ("", True),
        ("http://localhost:3000", True),
        ("http://ltmld.example:11435", True),
        ("app://obsidian.md", True),
        ("https://chat.example", True),
        ("chrome-extension://abc", True),
        ("https://evil.example", False),
        ("https://chat.example.evil.example", False),
        ("null", False),
    ],
)
def test_what_a_page_that_ollama_turns_away_sends_is_not_even_read(origin: str, *, looked_into: bool) -> None:
    ear = hearing(origins=("https://chat.example", "chrome-extension://*"))
    said = ((b"host", b"ltmld.example:11435"), *(((b"origin", origin.encode()),) if origin else ()))
    assert ear.admits(head(*said)) is looked_into
    ear.close()
