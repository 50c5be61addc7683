"""Wake without a memory behind it: while memory is being opened, or when its ledger cannot be used.

Everything passes, and a command is answered with the reason: a person who asks memory never gets the model.

Rules:
1. Nothing is recorded, recalled or changed, but that commands are no part of a conversation here either.
2. No pools, no ledger: this is there before anything heavy is imported.
"""

# ruff: noqa: ARG002 - an excuse looks at nothing it was given

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import structlog

from ltmld.core.account import Account
from ltmld.core.ports import Plan
from ltmld.errors import LedgerError, WireError
from ltmld.wake.clerk import Clerk, Doorway
from ltmld.wake.fingerprints import shipped
from ltmld.wake.hearing import Hearing
from ltmld.wire.dialects import error_body

if TYPE_CHECKING:
    from ltmld.config import WakeSettings
    from ltmld.core.clock import Clock
    from ltmld.core.ports import RequestHead

log = structlog.get_logger(__name__)

WAKING = "memory is still waking up; nothing was done. Ask again in a few seconds."


class WaitingAttendant:
    """Implements ``ltmld.core.ports.Attendant`` for as long as there is no memory."""

    def __init__(
        self, reason: str, *, settings: WakeSettings, body_bytes_max: int, doorway: Doorway, clock: Clock
    ) -> None:
        self._settings = settings
        self._hearing = Hearing(settings, body_bytes_max=body_bytes_max)
        self._clerk = Clerk(
            _Excused(reason),
            doorway=doorway,
            deadline_s=settings.command_deadline_ms / 1000,
            clock=clock,
        )

    def close(self) -> None:
        """Let the threads go."""
        self._clerk.close()
        self._hearing.close()

    def looks_into(self, head: RequestHead) -> bool:
        """Tell whether a command may stand in the request."""
        if not self._settings.commands or not self._hearing.admits(head):
            return False
        return (head.get(b"x-ltmld-memory") or b"").strip().lower() != b"off"

    def unavailable(self, head: RequestHead, message: str) -> bytes:
        """Return the body of a 502 in the shape of the request's dialect."""
        return error_body(head.path, f"ltmld: {message}")

    async def attend(self, head: RequestHead, body: bytes) -> Plan:
        """Answer a command; pass everything else."""
        try:
            heard = await self._hearing.hear(head, body, fingerprints=shipped())
        except WireError as error:
            log.debug("request.not_understood", path=head.path, error=str(error))
            return Plan(body=body)
        if heard.command is None or not self._clerk.may_answer(head):
            return heard.passing
        text = await self._clerk.done(heard.command, heard.identity.scope, _no_account)
        return Plan(body=body, answer=self._clerk.said(head, heard.request, text))


class _Excused:
    """Implements ``ltmld.core.ports.Commands`` by saying why nothing can be done."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def _excuse(self) -> NoReturn:
        raise LedgerError(self._reason)

    def status(self, scope: str) -> str:
        """Say why."""
        self._excuse()

    def why(self, scope: str, account: Account) -> str:
        """Say why."""
        self._excuse()

    def sleep(self, scope: str) -> str:
        """Say why."""
        self._excuse()

    def remember(self, scope: str, text: str) -> str:
        """Say why."""
        self._excuse()

    def forget(self, scope: str, text: str) -> str:
        """Say why."""
        self._excuse()

    def pause(self, scope: str) -> str:
        """Say why."""
        self._excuse()

    def resume(self, scope: str) -> str:
        """Say why."""
        self._excuse()


def _no_account() -> Account:
    return Account(answered=False)
