"""Commands of a chat that do as the test tells them, and tell what they were asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from ltmld.core.account import Account

PATIENCE_S = 10.0


@dataclass(slots=True, kw_only=True)
class ObedientCommands:
    """Notes each call, waits for the test where it is to, then answers with the call or raises *error*."""

    error: Exception | None = None
    may_answer: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)

    def status(self, scope: str) -> str:
        """Answer."""
        return self._answer("status", scope)

    def why(self, scope: str, account: Account) -> str:
        """Note the account, and answer."""
        self.accounts.append(account)
        return self._answer("why", scope)

    def sleep(self, scope: str) -> str:
        """Answer."""
        return self._answer("sleep", scope)

    def remember(self, scope: str, text: str) -> str:
        """Answer."""
        return self._answer("remember", scope, text)

    def forget(self, scope: str, text: str) -> str:
        """Answer."""
        return self._answer("forget", scope, text)

    def pause(self, scope: str) -> str:
        """Answer."""
        return self._answer("pause", scope)

    def resume(self, scope: str) -> str:
        """Answer."""
        return self._answer("resume", scope)

    def _answer(self, *call: str) -> str:
        self.asked.append(call)
        assert self.may_answer.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        return " ".join(call)
