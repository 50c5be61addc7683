"""The control of a daemon whose ledger cannot be used: it says why, and everything still passes through."""

# ruff: noqa: ARG002 - a refusal looks at nothing it was given

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NoReturn

from ltmld import __version__
from ltmld.core.ports import JsonObject, SleepRequest
from ltmld.errors import LedgerError


class AbsentControl:
    """Implements ``ltmld.core.ports.Control`` without a memory behind it."""

    def __init__(self, reason: str, *, started_at: datetime, proxy_stats: Callable[[], JsonObject]) -> None:
        self._reason = reason
        self._started_at = started_at
        self._proxy_stats = proxy_stats

    def status(self) -> JsonObject:
        """Say that requests pass and nothing is remembered, and why."""
        return {
            "version": __version__,
            "started_at": self._started_at.isoformat(),
            "memory": "off",
            "error": self._reason,
            "proxy": self._proxy_stats(),
        }

    def _refuse(self) -> NoReturn:
        raise LedgerError(self._reason)

    def import_lines(self, lines: Iterator[bytes]) -> JsonObject:
        """Refuse."""
        self._refuse()

    def recall(self, body: JsonObject) -> JsonObject:
        """Refuse."""
        self._refuse()

    def memories(self, query: JsonObject) -> JsonObject:
        """Refuse."""
        self._refuse()

    def memory(self, memory_id: str) -> JsonObject:
        """Refuse."""
        self._refuse()

    def memory_history(self, memory_id: str) -> JsonObject:
        """Refuse."""
        self._refuse()

    def remember(self, body: JsonObject) -> JsonObject:
        """Refuse."""
        self._refuse()

    def edit(self, memory_id: str, body: JsonObject) -> JsonObject:
        """Refuse."""
        self._refuse()

    def forget(self, memory_id: str, *, hard: bool = False) -> JsonObject:
        """Refuse."""
        self._refuse()

    def start_sleep(self, request: SleepRequest) -> JsonObject:
        """Refuse."""
        self._refuse()

    def sleeps(self) -> JsonObject:
        """Refuse."""
        self._refuse()

    def sleep(self, cycle_id: str) -> JsonObject:
        """Refuse."""
        self._refuse()

    def threads(self, query: JsonObject) -> JsonObject:
        """Refuse."""
        self._refuse()

    def exchange(self, exchange_id: str) -> JsonObject:
        """Refuse."""
        self._refuse()

    def reindex(self, embedder: str = "") -> JsonObject:
        """Refuse."""
        self._refuse()

    def pause(self, scope: str) -> JsonObject:
        """Refuse."""
        self._refuse()

    def resume(self, scope: str) -> JsonObject:
        """Refuse."""
        self._refuse()
