"""Promise: a model not known to be here is given nothing, and what is said to one that is elsewhere is not recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ltmld.core.ports import Plan, RequestHead
from ltmld.models.cards import ModelCards
from tests.wake.test_attendant import END, FIRST, MODEL, SECOND, Room

PATIENCE_S = 10.0


class ToldOllama:
    """Says of every model what the test says, and when."""

    def __init__(self) -> None:
        self.may_tell = asyncio.Event()
        self.may_tell.set()
        self.remote = False
        self.knows = True
        self.asked = 0
        self.arrived = asyncio.Event()

    async def start(self) -> str:
        """Listen, and return the address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Listen no more."""
        self.may_tell.set()
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(sizes[0][15:]) if sizes else 0)
                status, body = await self._said(head)
                lines = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
                writer.write(lines + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _said(self, head: bytes) -> tuple[int, bytes]:
        if b" /api/show " not in head:
            return 200, b'{"models":[]}'
        self.asked += 1
        shown: dict[str, Any] = {"template": "{{ .System }}{{ .Prompt }}", "model_info": {}}
        if self.remote:
            shown |= {"remote_host": "https://ollama.com:443", "remote_model": "big"}
        self.arrived.set()
        await self.may_tell.wait()
        return (200, json.dumps(shown).encode()) if self.knows else (404, b"{}")


@pytest.fixture
async def ollama() -> AsyncIterator[ToldOllama]:
    ollama = ToldOllama()
    yield ollama
    await ollama.stop()


@pytest.fixture
async def room(tmp_path: Path, ollama: ToldOllama) -> AsyncIterator[Room]:
    """Return a room whose recall has 300 ms: what the test wants known in time, it asks for before."""
    room = Room(tmp_path, await ollama.start(), recall_deadline_ms=300)
    yield room
    await room.attendant.close()
    room.ledger.close()


async def answered(plan: Plan) -> None:
    """Let Ollama answer, and the exchange be over."""
    assert plan.recording is not None
    plan.recording.begin(status=200, content_type="application/x-ndjson")
    plan.recording.feed(END)
    await asyncio.wait_for(plan.recording.commit(), PATIENCE_S)
    await asyncio.wait_for(plan.recording.close(), PATIENCE_S)


def roles(plan: Plan) -> list[str]:
    return [said["role"] for said in json.loads(plan.body)["messages"]]


def recorded(room: Room) -> int:
    """Return how many exchanges are in the ledger."""
    return room.ledger.counts()["exchanges"]


async def test_a_cloud_model_that_ollama_names_late_is_neither_told_nor_recorded(
    room: Room, ollama: ToldOllama
) -> None:
    ollama.remote = True
    ollama.may_tell.clear()
    plan = await room.attend(*FIRST)
    assert roles(plan) == ["user"]
    ollama.may_tell.set()
    await answered(plan)
    assert recorded(room) == 0
    assert ollama.asked == 1, "the question went on beyond the deadline, and its answer was kept"


async def test_a_model_that_has_become_remote_is_replayed_nothing_and_its_turn_is_not_recorded(
    room: Room, ollama: ToldOllama
) -> None:
    await room.attendant._cards.card(MODEL)
    first = await room.attend(*FIRST)
    assert roles(first) == ["system", "user"]
    await answered(first)
    before = recorded(room)
    assert before == 1
    room.attendant._cards.forget()  # as after its time
    ollama.remote = True
    ollama.may_tell.clear()
    second = await room.attend(*SECOND)
    assert roles(second) == ["user", "assistant", "user"]
    assert b"Rex" not in second.body
    ollama.may_tell.set()
    await answered(second)
    assert recorded(room) == before


async def test_a_local_model_that_ollama_describes_late_is_recorded_before_the_end_is_passed_on(
    room: Room, ollama: ToldOllama
) -> None:
    ollama.may_tell.clear()
    plan = await room.attend(*FIRST)
    assert roles(plan) == ["user"]
    assert plan.recording is not None
    plan.recording.begin(status=200, content_type="application/x-ndjson")
    plan.recording.feed(END)
    committing = asyncio.create_task(plan.recording.commit())
    await asyncio.sleep(0)
    assert recorded(room) == 0
    ollama.may_tell.set()
    await asyncio.wait_for(committing, PATIENCE_S)
    assert recorded(room) == 1
    await plan.recording.close()
    assert (recorded(room), room.attendant.recordings.recorded) == (1, 1)


@pytest.mark.parametrize("remote", [False, True])
async def test_an_end_waits_for_the_card_no_longer_than_for_the_ledger_and_is_decided_behind_it(
    tmp_path: Path, ollama: ToldOllama, *, remote: bool
) -> None:
    room = Room(tmp_path, await ollama.start(), recall_deadline_ms=20, commit_deadline_ms=100)
    ollama.remote = remote
    ollama.may_tell.clear()
    plan = await room.attend(*FIRST)
    assert plan.recording is not None
    plan.recording.begin(status=200, content_type="application/x-ndjson")
    plan.recording.feed(END)
    await asyncio.wait_for(plan.recording.commit(), PATIENCE_S)
    assert recorded(room) == 0
    closing = asyncio.create_task(plan.recording.close())
    ollama.may_tell.set()
    await asyncio.wait_for(closing, PATIENCE_S)
    assert recorded(room) == (0 if remote else 1)
    await room.attendant.close()
    room.ledger.close()


async def test_where_ollama_never_tells_the_exchange_is_recorded(room: Room, ollama: ToldOllama) -> None:
    ollama.knows = False
    plan = await room.attend(*FIRST)
    assert roles(plan) == ["user"]
    await answered(plan)
    assert recorded(room) == 1


async def test_a_known_model_is_not_asked_for_again(room: Room, ollama: ToldOllama) -> None:
    await room.attendant._cards.card(MODEL)
    await answered(await room.attend(*FIRST))
    ollama.may_tell.clear()
    plan = await room.attend(*SECOND)
    assert roles(plan)[0] == "system"
    await answered(plan)
    assert ollama.asked == 1


async def test_a_question_left_behind_is_answered_for_the_next_turn(room: Room, ollama: ToldOllama) -> None:
    ollama.may_tell.clear()
    plan = await room.attend(*FIRST)
    assert roles(plan) == ["user"]
    ollama.may_tell.set()
    await answered(plan)
    assert roles(await room.attend("Something else about my dog?"))[0] == "system"
    assert ollama.asked == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/create"), ("POST", "/api/pull"), ("POST", "/api/copy"), ("DELETE", "/api/delete")],
)
async def test_what_was_known_before_a_model_changed_is_forgotten_when_the_change_has_ended(
    room: Room, ollama: ToldOllama, method: str, path: str
) -> None:
    head = RequestHead(method=method, target=path, headers=(), peer="127.0.0.1")
    assert room.attendant.looks_into(head)
    body = b'{"model":"stand-in"}'
    change = await room.attendant.attend(head, body)
    assert change.body is body
    assert change.recording is not None
    change.recording.begin(status=200, content_type="application/x-ndjson")
    assert change.recording.feed(b'{"status":"working"}') == 20
    await room.attendant._cards.card(MODEL)
    await answered(await room.attend(*FIRST))  # meanwhile; the model is still what it was
    ollama.remote = True
    assert not change.recording.complete
    await change.recording.close()
    await room.attendant._cards.card(MODEL)
    after = await room.attend(*SECOND)
    assert (after.recording, b"Rex" in after.body) == (None, False)


async def test_what_was_asked_before_a_model_changed_is_not_kept_after_it(ollama: ToldOllama) -> None:
    cards = ModelCards(await ollama.start(), timeout_s=PATIENCE_S)
    ollama.may_tell.clear()
    before = asyncio.create_task(cards.card(MODEL))
    await asyncio.wait_for(ollama.arrived.wait(), PATIENCE_S)
    cards.forget()
    ollama.remote = True
    after = asyncio.create_task(cards.card(MODEL))
    ollama.may_tell.set()
    old, new, kept = await before, await after, await cards.card(MODEL)
    assert old is not None
    assert new is not None
    assert (old.cloud, new.cloud, kept) == (False, True, new)
    await cards.close()


async def test_many_who_ask_at_once_are_one_question(ollama: ToldOllama) -> None:
    cards = ModelCards(await ollama.start(), timeout_s=PATIENCE_S)
    told = await asyncio.gather(*(cards.card(MODEL) for _ in range(20)))
    assert (ollama.asked, len(set(map(id, told)))) == (1, 1)
    await cards.close()
