"""A dialogue as a test writes it: what a client sends, what comes back, and what the ledger then holds.

``Talk`` stands between the test and a real attendant on a real ledger; there is no Ollama behind it, the test
says what the model answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ltmld.config import WakeSettings
from ltmld.core.exchange import StoredMessage
from ltmld.core.ports import Plan, RequestHead
from ltmld.ledger import Ledger
from ltmld.models.cards import ModelCards
from ltmld.wake.attendant import WakeAttendant
from tests.support import tongues
from tests.support.ledgers import CountedIds, MovedClock, a_ledger
from tests.support.tongues import CHAT, Said
from tests.wake.test_injector import Shelf

# Nothing listens there: no model is known, so nothing is injected and everything is recorded.
NO_OLLAMA = "http://127.0.0.1:9"


def said(*words: str | Said) -> list[Said]:
    """Return messages of user and assistant in turns; a message that is written out keeps its role."""
    roles, made, turn = ("user", "assistant"), [], 0
    for one in words:
        made.append(one if isinstance(one, dict) else {"role": roles[turn % 2], "text": one})
        turn = 1 if made[-1]["role"] in ("user", "tool") else 0
    return made


def system(text: str) -> Said:
    """Return a system message."""
    return {"role": "system", "text": text}


class Asked:
    """One request on its way: answer it, break it off, or let it fail."""

    def __init__(self, plan: Plan, path: str) -> None:
        self.plan, self.path = plan, path

    async def gets(self, text: str = "", *, calls: Sequence[Said] = (), context: Sequence[int] = ()) -> None:
        """Let the answer come whole."""
        end = tongues.end(self.path, text, calls=calls, context=context)
        await self._comes([*tongues.pieces(self.path, text, calls=calls), *end], ended=True)

    async def breaks(self, text: str = "", *, error: str = "") -> None:
        """Let the answer break off: the client left, or with an *error* Ollama did."""
        await self._comes(tongues.pieces(self.path, text), error=error)

    async def fails(self, text: str = "") -> None:
        """Let Ollama fail in mid-stream."""
        await self._comes([*tongues.pieces(self.path, text), *tongues.failing(self.path)], ended=True)

    async def refused(self, status: int, body: bytes = b'{"error":"no"}') -> None:
        """Let Ollama answer with an error."""
        await self._comes([body], status=status, media="application/json", ended=True)

    async def _comes(
        self,
        parts: Sequence[bytes],
        *,
        error: str = "",
        status: int = 200,
        media: str = "",
        ended: bool = False,
    ) -> None:
        recording = self.plan.recording
        if recording is None:
            return
        recording.begin(status=status, content_type=media or tongues.MEDIA[self.path])
        for part in parts:
            recording.feed(part)
            if recording.complete:
                await recording.commit()
        if ended:
            recording.body_ended()
        await recording.close(error=error)


class Talk:
    """Clients, an attendant and a ledger."""

    def __init__(self, folder: Path, *, path: str = CHAT) -> None:
        self.folder, self.path = folder, path
        self.clock, self.ids = MovedClock(), CountedIds()
        self._open()

    def _open(self) -> None:
        self.ledger: Ledger = a_ledger(self.folder, clock=self.clock, new_id=self.ids)
        self.attendant = WakeAttendant(
            ledger=self.ledger,
            recall=Shelf(),
            cards=ModelCards(NO_OLLAMA, timeout_s=5),
            settings=WakeSettings(),
            body_bytes_max=10_000_000,
            clock=self.clock,
            new_id=self.ids,
        )

    async def close(self) -> None:
        """Stop."""
        await self.attendant.close()
        self.ledger.close()

    async def restart(self) -> None:
        """Stop, and begin anew on the same folder."""
        await self.close()
        self._open()

    async def asks(
        self, *words: str | Said, path: str = "", body: Said | None = None, model: str = "m", **headers: str
    ) -> Asked:
        """Send a history that ends with what is new; *headers* that begin with x are spelled with underscores."""
        route = path or self.path
        sent = tongues.request(route, said(*words), model=model, **(body or {}))
        named = tuple(
            ((name.replace("_", "-") if name.startswith("x_") else name).encode(), text.encode())
            for name, text in headers.items()
        )
        head = RequestHead(method="POST", target=route, headers=named, peer="127.0.0.1")
        self.clock.move(seconds=1)
        if not self.attendant.looks_into(head):
            return Asked(Plan(body=sent), route)
        return Asked(await self.attendant.attend(head, sent), route)

    async def turn(self, *words: str | Said, gets: str, **more: Any) -> None:
        """Send a history, and let the answer come whole."""
        asked = await self.asks(*words, **more)
        await asked.gets(gets)

    async def converse(self, *words: str, window: int = 0, **more: Any) -> None:
        """Talk from the first message to the last, resending all of it, or the last *window* messages."""
        for place in range(1, len(words), 2):
            history = words[:place]
            await self.turn(*history[-window:] if window else history, gets=words[place], **more)

    def threads(self, *, scope: str = "") -> list[list[str]]:
        """Return the conversations that the ledger holds, each as what counts of it, in order of their beginning."""
        found, _ = self.ledger.threads(scope=scope, limit=200)
        begun = sorted(found, key=lambda thread: (thread["started_at"], thread["id"]))
        return [[message.text for message in self.ledger.thread_messages(thread["id"])] for thread in begun]

    def everything(self) -> list[str]:
        """Return every message that was ever recorded, whether it counts or not, each as often as it lies there."""
        with self.ledger._readers.snapshot() as connection:
            rows = connection.execute("SELECT role, text FROM messages ORDER BY rowid").fetchall()
        return [f"{row['role']}: {row['text']}" for row in rows]

    def outcomes(self) -> list[str]:
        """Return how the exchanges ended, in order."""
        with self.ledger._readers.snapshot() as connection:
            return [
                row["outcome"] for row in connection.execute("SELECT outcome FROM exchanges ORDER BY rowid")
            ]

    def errors(self) -> list[str]:
        """Return what the exchanges say went wrong, in order."""
        with self.ledger._readers.snapshot() as connection:
            return [row["error"] for row in connection.execute("SELECT error FROM exchanges ORDER BY rowid")]

    def stored(self) -> list[StoredMessage]:
        """Return every message that was ever recorded, whether it counts or not."""
        with self.ledger._readers.snapshot() as connection:
            ids = [row["id"] for row in connection.execute("SELECT id FROM messages ORDER BY rowid")]
        return self.ledger.messages(ids)
