"""Builders for tests of and around the ledger: a clock that is moved, ids that count, turns from words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from ltmld.core.chain import ROOT, chain
from ltmld.core.exchange import Outcome, PathMessage, Reply, Turn
from ltmld.core.memory import Memory, MemoryKind, Source
from ltmld.core.message import Message, Role
from ltmld.ledger import ImportLine, Ledger

EPOCH = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


class MovedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = EPOCH) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **spans: float) -> None:
        """Move on by a ``timedelta`` of these spans."""
        self.now += timedelta(**spans)


class CountedIds:
    """Ids that count: ``msg-0001``."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def __call__(self, prefix: str) -> str:
        return f"{prefix}-{next(self._numbers):06d}"


def a_ledger(
    folder: Path, *, clock: MovedClock | None = None, new_id: CountedIds | None = None, **settings: Any
) -> Ledger:
    """Return a ledger in *folder*."""
    return Ledger.open(folder, clock=clock or MovedClock(), new_id=new_id or CountedIds(), **settings)


def a_path(*said: str, start: str = ROOT) -> tuple[PathMessage, ...]:
    """Return a conversation in which user and assistant take turns; ``tool: ...`` is a tool's output."""
    path: list[PathMessage] = []
    previous, roles = start, (Role.USER, Role.ASSISTANT)
    for place, words in enumerate(said):
        role = Role.TOOL if words.startswith("tool: ") else roles[place % 2]
        previous = chain(previous, role.value, words)
        path.append(PathMessage(message=Message(role=role, text=words), chain=previous))
    return tuple(path)


def a_turn(*said: str, reply: str = "", exchange: str = "", **settings: Any) -> Turn:
    """Return the turn of a request with the conversation *said*, and its reply."""
    path: Sequence[PathMessage] = settings.pop("path", None) or a_path(*said)
    previous = path[-1].chain if path else ROOT
    values: dict[str, Any] = {
        "exchange_id": exchange or f"exc-{chain(previous, 'reply', reply)[:12]}",
        "scope": "default",
        "thread_id": "thr-1",
        "thread_key": "",
        "dialect": "ollama.chat",
        "path": tuple(path),
        "reply": Reply(text=reply),
        "reply_chain": chain(previous, Role.ASSISTANT.value, reply),
        "outcome": Outcome.COMPLETED,
        "status": 200,
        "model": "stand-in:latest",
        "client": "pytest",
        "started_at": EPOCH,
        "finished_at": EPOCH + timedelta(seconds=2),
    }
    return Turn(**{**values, **settings})


def a_memory(text: str = "Ada has a dog called Rex.", **settings: Any) -> Memory:
    """Return a memory; without *sources* it names a message that does not exist."""
    values: dict[str, Any] = {
        "id": "mem-1",
        "scope": "default",
        "kind": MemoryKind.FACT,
        "text": text,
        "sources": (Source(message_id="", quote=text),),
        "recorded_at": EPOCH,
    }
    return Memory(**{**values, **settings})


def a_line(text: str, *, minute: int = 0, **settings: Any) -> ImportLine:
    """Return an import line of conversation ``talk``."""
    values: dict[str, Any] = {
        "scope": "default",
        "thread": "talk",
        "at": EPOCH + timedelta(minutes=minute),
        "role": "user",
        "text": text,
    }
    return ImportLine(**{**values, **settings})
