"""What a request says, before anything is done about it: read, decided, and freed of the commands of its past.

Rules:
1. What goes on is the body as it came, unless commands stand in its history: then the body without them and
   without their answers, byte for byte what the client would have sent had nobody asked anything.
2. A background request is left as it is: it is neither answered here nor changed.
3. A command from where Ollama would let nobody in passes as it came, so that Ollama says so.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ltmld.core.ports import Plan
from ltmld.wake.commands import Command, newest, spoken_aside
from ltmld.wake.identity import Identity, identify
from ltmld.wake.policy import Decision, decide
from ltmld.wire.dialects import dialect_for
from ltmld.wire.encoding import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from ltmld.config import WakeSettings
    from ltmld.core.ports import RequestHead
    from ltmld.wake.fingerprint import Fingerprint
    from ltmld.wire.dialects import Dialect, Request

    _Judged = Callable[[Request, str], Decision]

# Parsing a megabyte takes 5 to 90 ms (many messages, or one image): from here on it is done beside the event loop.
ASIDE_BYTES = 256 * 1024
_CODING = frozenset({b"content-encoding"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One request, understood.

    ``request`` is the conversation without commands, ``passing`` the plan that changes nothing else, ``plain`` its
    body without a content encoding. With a ``command`` to follow now, all of them are still as they came.
    """

    dialect: Dialect
    request: Request
    identity: Identity
    decision: Decision
    passing: Plan
    plain: bytes
    coded: bool = False
    command: Command | None = None

    def plan(self, body: bytes) -> Plan:
        """Return the plan that sends *body*, which may be ``plain``."""
        if body is self.plain:
            return self.passing
        return Plan(body=body, drop_headers=_CODING if self.coded else frozenset())


async def hear(
    head: RequestHead,
    body: bytes,
    *,
    settings: WakeSettings,
    fingerprints: Sequence[Fingerprint],
    body_bytes_max: int,
    pool: Executor,
) -> Heard:
    """Read and decide; a large body in *pool*, so that the event loop goes on.

    Raises:
        WireError: the body is not understood, and passes untouched.
    """

    def judged(request: Request, mode: str) -> Decision:
        return decide(request, mode=mode, settings=settings, head=head, fingerprints=fingerprints)

    def heard() -> Heard:
        return _heard(head, body, settings=settings, body_bytes_max=body_bytes_max, judged=judged)

    # A packed body is small whatever it unpacks to.
    if len(body) <= ASIDE_BYTES and head.get(b"content-encoding") is None:
        return heard()
    return await asyncio.get_running_loop().run_in_executor(pool, heard)


def _heard(
    head: RequestHead, body: bytes, *, settings: WakeSettings, body_bytes_max: int, judged: _Judged
) -> Heard:
    dialect = dialect_for(head.method, head.path)
    assert dialect is not None  # noqa: S101 - looks_into said so
    coding = (head.get(b"content-encoding") or b"").decode("latin-1")
    plain = decoded(body, coding, body_bytes_max, takes_zstd=dialect.takes_zstd)
    request = dialect.parse(plain)
    identity = identify(head, trusted_peers=settings.trusted_peers)
    found = Heard(
        dialect=dialect,
        request=request,
        identity=identity,
        decision=judged(request, identity.mode),
        passing=Plan(body=body),
        plain=plain,
        coded=bool(coding),
    )
    if not settings.commands or not found.decision.talk:
        return found
    aside = spoken_aside(request.messages)
    if not aside:
        return found
    command = newest(request.messages)
    if command is not None:
        return replace(found, command=command)
    return _without(found, aside, judged)


def _without(found: Heard, aside: frozenset[int], judged: _Judged) -> Heard:
    """Return the request as it would have come had nobody asked anything."""
    less = found.dialect.inject(found.request, block="", base_system="", notes={}, drop=aside)
    request = found.dialect.parse(less)
    return replace(
        found,
        request=request,
        decision=judged(request, found.identity.mode),
        passing=Plan(body=less, drop_headers=_CODING if found.coded else frozenset()),
        plain=less,
        coded=found.coded,
    )
