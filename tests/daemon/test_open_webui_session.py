"""The promise: a person's recorded session in Open WebUI passes byte for byte and leaves the ledger it should.

The recording's INDEX.md says what was done: a message, a second one, its answer made anew, the first message
edited, a new chat, and eleven background tasks beside and after the turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from ltmld.config import ProxySettings, WakeSettings
from ltmld.core.ollama_host import OllamaHost
from ltmld.daemon.clock import new_id, utc_now
from ltmld.ledger import Ledger
from ltmld.models.cards import ModelCards
from ltmld.proxy.server import Proxy
from ltmld.wake.attendant import WakeAttendant
from tests.support.raw_upstream import RawMessage, RawUpstream, Wire, connect
from tests.support.recordings import half
from tests.wake.test_injector import Shelf

SESSION = Path(__file__).resolve().parents[1] / "recordings" / "clients" / "open-webui-0.12.4"
PERSON = "615a80ac-34aa-4930-8ff8-531fbf3513d7"
CHAT, NEW_CHAT = "89aeb92a-6a72-4274-bb8c-1b2b15b07981", "d89660a6-a7c8-433b-97a5-cf8a00825e15"
BISCUIT = "Hello, my name is Ada and my dog is called Biscuit."
WAFFLE = "Hello, my name is Ada and my dog is called Waffle."
DOG, ANIMALS = "What is my dog called?", "New conversation: which animals do I have?"
STORY = (
    " Once upon a time there was tiny model made of zeros and ones that could only ever tell this very short story "
    "about rivers , mountains quiet lanterns ; then it smiled said goodbye to everybody listening 🌍 stopped ."
)
BROWSER = b"Python/3.11 aiohttp/3.14.5"
ABSENT = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One recorded request and its answer: on which connection, and in which second it was answered."""

    connection: str
    second: str
    sent: bytes
    answered: bytes

    @property
    def body(self) -> bytes:
        """The request's body."""
        return self.sent.partition(b"\r\n\r\n")[2]


def steps() -> list[Step]:
    """Return the session in the order of the recording."""
    lines = (SESSION / "INDEX.md").read_text(encoding="utf-8").splitlines()
    rows = [line.split("|") for line in lines if line[2:4].isdecimal()]
    found = []
    for row in rows:
        number, connection = row[1].strip(), row[2].strip()
        sent, answered = (
            (SESSION / f"{number}.{half}.http").read_bytes() for half in ("request", "response")
        )
        second = half(answered).header("date")
        found.append(Step(connection=connection, second=second, sent=sent, answered=answered))
    return found


class RecordedOllama:
    """Answers each request with the bytes that were recorded for it, in the order of the recording."""

    def __init__(self, session: list[Step]) -> None:
        self._waiting = list(session)
        self._upstream = RawUpstream()
        self._tasks: set[asyncio.Task[None]] = set()
        self.unknown: list[str] = []

    async def start(self) -> int:
        """Listen; return the port."""
        await self._upstream.start()
        self._tasks.add(asyncio.create_task(self._take()))
        return self._upstream.port

    async def stop(self) -> None:
        """Close everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._upstream.stop()

    @property
    def waiting(self) -> int:
        """How many recorded requests have not come."""
        return len(self._waiting)

    async def _take(self) -> None:
        while True:
            wire = await self._upstream.accept()
            self._tasks.add(asyncio.create_task(self._serve(wire)))

    async def _serve(self, wire: Wire) -> None:
        while True:
            await wire.send(self._answer(await wire.message()))

    def _answer(self, request: RawMessage) -> bytes:
        # ltmld asks Ollama about models, too, on connections and in words of its own.
        browser = request.get(b"user-agent") == BROWSER
        for step in self._waiting if browser else ():
            if step.sent.startswith(request.first + b"\r\n") and step.body == request.body:
                self._waiting.remove(step)
                return step.answered
        self.unknown.append(request.first.decode())
        return ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """ltmld between the recorded client and the recorded Ollama."""

    proxy: Proxy
    ledger: Ledger
    ollama: RecordedOllama

    async def play(self, session: list[Step]) -> None:
        """Send everything: connections side by side within a second, each in its own order."""
        clients: dict[str, Wire] = {}
        for _, group in groupby(session, key=lambda step: step.second):
            together: dict[str, list[Step]] = {}
            for step in group:
                together.setdefault(step.connection, []).append(step)
            for name in together:
                if name not in clients:
                    clients[name] = await connect(self.proxy.port)
            await asyncio.gather(*(self._send(clients[name], part) for name, part in together.items()))
        for client in clients.values():
            client.close()

    async def _send(self, client: Wire, part: list[Step]) -> None:
        for step in part:
            await client.send(step.sent)
            answer = await client.message()
            assert answer.payload == half(step.answered).body


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Build the stage."""
    ollama = RecordedOllama(steps())
    port = await ollama.start()
    ledger = Ledger.open(tmp_path, clock=utc_now, new_id=new_id)
    host = OllamaHost(port=port)
    attendant = WakeAttendant(
        ledger=ledger,
        recall=Shelf(),
        cards=ModelCards(host.url, timeout_s=5),
        settings=WakeSettings(),
        body_bytes_max=10_000_000,
        clock=utc_now,
        new_id=new_id,
    )
    proxy = Proxy(upstream=host, settings=ProxySettings(), attendant=attendant)
    await proxy.start("127.0.0.1", 0)
    yield Stage(proxy=proxy, ledger=ledger, ollama=ollama)
    await proxy.stop()
    await attendant.close()
    ledger.close()
    await ollama.stop()


async def test_a_recorded_session_leaves_exactly_the_ledger_that_its_index_describes(stage: Stage) -> None:
    session = steps()
    assert len(session) == 20
    await stage.play(session)
    assert "POST /api/chat HTTP/1.1" not in stage.ollama.unknown
    assert stage.ollama.waiting == 0
    threads, _ = stage.ledger.threads(scope=PERSON)
    by_key = {thread["key"]: thread["id"] for thread in threads}
    assert set(by_key) == {CHAT, NEW_CHAT}
    counting = {key: [one.text for one in stage.ledger.thread_messages(by_key[key])] for key in by_key}
    assert counting == {CHAT: [WAFFLE, STORY], NEW_CHAT: [ANIMALS, STORY]}
    assert stage.ledger.counts()["exchanges"] == 5
    assert rows(stage.ledger) == {
        ("user", BISCUIT): (1, 0),
        ("user", DOG): (1, 0),
        ("user", WAFFLE): (1, 1),
        ("user", ANIMALS): (1, 1),
        ("assistant", ""): (4, 2),
    }


async def test_played_once_more_the_session_adds_nothing_but_exchanges(stage: Stage) -> None:
    session = steps()
    await stage.play(session)
    before = rows(stage.ledger)
    stage.ollama._waiting.extend(session)
    await stage.play(session[:14])
    assert {key: lying for key, (lying, _) in rows(stage.ledger).items()} == {
        key: lying for key, (lying, _) in before.items()
    }
    assert rows(stage.ledger)["user", WAFFLE] == (1, 1)


def rows(ledger: Ledger) -> dict[tuple[str, str], tuple[int, int]]:
    """Return how often each message lies in the ledger, and how many of these count; answers together."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    with ledger._readers.snapshot() as connection:
        said = connection.execute(
            "SELECT role, text, id NOT IN (SELECT message_id FROM retractions) AS counts FROM messages"
        ).fetchall()
    for row in said:
        key = (row["role"], row["text"] if row["role"] == "user" else "")
        lying, counting = found.get(key, (0, 0))
        found[key] = (lying + 1, counting + row["counts"])
    return found
