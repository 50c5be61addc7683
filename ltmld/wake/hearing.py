"""What a request says, before anything is done about it: read, decided, and freed of the commands of its past.

Rules:
1. What goes on is the body as it came, unless commands stand in its history: then the body without them and
   without their answers, byte for byte what the client would have sent had nobody asked anything.
2. A background request is left as it is: it is neither answered here nor changed.
3. A command from where Ollama would let nobody in passes as it came, so that Ollama says so.
4. A body is read only where its cost is bounded: bytes, JSON values, messages and time have limits, and what is
   above one passes as it came. Many values are read beside the event loop, however few bytes they take.
5. What a web page sends is not even read unless Ollama would take it: Ollama's own origins, and ``wake.origins``.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from ltmld.core.origins import added_origin, allowed_origin
from ltmld.core.ports import Plan
from ltmld.errors import WireError, WireLimitError
from ltmld.wake.commands import Command, newest, spoken_aside
from ltmld.wake.identity import Identity, identify
from ltmld.wake.policy import Decision, decide
from ltmld.wire.dialects import dialect_for
from ltmld.wire.encoding import decoded
from ltmld.wire.weight import check_values, marks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ltmld.config import WakeSettings
    from ltmld.core.ports import RequestHead
    from ltmld.wake.fingerprint import Fingerprint
    from ltmld.wire.dialects import Dialect, Request

    _Judged = Callable[[Request, str], Decision]

_T = TypeVar("_T")
log = structlog.get_logger(__name__)

ASIDE_BYTES = 256 * 1024
"""Longest body that is read on the event loop: one text of this length takes about a millisecond."""

ASIDE_VALUES = 2000
"""Most values that it may hold: some 600 messages, which take a few milliseconds."""

# Two, so that one long body does not keep all others waiting; more would only share the interpreter.
_THREADS = 2
# What a body may unpack to whatever its own length, and how many times that length: talk packs to a third or less,
# sources sent again and again to a fiftieth.
_UNPACKED_BYTES_MIN = 1 << 20
_UNPACKED_RATIO_MAX = 100
_STRANGERS_MAX, _ORIGIN_CHARS_MAX = 64, 200
_CODING = frozenset({b"content-encoding"})


@dataclass(slots=True)
class HearingStats:
    """What was not read, counted since the start."""

    too_costly: int = 0
    look_timeouts: int = 0


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


class Hearing:
    """Reads requests; what costs more than a moment beside the event loop, in threads that nothing else needs."""

    def __init__(self, settings: WakeSettings, *, body_bytes_max: int) -> None:
        self.stats = HearingStats()
        self._settings = settings
        self._body_bytes_max = body_bytes_max
        self._pool = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="hearing")
        self._strangers: set[str] = set()

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def admits(self, head: RequestHead) -> bool:
        """Tell whether a request is of a dialect, and of no web page that Ollama would turn away (rule 5)."""
        if dialect_for(head.method, head.path) is None:
            return False
        sent = head.get(b"origin")
        if not sent:
            return True
        origin, host = sent.decode("latin-1"), (head.get(b"host") or b"").decode("latin-1")
        if allowed_origin(origin, host) or added_origin(origin, self._settings.origins):
            return True
        if origin not in self._strangers and len(self._strangers) < _STRANGERS_MAX:
            self._strangers.add(origin)
            log.warning("origin.not_looked_into", origin=origin[:_ORIGIN_CHARS_MAX], setting="wake.origins")
        return False

    async def hear(self, head: RequestHead, body: bytes, *, fingerprints: Sequence[Fingerprint]) -> Heard:
        """Read and decide.

        Raises:
            WireError: the body is not understood, costs too much or takes too long, and passes untouched.
        """
        heard = partial(self._heard, head, body, fingerprints)
        try:
            # A packed body is small whatever it unpacks to.
            if head.get(b"content-encoding") is None and not _is_long(body):
                return heard()
            async with asyncio.timeout(self._settings.look_deadline_ms / 1000):
                return await self._aside(heard)
        except WireLimitError:
            self.stats.too_costly += 1
            raise
        except TimeoutError:
            self.stats.look_timeouts += 1
            raise WireError("reading the body takes too long; it passes untouched") from None

    async def written(self, request: Request, write: Callable[[], bytes]) -> bytes:
        """Return what *write* makes of a request, beside the event loop where that takes more than a moment."""
        return await self._aside(write) if _is_long(request.body) else write()

    async def _aside(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _heard(self, head: RequestHead, body: bytes, fingerprints: Sequence[Fingerprint]) -> Heard:
        settings = self._settings
        dialect = dialect_for(head.method, head.path)
        assert dialect is not None  # noqa: S101 - admits said so
        coding = (head.get(b"content-encoding") or b"").decode("latin-1")
        plain = decoded(body, coding, self._unpacked_bytes_max(body), takes_zstd=dialect.takes_zstd)
        check_values(plain, settings.look_values_max)

        def judged(request: Request, mode: str) -> Decision:
            return decide(request, mode=mode, settings=settings, head=head, fingerprints=fingerprints)

        request = dialect.parse(plain, messages_max=settings.look_messages_max)
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
        return _freed(found, judged) if settings.commands and found.decision.talk else found

    def _unpacked_bytes_max(self, body: bytes) -> int:
        return min(self._body_bytes_max, max(_UNPACKED_BYTES_MIN, _UNPACKED_RATIO_MAX * len(body)))


def _is_long(body: bytes) -> bool:
    """Tell whether reading a body takes more than a moment: by its length, and by what it may hold."""
    return len(body) > ASIDE_BYTES or marks(body) > ASIDE_VALUES


def _freed(found: Heard, judged: _Judged) -> Heard:
    """Return the request with the command to follow now, or without those of its past."""
    aside = spoken_aside(found.request.messages)
    if not aside:
        return found
    command = newest(found.request.messages)
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
