"""The tap: a looked-into answer flows past its recording, which holds the terminator until it is written.

Rules:
1. Payloads leave in the order in which they came, none twice, none lost, whatever the recording says.
2. What the recording holds back goes on when ``commit`` has returned, or when the body has ended without it.
3. ``close`` is called exactly once, after the last ``feed`` and after any ``commit``.
"""

from __future__ import annotations

from collections import deque

from ltmld.core.ports import Recording


class Tap:
    """The payloads of one answer between Ollama and the client."""

    __slots__ = ("_closed", "_held", "_released", "held_bytes", "recording")

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.held_bytes = 0
        self._held: deque[bytes] = deque()
        self._released = False
        self._closed = False

    def offer(self, payload: bytes) -> list[bytes]:
        """Return what may go on now that *payload* has come."""
        if self._released:
            return [payload]
        self._held.append(payload)
        self.held_bytes += len(payload)
        if self.due:  # the terminator has gone by: what follows it waits behind it, unwatched
            return []
        return self._take(self.recording.feed(payload))

    @property
    def due(self) -> bool:
        """Whether the terminator is held, and the exchange is to be committed."""
        return not self._released and self.recording.complete

    def release(self) -> list[bytes]:
        """Return everything held; from now on everything passes."""
        self._released = True
        return self._take(self.held_bytes)

    async def commit(self) -> None:
        """Have the exchange written."""
        await self.recording.commit()

    async def close(self, *, error: str) -> None:
        """Tell the recording that the answer is over."""
        if not self._closed:
            self._closed = True
            await self.recording.close(error=error)

    def _take(self, count: int) -> list[bytes]:
        taken = []
        while count > 0 and self._held:
            payload = self._held.popleft()
            if len(payload) > count:
                self._held.appendleft(payload[count:])
                payload = payload[:count]
            count -= len(payload)
            self.held_bytes -= len(payload)
            taken.append(payload)
        return taken
