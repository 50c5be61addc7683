"""Attendants for the data plane's tests: real ones, small, and obedient to the test."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ltmld.core.ports import OwnReply, Plan, RequestHead
from ltmld.wire.ollama.chat import OllamaChat


@dataclass(slots=True, kw_only=True)
class HoldingRecording:
    """A recording that holds everything from *terminator* on until the test lets it commit."""

    terminator: bytes = b'"done":true'
    may_commit: asyncio.Event = field(default_factory=asyncio.Event)
    committing: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    seen: bytes = b""
    begun: tuple[int, str] | None = None
    commits: int = 0
    closes: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    _passed: int = 0

    def begin(self, *, status: int, content_type: str) -> None:
        """Take note of the head."""
        self.begun = (status, content_type)
        self.order.append("begin")

    def feed(self, data: bytes) -> int:
        """Let everything pass up to the line that holds the terminator."""
        self.order.append("feed")
        self.seen += data
        at = self.seen.find(self.terminator)
        may = len(self.seen) if at < 0 else self.seen.rfind(b"\n", 0, at) + 1
        count, self._passed = max(may, self._passed) - self._passed, max(may, self._passed)
        return count

    @property
    def complete(self) -> bool:
        """Whether the terminator was seen."""
        return self.terminator in self.seen

    def body_ended(self) -> None:
        """Take no note: what the tests ask for is the close that follows."""

    async def commit(self) -> None:
        """Wait for the test."""
        self.commits += 1
        self.order.append("commit")
        self.committing.set()
        await self.may_commit.wait()
        self.order.append("committed")

    async def close(self, *, error: str = "") -> None:
        """Take note of the ending."""
        self.order.append("close")
        self.closes.append(error)
        self.ended.set()


@dataclass(slots=True, kw_only=True)
class BrokenRecording(HoldingRecording):
    """A recording that breaks its port's promise in *breaks*: ``commit`` or ``close``."""

    breaks: str

    async def commit(self) -> None:
        """Break, or commit at once."""
        self.commits += 1
        if self.breaks == "commit":
            raise OverflowError("int too large")

    async def close(self, *, error: str = "") -> None:
        """Take note of the ending, and perhaps break."""
        await HoldingRecording.close(self, error=error)
        if self.breaks == "close":
            raise OverflowError("int too large")


@dataclass(slots=True, kw_only=True)
class BrokenAttendant:
    """Looks into everything, and breaks over all of it."""

    bodies: list[bytes] = field(default_factory=list)

    def looks_into(self, head: RequestHead) -> bool:  # noqa: ARG002 - every head
        """Look into everything."""
        return True

    async def attend(self, head: RequestHead, body: bytes) -> Plan:  # noqa: ARG002 - whatever it says
        """Break."""
        self.bodies.append(body)
        raise RecursionError("too deep")

    def unavailable(self, head: RequestHead, message: str) -> bytes:  # noqa: ARG002 - never asked
        """Answer something."""
        return b"{}"


@dataclass(slots=True, kw_only=True)
class ObedientAttendant:
    """Looks into POST /api/chat, puts *inject* in the body's place, and records with *recording*."""

    recording: HoldingRecording | None = None
    inject: bytes | None = None
    answer: OwnReply | None = None
    drop_headers: frozenset[bytes] = frozenset()
    may_attend: asyncio.Event = field(default_factory=asyncio.Event)
    attending: asyncio.Event = field(default_factory=asyncio.Event)
    heads: list[RequestHead] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def looks_into(self, head: RequestHead) -> bool:
        """Look into one route."""
        return head.method == "POST" and head.path == "/api/chat"

    async def attend(self, head: RequestHead, body: bytes) -> Plan:
        """Wait for the test, then do as told."""
        self.heads.append(head)
        self.bodies.append(body)
        self.attending.set()
        await self.may_attend.wait()
        new_body = body if self.inject is None else self.inject
        return Plan(
            body=new_body, recording=self.recording, drop_headers=self.drop_headers, answer=self.answer
        )

    def unavailable(self, head: RequestHead, message: str) -> bytes:
        """Answer in a shape of its own."""
        self.heads.append(head)
        self.messages.append(message)
        return b'{"mine":true}'


class WatchingRecording:
    """A recording that watches an answer of Ollama's chat as the real one does, and writes nothing."""

    def __init__(self, *, bytes_max: int) -> None:
        self._capture = OllamaChat().capture(bytes_max=bytes_max)

    def begin(self, *, status: int, content_type: str) -> None:
        """Learn the form."""
        self._capture.begin(status=status, content_type=content_type)

    def feed(self, data: bytes) -> int:
        """Return how much may pass."""
        return self._capture.feed(data)

    @property
    def complete(self) -> bool:
        """Whether the terminator was seen."""
        return self._capture.complete

    def body_ended(self) -> None:
        """Nothing to do."""

    async def commit(self) -> None:
        """Nothing to write."""

    async def close(self, *, error: str = "") -> None:
        """Nothing to write."""


class WatchingAttendant:
    """Looks into POST /api/chat and watches the answer with a limit."""

    def __init__(self, *, bytes_max: int) -> None:
        self._bytes_max = bytes_max

    def looks_into(self, head: RequestHead) -> bool:
        """Look into one route."""
        return head.method == "POST" and head.path == "/api/chat"

    async def attend(self, head: RequestHead, body: bytes) -> Plan:  # noqa: ARG002 - whatever it says
        """Watch."""
        return Plan(body=body, recording=WatchingRecording(bytes_max=self._bytes_max))

    def unavailable(self, head: RequestHead, message: str) -> bytes:  # noqa: ARG002 - never asked
        """Answer something."""
        return b"{}"
