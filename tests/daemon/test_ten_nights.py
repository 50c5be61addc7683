"""What ltmld puts into prompts comes back in answers, in histories and in clients' own blocks: it is never learned.

Real parts from the attendant to the sleep cycle; the stand-in plays the model of sleep, and writes down whatever it
is told to find, also in the model's own words.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ltmld.config import SleepSettings, WakeSettings
from ltmld.core.ports import RequestHead, SleepRequest
from ltmld.index.index import LocalIndex
from ltmld.models.cards import ModelCards
from ltmld.models.completion import OllamaCompleter
from ltmld.sleep.cycle import SleepCycle
from ltmld.standin.server import StandIn, running_standin
from ltmld.wake.attendant import WakeAttendant
from ltmld.wake.feeder import Feeder
from ltmld.wake.recall import HybridRecall
from ltmld.wire.sentinel import CLOSE, OPEN
from tests.support.ledgers import CountedIds, MovedClock, a_ledger
from tests.support.nights import WordEmbedder

MODEL = "stand-in:latest"
NIGHTS = 10
SAID = "My dog is called Biscuit and I live in Lisbon."
ASKED = "What is my dog called, and where do I live?"
# In the model's own words, so that no comparison of words finds the memory in it.
PARAPHRASE = "Your four-legged friend goes by Biscuit, and Lisbon is home for you."
FACTS = [
    ("The user has a dog called Biscuit.", "user", "My dog is called Biscuit"),
    ("The user lives in Lisbon.", "user", "I live in Lisbon"),
    ("The user's four-legged friend goes by Biscuit.", "user", "four-legged friend goes by Biscuit"),
    ("Lisbon is home for the user.", "user", "Lisbon is home for you"),
    ("These notes are background and not instructions.", "notes", "background and not instructions"),
    ("The editor of the user is open.", "user", "The editor is open"),
    ("The user was in a chat about animals.", "user", "a chat about animals"),
    ("The assistant recommends the vet Rudolf Keller.", "assistant", "the vet Rudolf Keller"),
]
Chat = list[dict[str, Any]]


class Bed:
    """One person's days and nights with one client."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.clock, self.ids = MovedClock(), CountedIds()
        self.ledger = a_ledger(folder, clock=self.clock)
        self.index = LocalIndex(folder / "index", WordEmbedder())
        self.feeder = Feeder(self.ledger, self.index)
        settings = WakeSettings(recall_deadline_ms=10_000, floor=0.0)
        self.recall = HybridRecall(
            ledger=self.ledger, index=self.index, settings=settings, candidates=100, clock=self.clock
        )
        self.attendant = WakeAttendant(
            ledger=self.ledger,
            recall=self.recall,
            cards=ModelCards(upstream, timeout_s=5),
            settings=settings,
            body_bytes_max=10_000_000,
            clock=self.clock,
            new_id=self.ids,
        )
        self.model: OllamaCompleter | None = OllamaCompleter(upstream, MODEL, 30.0)

    async def chat(self, messages: Chat, answer: str, *, thread: str = "") -> str:
        """Let a client ask, the model answer, and return the prompt that the model got."""
        headers = ((b"x-ltmld-thread", thread.encode()),) if thread else ()
        head = RequestHead(method="POST", target="/api/chat", headers=headers, peer="127.0.0.1")
        body = json.dumps({"model": MODEL, "messages": messages}).encode()
        plan = await self.attendant.attend(head, body)
        prompt = "\n\n".join(str(message["content"]) for message in json.loads(plan.body)["messages"])
        if plan.recording is not None:
            said = {
                "message": {"role": "assistant", "content": answer.replace("{prompt}", prompt)},
                "done": True,
            }
            plan.recording.begin(status=200, content_type="application/json")
            plan.recording.feed(json.dumps(said).encode())
            await plan.recording.close()
        self.feed()
        return prompt

    def feed(self) -> None:
        """Let the index catch up."""
        while self.feeder.drain():
            pass

    def night(self) -> dict[str, Any]:
        """Sleep once, and wake up the next morning."""
        report = SleepCycle(
            ledger=self.ledger,
            index=self.index,
            completer=self.model,
            settings=SleepSettings(),
            clock=self.clock,
            new_id=self.ids,
            feed=self.feed,
            busy=lambda: False,
            progress=lambda _: None,
            embedder=WordEmbedder(),
        ).run(SleepRequest(depth="deep"))
        self.feed()
        self.clock.move(days=1)
        return report

    def believed(self) -> set[str]:
        """Return the texts of all memories, in whatever state."""
        return {memory.text for memory in self.ledger.memories(scope="default", state="", limit=500)[0]}

    async def close(self) -> None:
        """Close everything."""
        await self.attendant.close()
        self.recall.close()
        self.index.close()
        self.ledger.close()


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """Run a stand-in that finds facts in whatever stands in the prompt, also in the model's own words."""
    facts = tmp_path_factory.mktemp("facts") / "facts.jsonl"
    rows = [
        {"text": text, "subject": subject, "quote": quote, "kind": "fact", "importance": 0.9}
        | {"attribute": "", "when": None, "cues": []}
        for text, subject, quote in FACTS
    ]
    facts.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with running_standin(models=(MODEL,), facts=[facts]) as standin:
        yield standin


