"""Builders for tests of sleep: messages, candidates, a model that plays a part, a bedroom to sleep in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ltmld.config import SleepSettings
from ltmld.core.exchange import StoredMessage
from ltmld.core.memory import Memory, MemoryKind
from ltmld.core.ports import Completion, Embedder, SleepRequest, StageProgress
from ltmld.index.index import LocalIndex
from ltmld.ledger import Ledger
from ltmld.sleep.candidate import Candidate
from ltmld.sleep.cycle import SleepCycle
from tests.support.ledgers import EPOCH, CountedIds, MovedClock, a_line


def a_message(text: str, *, minute: float = 0, **settings: Any) -> StoredMessage:
    """Return a user's message of thread ``thr-1``, *minute* minutes after the epoch."""
    values: dict[str, Any] = {
        "id": f"msg-{sha256(f'{minute} {text}'.encode()).hexdigest()[:8]}",
        "scope": "default",
        "thread_id": "thr-1",
        "exchange_id": "exc-1",
        "parent_id": None,
        "ordinal": int(minute),
        "role": "user",
        "speaker": "user",
        "text": text,
        "at": EPOCH + timedelta(minutes=minute),
    }
    return StoredMessage(**{**values, **settings})


def a_candidate(text: str = "The user lives in Lisbon.", **settings: Any) -> Candidate:
    """Return a candidate that a user's message stands behind."""
    values: dict[str, Any] = {
        "text": text,
        "kind": MemoryKind.FACT,
        "message_id": f"msg-{sha256(text.encode()).hexdigest()[:8]}",
        "quote": text,
        "said_at": EPOCH,
        "subject": "user",
    }
    return Candidate(**{**values, **settings})


def an_item(text: str, quote: str, **fields: Any) -> dict[str, Any]:
    """Return one item of an extraction's answer."""
    values: dict[str, Any] = {
        "kind": "fact",
        "subject": "user",
        "attribute": "",
        "when": None,
        "importance": 0.6,
        "cues": [],
    }
    return {"text": text, "quote": quote, **values, **fields}


class PlayedModel:
    """A completer that plays a part: *answer* makes its words from the prompt; what it was asked is kept."""

    def __init__(self, answer: Callable[[str], str], *, model: str = "played:latest") -> None:
        self._answer = answer
        self._model = model
        self.asked: list[str] = []

    @property
    def model(self) -> str:
        return self._model

    def complete(self, *, system: str, prompt: str, schema: Mapping[str, Any]) -> Completion:
        assert system or "repair" in prompt or schema
        self.asked.append(prompt)
        return Completion(text=self._answer(prompt), prompt_tokens=10, reply_tokens=5, took_ms=1.0)


_LINE = re.compile(r"^\[[^\]]+\] (?P<who>[^:]+): (?P<words>.+)$", re.MULTILINE)


def careful(prompt: str) -> str:
    """Answer as a careful model does: every "I ..." of the user as a fact, and a short lesson of any notes."""
    if "The notes:" in prompt:
        return json.dumps({"lesson": "The user has habits."})
    items = [
        an_item(found["words"].replace("I ", "The user ", 1), found["words"])
        for found in _LINE.finditer(prompt)
        if found["words"].startswith("I ")
    ]
    return json.dumps({"memories": items})


class WordEmbedder:
    """An embedder that counts words: texts with the same words are near, others are not."""

    name = "words/1"
    dimension = 64

    def embed(self, texts: Sequence[str]) -> Any:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[int(sha256(word.encode()).hexdigest(), 16) % self.dimension] += 1.0
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.maximum(lengths, 1e-9)


class Bedroom:
    """A real ledger and a real full-text index in one folder, and the way to sleep in them."""

    def __init__(
        self,
        folder: Path,
        *,
        ledger: Ledger | None = None,
        clock: MovedClock | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        self.clock = clock or MovedClock()
        self.ids = CountedIds()
        self.ledger = ledger or Ledger.open(folder, clock=self.clock, new_id=self.ids)
        self.index = LocalIndex(folder / "index", None)
        self.embedder = embedder
        self.progress: list[StageProgress] = []
        self.busy: Callable[[], bool] = lambda: False

    def talk(self, *said: str, start: datetime | None = None, scope: str = "default") -> None:
        """Record a conversation: user and assistant take turns, a minute each."""
        begin = start or self.clock()
        self.ledger.import_messages(
            [
                a_line(
                    words,
                    scope=scope,
                    thread=f"talk {begin:%m-%d %H:%M}",
                    at=begin + timedelta(minutes=place),
                    role="user" if place % 2 == 0 else "assistant",
                )
                for place, words in enumerate(said)
            ]
        )

    def cycle(self, model: PlayedModel | None = None, **settings: Any) -> SleepCycle:
        """Return a cycle over this bedroom."""
        return SleepCycle(
            ledger=self.ledger,
            index=self.index,
            completer=model,
            settings=SleepSettings(**settings),
            clock=self.clock,
            new_id=self.ids,
            feed=lambda: None,
            busy=lambda: self.busy(),  # noqa: PLW0108 - looked up at each call, a test may change it
            progress=self.progress.append,
            embedder=self.embedder,
        )

    def sleep(
        self, model: PlayedModel | None = None, *, cycle_id: str = "", **request: Any
    ) -> dict[str, Any]:
        """Sleep once and return the report."""
        return self.cycle(model).run(SleepRequest(**request), cycle_id=cycle_id)

    def believed(self, scope: str = "default") -> dict[str, Memory]:
        """Return the recallable memories by text."""
        return {memory.text: memory for memory in self.ledger.all_memories(scope)}

    def close(self) -> None:
        """Close the files."""
        self.ledger.close()
        self.index.close()
