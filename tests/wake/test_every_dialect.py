"""In every dialect: memory reaches the model, nobody else sees it, its place never moves, and a turn is kept once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import httpx
import pytest
import zstandard

from ltmld.config import ProxySettings, WakeSettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.ledger import Ledger
from ltmld.models.cards import ModelCards
from ltmld.proxy.server import Proxy
from ltmld.standin.faults import Fault
from ltmld.standin.server import StandIn, running_standin
from ltmld.wake.attendant import WakeAttendant
from ltmld.wire.sentinel import CLOSE, OPEN
from tests.support.ledgers import CountedIds, MovedClock, a_ledger
from tests.support.raw_upstream import until
from tests.support.tongues import ANTHROPIC, CHATS, RESPONSES, Said, request
from tests.wake.test_injector import Shelf

MODEL = "stand-in:latest"
SECRET = "the boat is called Amelie"
SYSTEM = {"role": "system", "text": "Be brief."}
FIRST = [{"role": "user", "text": "Where is my boat?"}]
SECOND = [*FIRST, {"role": "assistant", "text": "Well."}, {"role": "user", "text": "And the oars?"}]


@pytest.fixture(scope="module")
def standin() -> Iterator[StandIn]:
    with running_standin(models=(MODEL,), system="You are tiny.", script=lambda _: "Well.") as standin:
        yield standin


class House:
    """A data plane with memory, before the stand-in."""

    def __init__(self, folder: Path, standin: StandIn) -> None:
        self.standin = standin
        clock = MovedClock()
        self.ledger: Ledger = a_ledger(folder, clock=clock)
        self.attendant = WakeAttendant(
            ledger=self.ledger,
            recall=Shelf(f"[2026-04-01] user: {SECRET}"),
            cards=ModelCards(standin.url, timeout_s=5),
            settings=WakeSettings(recall_deadline_ms=5000),
            body_bytes_max=10_000_000,
            clock=clock,
            new_id=CountedIds(),
        )
        self.proxy = Proxy(
            upstream=OllamaHost(port=standin.port), settings=ProxySettings(), attendant=self.attendant
        )

    async def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.proxy.port}", timeout=20) as client:
            return await client.post(path, content=body, headers=headers)

    async def ask(self, path: str, said: Sequence[Said], *, stream: bool) -> tuple[bytes, bytes]:
        """Return what the client got and what Ollama got."""
        answer = await self.post(path, request(path, said, model=MODEL, stream=stream))
        assert answer.status_code == 200
        return answer.content, self.standin.requests[-1].body

    def said(self) -> list[tuple[str, str]]:
        """Return role and text of every message in the ledger."""
        with sqlite3.connect(self.ledger.path) as connection:
            rows = connection.execute("SELECT role, text FROM messages ORDER BY ordinal").fetchall()
        connection.close()
        return [(str(role), str(text)) for role, text in rows]

    def outcomes(self) -> list[str]:
        """Return how each exchange in the ledger ended."""
        with sqlite3.connect(self.ledger.path) as connection:
            rows = connection.execute("SELECT outcome FROM exchanges").fetchall()
        connection.close()
        return [str(outcome) for (outcome,) in rows]


@pytest.fixture
async def house(tmp_path: Path, standin: StandIn) -> AsyncIterator[House]:
    house = House(tmp_path, standin)
    await house.proxy.start("127.0.0.1", 0)
    yield house
    await house.proxy.stop()
    await house.attendant.close()
    house.ledger.close()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("system", [[], [SYSTEM]], ids=["no system", "system"])
@pytest.mark.parametrize("path", CHATS)
async def test_memory_reaches_the_model_and_not_one_byte_of_it_the_client(
    house: House,
    path: str,
    system: list[Said],
    stream: bool,  # noqa: FBT001 - drawn
) -> None:
    answer, told = await house.ask(path, [*system, *FIRST], stream=stream)
    assert SECRET.encode() in told
    assert b"Well." in answer
    for injected in (OPEN, CLOSE, SECRET, "You are tiny."):
        assert injected.encode() not in answer
    assert house.said() == [("user", "Where is my boat?"), ("assistant", "Well.")]


@pytest.mark.parametrize("system", [[], [SYSTEM]], ids=["no system", "system"])
@pytest.mark.parametrize("path", CHATS)
async def test_on_the_next_turn_everything_before_it_is_the_same_to_the_byte(
    house: House, path: str, system: list[Said]
) -> None:
    """So that Ollama's cache goes on from where it was."""
    _, first = await house.ask(path, [*system, *FIRST], stream=True)
    _, second = await house.ask(path, [*system, *SECOND], stream=True)
    same = told(first)
    assert told(second)[: len(same)] == same
    assert told(second)[-1] == ("user", "And the oars?")
    assert [text for _, text in house.said()] == ["Where is my boat?", "Well.", "And the oars?", "Well."]


