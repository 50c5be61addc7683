"""The promise: however conversations interleave, each turn is recorded once, in its thread, and the last shown counts.

Clients talk, ask again, edit, go back to what they had, break off, ask two models, send windows, with names and
without, for two people, several requests in flight; a tree of what each of them said stands beside the ledger.
``LONG_DIALOGUES=500`` plays so many of them instead of a few (``make test-dialogues``).
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ltmld.core.exchange import StoredMessage
from tests.support.dialogues import Asked, Talk

EXAMPLES = int(os.environ.get("LONG_DIALOGUES", "20"))
STEPS, CLIENTS_MAX, HALF, SELDOM = 60, 5, 0.5, 0.1
WORDS = ["yes", "tell me more", "my dog is Rex", "why?"]
ANSWERS = ["Well.", "I see.", "Because of the dog.", "No."]

Node = tuple[tuple[str, str], ...]
"""A message by all that leads to it: roles and words from the first one on."""


@dataclass(slots=True, kw_only=True)
class Client:
    """One conversation as its client has it."""

    number: int
    scope: str
    key: str
    window: int
    shown: Node = ()
    seen: list[Node] = field(default_factory=list)
    nodes: set[Node] = field(default_factory=set)
    partial: set[Node] = field(default_factory=set)
    last: tuple[int, Node] = (-1, ())
    turns: int = 0

    def says(self, words: str) -> Node:
        """Return what the client shows with new words of its person."""
        self.turns += 1
        # Words that everybody says tell nothing: what only they could tell apart has a number.
        plain = self.key and not self.window and self.shown
        return (*self.shown, ("user", words if plain else f"{words} {self.turns} of {self.number}"))

    @property
    def headers(self) -> dict[str, Any]:
        """The headers of its requests."""
        named = {"x_ltmld_thread": self.key} if self.key else {}
        return {"x_ltmld_scope": self.scope, **named}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """One request on its way."""

    client: Client
    path: Node
    asked: Asked
    number: int


class Dialogues:
    """Any clients, in any order: what comes next is chance's."""

    def __init__(self, folder: Path, chance: Random) -> None:
        self.talk, self.chance = Talk(folder), chance
        self.clients: list[Client] = []
        self.flights: list[Flight] = []
        self.asked = 0

    async def play(self, steps: int) -> None:
        """Take so many steps, and look at the ledger after each."""
        ways = [self.begin, self.go_on, self.go_on, self.ask_again, self.edit, self.go_back, self.restart]
        for _ in range(steps):
            # Half of the time an answer comes, so that a few are on their way at any time.
            way = self.come if self.flights and self.chance.random() < HALF else self.chance.choice(ways)
            await way()
            self.everything_lies_where_it_was_said()
        await self.talk.close()

    async def ask(self, client: Client, path: Node) -> None:
        """Send what a client shows."""
        sent = path[-client.window :] if client.window else path
        said = [{"role": role, "text": text} for role, text in sent]
        client.shown = path
        self.asked += 1
        asked = await self.talk.asks(*said, **client.headers)
        self.flights.append(Flight(client=client, path=path, asked=asked, number=self.asked))

    async def begin(self) -> None:
        """Begin a conversation."""
        number = len(self.clients)
        if number < CLIENTS_MAX:
            key = f"chat-{number}" if self.chance.random() < HALF else ""
            scope, window = self.chance.choice(["ada", "bo"]), self.chance.choice([0, 0, 3, 5])
            client = Client(number=number, scope=scope, key=key, window=window)
            self.clients.append(client)
            await self.ask(client, client.says(self.chance.choice(WORDS)))

    async def go_on(self) -> None:
        """Say the next thing; a client with an open request waits for it."""
        for client in self.idle():
            await self.ask(client, client.says(self.chance.choice(WORDS)))

    async def ask_again(self) -> None:
        """Regenerate the last answer, retry what broke off, or ask a second model at once."""
        for client in self.chance.sample(self.clients, min(1, len(self.clients))):
            path = client.shown
            while path and path[-1][0] != "user":
                path = path[:-1]
            await self.ask(client, path)

    async def edit(self) -> None:
        """Change something that was said, but not the first thing: then it is another conversation."""
        for client in self.idle():
            # A client that sends a window edits what it still sends, with something known before it.
            reach = max(1, len(client.shown) - client.window + 2) if client.window else 1
            places = [
                at
                for at, (role, _) in enumerate(client.shown)
                if role == "user" and at >= reach and client.shown[at - 1][0] == "assistant"
            ]
            if places:
                client.shown = client.shown[: self.chance.choice(places)]
                await self.ask(client, client.says(self.chance.choice(WORDS)))

    async def go_back(self) -> None:
        """Go on from an answer that was shown before."""
        for client in self.idle():
            if client.seen and not client.window:
                client.shown = self.chance.choice(client.seen)
                await self.ask(client, client.says(self.chance.choice(WORDS)))

    async def come(self) -> None:
        """Let an answer come, whole or not."""
        flight = self.flights.pop(self.chance.randrange(len(self.flights)))
        answer = self.chance.choice(ANSWERS)
        ending = self.chance.choice(["whole", "whole", "whole", "partial", "none", "died"])
        text = {"whole": answer, "partial": answer[:3], "none": "", "died": answer[:4]}[ending]
        if flight.client.window:
            # A window without a name is found by an answer and what it answered: there has to be an answer.
            text = f"{text} {self.asked}"
        if ending == "whole":
            await flight.asked.gets(text)
        else:
            await flight.asked.breaks(text, error="gone" if ending == "died" else "")
        self.came(flight, text, whole=ending == "whole")

    async def restart(self) -> None:
        """Start the daemon again."""
        if not self.flights:
            await self.talk.restart()

    def idle(self) -> list[Client]:
        """Return one client that waits for no answer, if there is any."""
        waiting = [flight.client.number for flight in self.flights]
        idle = [client for client in self.clients if client.number not in waiting]
        return self.chance.sample(idle, min(1, len(idle)))

    def came(self, flight: Flight, text: str, *, whole: bool) -> None:
        """Write down what the client knows then."""
        client = flight.client
        path = (*flight.path, ("assistant", text)) if text else flight.path
        client.nodes |= {path[:end] for end in range(1, len(path) + 1)}
        if text and not whole:
            client.partial.add(path)
        elif text:
            client.partial.discard(path)
            client.seen.append(path)
        client.last = max(client.last, (flight.number, path))
        if client.shown == flight.path:
            client.shown = path

    def everything_lies_where_it_was_said(self) -> None:
        """Compare the ledger with what the clients know."""
        stored = self.talk.stored()
        counting = self.counting()
        nodes = _nodes(stored)
        lying = Counter((message.scope, nodes[message.id]) for message in stored)
        expected = {(client.scope, node) for client in self.clients for node in client.nodes}
        assert set(lying) == expected
        # Two conversations may have the same words; each has a thread of its own.
        assert sum(lying.values()) == sum(len(client.nodes) for client in self.clients)
        assert len({message.thread_id for message in stored}) == sum(bool(one.nodes) for one in self.clients)
        for client in self.clients:
            self.check(
                client, [message for message in stored if nodes[message.id] in client.nodes], nodes, counting
            )

    def check(
        self, client: Client, own: list[StoredMessage], nodes: dict[str, Node], counting: set[str]
    ) -> None:
        """Check that what a client showed last counts, and nothing beside it."""
        _, shown = client.last
        told = {nodes[message.id] for message in own if message.id in counting}
        hidden = [shown[:end] for end in range(1, len(shown) + 1) if shown[:end] not in told]
        assert hidden in ([], [shown] if shown in client.partial else [])
        beside = Counter((node[:-1], node[-1][0]) for node in told if len(node) > 1)
        doubled = [parent for (parent, _), count in beside.items() if count > 1]
        # Without a name, two that part after their first words may be two conversations: both are kept.
        assert all(len(parent) == 1 and not client.key for parent in doubled)

    def counting(self) -> set[str]:
        """Return the ids of the messages that count."""
        with self.talk.ledger._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT id FROM messages WHERE id NOT IN (SELECT message_id FROM retractions)"
            )
            return {row["id"] for row in rows}


