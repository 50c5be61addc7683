"""An injection: the exact text put into one request, and the ids behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class InjectionKind(StrEnum):
    """Where the text stands: once in the system text, or before one user message."""

    WAKE_BLOCK = "wake_block"
    RECALL_NOTE = "recall_note"


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedItem:
    """One memory or message inside an injection, and why it was chosen."""

    id: str
    kind: str
    text: str
    score: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """Text that is replayed byte for byte wherever it once stood.

    ``chain`` is the chain hash of the message it belongs to: the thread's first message for a wake
    block, the user message for a recall note. A branch that shares that message shares its injection.
    ``model`` is whose prompt it was written for, ``base_system`` that model's own SYSTEM where the client
    sent none: a replay needs both, and must not depend on what the model's author says today.
    """

    id: str
    kind: InjectionKind
    thread_id: str
    chain: str
    text: str
    tokens: int
    created_at: datetime
    model: str = ""
    base_system: str = ""
    items: tuple[InjectedItem, ...] = ()
