"""Answers the commands of chats: whose may be answered, how long it may take, and what is said.

Rules:
1. A command is answered only where Ollama would have let the request in: nobody else would guard memory here.
2. Doing has threads of its own and a deadline; of what is not done by then the person is told that nobody knows yet.
3. Whatever goes wrong is said in a sentence: a command never ends in an error of the client, and never in Ollama.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from ltmld.core.origins import may_answer, same_origin
from ltmld.errors import LtmldError
from ltmld.wake.commands import HELP, Command, Verb
from ltmld.wire.own_reply import own_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltmld.core.account import Account
    from ltmld.core.clock import Clock
    from ltmld.core.ports import Commands, OwnReply, RequestHead
    from ltmld.wire.request import Request

log = structlog.get_logger(__name__)

OPEN_MAX = 16
"""Most commands that are being done or wait; a person types one at a time."""
_THREADS = 2

BUSY = "ltmld: too many commands at once; nothing was done. Ask again in a moment."
FAILED = "ltmld: this went wrong, and is a fault in ltmld; its log says more. Nothing was sent to the model."


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorway:
    """What is known about where ltmld stands: decides whose commands it may answer."""

    hostname: str
    on_loopback: bool


class Clerk:
    """Answers commands, one for each request."""

    def __init__(self, commands: Commands, *, doorway: Doorway, deadline_s: float, clock: Clock) -> None:
        self._commands, self._doorway = commands, doorway
        self._deadline_s, self._clock = deadline_s, clock
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="command")
        self._open = 0

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def may_answer(self, head: RequestHead) -> bool:
        """Tell whether Ollama would have let this request in."""
        return may_answer(
            origin=_text(head, b"origin"),
            host=_text(head, b"host"),
            fetch_site=_text(head, b"sec-fetch-site").lower(),
            hostname=self._doorway.hostname,
            on_loopback=self._doorway.on_loopback,
        )

    def said(self, head: RequestHead, request: Request, text: str) -> OwnReply:
        """Return *text* as the answer to a request."""
        origin = _text(head, b"origin")
        crossing = bool(origin) and not same_origin(origin, _text(head, b"host"))
        return own_reply(request, text, at=self._clock(), origin=origin if crossing else "")

    async def done(self, command: Command, scope: str, account: Callable[[], Account]) -> str:
        """Do what a command says, and return what there is to say about it."""
        if command.verb is Verb.HELP:
            return f"{command.remark}\n\n{HELP}" if command.remark else HELP
        if self._open >= OPEN_MAX:
            return BUSY
        self._open += 1
        work = partial(self._do, command, scope, account)
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(self._closed)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.shield(future)
        except TimeoutError:
            log.warning("command.late", verb=command.verb.value, waited_s=self._deadline_s)
            return _late(command.verb, self._deadline_s)
        except LtmldError as error:
            return f"ltmld: {error}"

    def _do(self, command: Command, scope: str, account: Callable[[], Account]) -> str:
        told = self._commands
        work: dict[Verb, Callable[[], str]] = {
            Verb.STATUS: lambda: told.status(scope),
            Verb.WHY: lambda: told.why(scope, account()),
            Verb.SLEEP: lambda: told.sleep(scope),
            Verb.REMEMBER: lambda: told.remember(scope, command.text),
            Verb.FORGET: lambda: told.forget(scope, command.text),
            Verb.OFF: lambda: told.pause(scope),
            Verb.ON: lambda: told.resume(scope),
        }
        return work[command.verb]()

    def _closed(self, future: asyncio.Future[str]) -> None:
        self._open -= 1
        # Its error has been told, or nobody waits for it any more.
        if not future.cancelled():
            future.exception()


def _late(verb: Verb, waited_s: float) -> str:
    told = f"ltmld: `/ltm {verb}` has not ended within {waited_s:g} seconds"
    if verb in (Verb.STATUS, Verb.WHY):
        return f"{told}. Memory is busy; ask again in a while."
    told = f"{told}. It may still be done, or fail: `/ltm status` shows what became of it."
    # Whoever switches memory off has something to say that is not to be remembered.
    return f"{told} **Until then memory is on, and what is said is recorded.**" if verb is Verb.OFF else told


def _text(head: RequestHead, name: bytes) -> str:
    return (head.get(name) or b"").decode("latin-1").strip()