async def test_the_instructions_of_a_response_come_back_as_the_client_wrote_them(house: House) -> None:
    body = {"model": MODEL, "instructions": "Be brief.", "input": "Where is my boat?", "stream": True}
    answer = await house.post(RESPONSES, json.dumps(body).encode())
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    shown = [event["response"]["instructions"] for event in events if "response" in event]
    assert shown == ["Be brief."] * 3
    seen = house.standin.requests[-1]
    assert (seen.tree["instructions"], SECRET in seen.tree["input"]) == ("Be brief.", True)


async def test_a_packed_body_goes_on_unpacked_when_memory_was_put_in(house: House) -> None:
    body = request(RESPONSES, FIRST, model=MODEL)
    answer = await house.post(RESPONSES, zstandard.compress(body), **{"Content-Encoding": "zstd"})
    seen = house.standin.requests[-1]
    assert answer.status_code == 200
    assert (seen.header("content-encoding"), SECRET.encode() in seen.body) == ("", True)
    assert seen.header("content-length") == str(len(seen.body))


@pytest.mark.parametrize("path", CHATS)
async def test_an_answer_that_ollama_breaks_off_cleanly_is_kept_as_failed(house: House, path: str) -> None:
    house.standin.inference.faults.append(Fault.MIDSTREAM_ERROR)
    answer = await house.post(path, request(path, FIRST, model=MODEL))
    assert answer.status_code == 200
    assert b"stop" not in answer.content
    await until(lambda: house.outcomes() == ["failed"])


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/embeddings", "/api/embed"])
async def test_what_is_no_talk_passes_to_the_last_byte_and_is_not_kept(house: House, path: str) -> None:
    body = b'{ "model":"stand-in:latest","prompt":"Where is my boat?","input":"Where is my boat?" }'
    answer = await house.post(path, body)
    assert answer.status_code == 200
    assert house.standin.requests[-1].body == body
    assert house.said() == []
    assert house.attendant.stats.looked_into == 0


async def test_a_prompt_of_messages_holds_the_block_once_and_at_its_end(house: House) -> None:
    _, body = await house.ask(ANTHROPIC, [SYSTEM, *FIRST], stream=False)
    system = json.loads(body)["system"]
    assert system.startswith("Be brief.\n\n" + OPEN)
    assert system.endswith(CLOSE)
    assert body.count(OPEN.encode()) == 1


def told(body: bytes) -> list[tuple[str, str]]:
    """Return what the model is told, in order: who says it, and the words."""
    tree = json.loads(body)
    fields = [("system", tree.get(name)) for name in ("instructions", "system") if tree.get(name)]
    items = [(item["role"], item["content"]) for item in tree.get("messages") or tree.get("input")]
    return [
        (role, json.dumps(text) if not isinstance(text, str) else text)
        for role, text in fields + plain(items)
    ]


def plain(items: list[tuple[str, object]]) -> list[tuple[str, object]]:
    """Return each message's words alone, where it is one part of text."""
    return [
        (role, content[0]["text"] if isinstance(content, list) and len(content) == 1 else content)
        for role, content in items
    ]