def _nodes(stored: list[StoredMessage]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for message in stored:
        before = found[message.parent_id] if message.parent_id else ()
        found[message.id] = (*before, (message.role, message.text))
    return found


@settings(max_examples=EXAMPLES)
@given(chance=st.randoms(use_true_random=True))
def test_any_order_of_anything_records_each_turn_once_and_shows_the_last(chance: Random) -> None:
    async def played(folder: str) -> None:
        await Dialogues(Path(folder), chance).play(STEPS)

    with TemporaryDirectory() as folder:
        asyncio.run(played(folder))


async def repeat(folder: Path, chance: Random) -> None:
    """Let a few people say the same few things over and over, each with a window; some requests break off."""
    talk = Talk(folder)
    clients: list[tuple[str, int, dict[str, Any]]] = [
        (f"scope-{number}", chance.choice([0, 5, 7, 9]), {"x_ltmld_thread": "k"} if number % 2 else {})
        for number in range(4)
    ]
    told: dict[str, list[str]] = {scope: [] for scope, *_ in clients}
    for _ in range(STEPS // 2):
        scope, window, named = chance.choice(clients)
        words = [*told[scope], chance.choice(["on", "off"])]
        answer = chance.choice(["Done.", "Done.", "No."])
        sent = words[-window:] if window else words
        while chance.random() < SELDOM:
            await (await talk.asks(*sent, x_ltmld_scope=scope, **named)).breaks("", error="gone")
        await talk.turn(*sent, gets=answer, x_ltmld_scope=scope, **named)
        told[scope] = [*words, answer]
        assert talk.threads(scope=scope) == [told[scope]]
    assert len(talk.everything()) == sum(map(len, told.values()))
    await talk.close()


@settings(max_examples=EXAMPLES)
@given(chance=st.randoms(use_true_random=True))
def test_however_often_the_same_is_said_in_a_window_each_turn_is_recorded_once(chance: Random) -> None:
    async def played(folder: str) -> None:
        await repeat(Path(folder), chance)

    with TemporaryDirectory() as folder:
        asyncio.run(played(folder))
