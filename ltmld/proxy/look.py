"""A request that is looked into: its body is read, the attendant asked, and what it plans is sent.

Rules:
1. The body is read up to ``bytes_max``; beyond it the request passes unread, with what was read in front.
2. A body that the attendant hands back untouched goes on in its original framing, chunk by chunk.
"""

from __future__ import annotations

from ltmld.core.ports import Attendant, Plan
from ltmld.proxy.chunks import frame
from ltmld.proxy.head import Framing, Request

EXPECT = frozenset({b"expect"})
"""Answered here, where the body is read here: Ollama gets the body at once."""


class Look:
    """The body of one request on its way to the attendant."""

    __slots__ = ("_attendant", "_bytes_max", "_request", "_size", "payloads")

    def __init__(self, request: Request, attendant: Attendant, *, bytes_max: int) -> None:
        self.payloads: list[bytes] = []
        self._request = request
        self._attendant = attendant
        self._bytes_max = bytes_max
        self._size = 0

    def add(self, payloads: list[bytes]) -> bool:
        """Take a part of the body; return whether it is still small enough to be looked into."""
        self.payloads += payloads
        self._size += sum(map(len, payloads))
        return self._size <= self._bytes_max

    async def attend(self, *, end: bytes) -> tuple[Plan, bytes]:
        """Return the plan and the whole request to send; *end* ends a chunked body."""
        body = self.payloads[0] if len(self.payloads) == 1 else b"".join(self.payloads)
        plan = await self._attendant.attend(self._request.head, body)
        if plan.body is body:
            return plan, self.untouched(end=end, drop=plan.drop_headers)
        drop = plan.drop_headers | EXPECT if self._request.expects_continue else plan.drop_headers
        return plan, self._request.forward(drop=drop, length=len(plan.body)) + plan.body

    def untouched(self, *, end: bytes, drop: frozenset[bytes] = frozenset()) -> bytes:
        """Return the whole request as it came, without the headers that end here."""
        head = self._request.forward(drop=drop | EXPECT if self._request.expects_continue else drop)
        if self._request.framing is Framing.CHUNKED:
            return b"".join([head, *map(frame, self.payloads), end])
        return b"".join([head, *self.payloads])