@pytest.fixture
async def bed(tmp_path: Path, standin: StandIn) -> AsyncIterator[Bed]:
    """Return a bed before the first day."""
    bed = Bed(tmp_path, standin.url)
    yield bed
    await bed.close()


def user(text: str) -> dict[str, str]:
    """Return a message of the user."""
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    """Return a message of the model."""
    return {"role": "assistant", "content": text}


async def a_day(bed: Bed, history: Chat) -> list[str]:
    """Live one day, the same every day: a client that resends all, one that regenerates, a task, a new question."""
    wrapped = f"<environment_details>\nThe editor is open.\n</environment_details>\n\n{ASKED}"
    memory = f"<memory_context>\n- {SAID}\n</memory_context>\n\n{ASKED}"
    task = (
        f"### Task:\nGenerate a concise title summarizing the chat history.\n<chat_history>\nUSER: {SAID}\n"
    )
    return [
        await bed.chat([user(SAID)], "Noted.", thread="old"),
        await bed.chat([*history, user(ASKED)], f"{PARAPHRASE}\n{{prompt}}", thread="old"),
        await bed.chat([user(wrapped)], PARAPHRASE, thread="editor"),
        await bed.chat([user(memory)], PARAPHRASE, thread="own memory"),
        await bed.chat([user(task)], "a chat about animals"),
        await bed.chat([user(ASKED)], f"{PARAPHRASE}\n\n{OPEN}\nNotes: {SAID}\n{CLOSE}\nThese are mine."),
        await bed.chat(
            [user(ASKED), assistant(f"{OPEN}\nNotes: {SAID}"), user("And?")], PARAPHRASE, thread="cut"
        ),
    ]


async def test_ten_nights_of_the_same_days_learn_nothing_after_the_first(bed: Bed) -> None:
    history = [user(SAID), assistant("Noted.")]
    await bed.chat(history[:1], "Noted.", thread="old")
    bed.night()
    first = bed.believed()
    assert "The user has a dog called Biscuit." in first
    asked_before = 0
    for night in range(NIGHTS):
        prompts = await a_day(bed, history)
        assert any(OPEN in prompt and "Biscuit" in prompt for prompt in prompts), "nothing was recalled"
        counts = bed.ledger.counts()
        if night:
            # One new conversation a day: its question and its answer are really said, and nothing else is.
            assert counts["messages"] == asked_before + 2
        asked_before = counts["messages"]
        bed.night()
        assert bed.believed() == first


async def test_ten_nights_without_a_model_learn_nothing_after_the_first(bed: Bed) -> None:
    bed.model = None
    history = [user(SAID), assistant("Noted.")]
    await bed.chat(history[:1], "Noted.", thread="old")
    bed.night()
    first = bed.believed()
    assert first
    for _ in range(NIGHTS):
        await a_day(bed, history)
        bed.night()
        assert bed.believed() == first


async def test_nothing_that_was_put_into_a_prompt_stands_in_the_ledger_as_said(bed: Bed) -> None:
    history = [user(SAID), assistant("Noted.")]
    await bed.chat(history[:1], "Noted.", thread="old")
    bed.night()
    await a_day(bed, history)
    threads = bed.ledger.threads()[0]
    said = [message for row in threads for message in bed.ledger.thread_messages(row["id"])]
    assert len(said) > 10
    marks = (OPEN, CLOSE, "environment_details", "memory_context", "The editor is open", "chat_history")
    assert not [message.text for message in said if any(mark in message.text for mark in marks)]


async def test_what_the_model_says_that_it_was_not_told_is_still_learned(bed: Bed) -> None:
    await bed.chat([user(SAID)], "Noted.", thread="old")
    bed.night()
    prompt = await bed.chat(
        [user(ASKED)], "I recommend the vet Rudolf Keller at 12 Harbor Street for Biscuit."
    )
    assert OPEN in prompt
    await bed.chat([user("I go there on Monday with my brother Ben, whom I trust.")], "Good.")
    bed.night()
    assert "The assistant recommends the vet Rudolf Keller." in bed.believed()
