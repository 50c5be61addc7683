"""A thread gets what it was given, byte for byte, where it was given; what is new stands at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ltmld.config import WakeSettings
from ltmld.core.chain import message_chain
from ltmld.core.exchange import PathMessage
from ltmld.core.hit import Hit, Recollection
from ltmld.core.injection import Injection, InjectionKind
from ltmld.core.memory import Memory, MemoryKind, Source
from ltmld.core.message import Message, Role
from ltmld.core.tokens import estimate
from ltmld.ledger import Ledger
from ltmld.wake.injector import Injector, Place, with_injection
from tests.support.ledgers import CountedIds, MovedClock, a_ledger, a_path, a_turn


class Shelf:
    """A recall that offers its lines in order, as far as the budget goes, and notes what it was asked."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.asked: list[dict[str, object]] = []

    def recall(self, query: str, **asked: object) -> Recollection:
        """Return the lines that are not excluded."""
        self.asked.append({"query": query, **asked})
        exclude, budget = asked["exclude"], asked["budget_tokens"]
        assert isinstance(exclude, frozenset)
        assert isinstance(budget, int)
        hits: list[Hit] = []
        for line in self.lines:
            if line in exclude or sum(estimate(hit.text) for hit in hits) + estimate(line) > budget:
                continue
            hits.append(Hit(id=line, kind="fact", text=line, score=1.0, at=None))
        return Recollection(text="\n".join(hit.text for hit in hits), hits=tuple(hits))


class Desk:
    """An injector on a real ledger, and the turns of a conversation."""

    def __init__(self, folder: Path, *lines: str, **settings: float) -> None:
        self.clock = MovedClock(datetime(2026, 5, 1, 12, tzinfo=UTC))
        self.ids = CountedIds()
        self.shelf = Shelf(*lines)
        self.ledger: Ledger = a_ledger(folder, clock=self.clock)
        self.injector = Injector(
            ledger=self.ledger,
            recall=self.shelf,
            settings=WakeSettings(**settings),
            clock=self.clock,
            new_id=self.ids,
        )

    def turn(
        self, *said: str, reply: str, key: str = "", context: int = 4096
    ) -> tuple[Place, Injection | None]:
        """Let a client say *said* (its whole history), answer *reply*, record it all."""
        path: tuple[PathMessage, ...] = a_path(*said)
        place = self.injector.place(scope="default", thread_key=key, path=path)
        new = self.injector.write(place, prompt_tokens=sum(map(estimate, said)), context_tokens=context)
        turn = a_turn(*said, reply=reply, exchange=self.ids("exc"))
        self.ledger.record_turn(
            replace(
                turn,
                thread_id=place.thread_id,
                thread_key=key,
                started_at=self.clock(),
                injections=(new,) if new else (),
            )
        )
        return with_injection(place, new), new


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Return a desk with two lines on its shelf."""
    desk = Desk(tmp_path, "[2026-04-01] user: my dog is Rex", "[2026-04-02] user: I live in Lisbon")
    yield desk
    desk.ledger.close()


def test_a_new_thread_gets_a_wake_block_at_its_first_message(desk: Desk) -> None:
    place, new = desk.turn("How is my dog?", reply="Well.")
    assert new is not None
    assert new.kind is InjectionKind.WAKE_BLOCK
    assert "my dog is Rex" in new.text
    assert place.block is new


def test_the_block_is_replayed_byte_for_byte_and_never_written_anew(desk: Desk) -> None:
    first, _ = desk.turn("How is my dog?", reply="Well.")
    desk.shelf.lines = []
    second, new = desk.turn("How is my dog?", "Well.", "And my flat?", reply="Fine.")
    assert second.thread_id == first.thread_id
    assert second.block is not None
    assert first.block is not None
    assert second.block.text == first.block.text
    assert new is None


def test_a_later_turn_gets_a_note_only_for_what_the_thread_was_not_given(desk: Desk) -> None:
    desk.turn("How is my dog?", reply="Well.")
    desk.shelf.lines.append("[2026-04-03] user: my cat is Tom")
    place, new = desk.turn("How is my dog?", "Well.", "And my cat?", reply="Fine.")
    assert new is not None
    assert new.kind is InjectionKind.RECALL_NOTE
    assert "Tom" in new.text
    assert "Rex" not in new.text
    assert new.chain == place.path[-1].chain


def test_a_note_stays_at_the_message_it_was_written_for(desk: Desk) -> None:
    history = ["How is my dog?", "Well."]
    desk.turn(*history[:1], reply="Well.")
    desk.shelf.lines.append("[2026-04-03] user: my cat is Tom")
    _, note = desk.turn(*history, "And my cat?", reply="Fine.")
    place, _ = desk.turn(*history, "And my cat?", "Fine.", "Good.", reply="Yes.")
    assert note is not None
    kept = place.given_at(place.path[2].chain, InjectionKind.RECALL_NOTE)
    assert kept is not None
    assert kept.text == note.text


def test_a_regenerate_gets_the_same_words_again(desk: Desk) -> None:
    first, _ = desk.turn("How is my dog?", reply="Well.")
    again, new = desk.turn("How is my dog?", reply="Very well.")
    assert new is None
    assert again.thread_id == first.thread_id
    assert again.block == first.block


def test_the_same_opening_another_day_is_a_new_conversation(desk: Desk) -> None:
    first, _ = desk.turn("Good morning", reply="Hello.")
    desk.clock.move(days=1)
    second, new = desk.turn("Good morning", reply="Hello.")
    assert second.thread_id != first.thread_id
    assert new is not None


def test_a_conversation_older_than_ltmld_keeps_its_system_text(desk: Desk) -> None:
    _, new = desk.turn("old question", "old answer", "How is my dog?", reply="Well.")
    assert new is not None
    assert new.kind is InjectionKind.RECALL_NOTE


def test_recall_is_told_to_leave_out_what_the_thread_says_itself(desk: Desk) -> None:
    desk.turn("How is my dog?", reply="Well.")
    place, _ = desk.turn("How is my dog?", "Well.", "And now?", reply="Well too.")
    exclude = desk.shelf.asked[-1]["exclude"]
    assert isinstance(exclude, frozenset)
    assert set(place.known_ids) <= exclude


@pytest.mark.parametrize("context", [40, 400, 4096])
def test_a_block_keeps_to_its_share_of_the_context(tmp_path: Path, context: int) -> None:
    desk = Desk(tmp_path, *(f"[2026-04-01] user: fact number {n} about the dog" for n in range(200)))
    _, new = desk.turn("dog?", reply="Well.", context=context)
    desk.ledger.close()
    spent = sum(estimate(item.text) for item in new.items) if new else 0
    assert spent <= 0.1 * context


def test_a_prompt_that_nearly_fills_the_context_gets_nothing(desk: Desk) -> None:
    _, new = desk.turn("word " * 80, reply="Well.", context=100)
    assert new is None


def test_nothing_found_adds_not_one_byte(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    _, new = desk.turn("How is my dog?", reply="Well.")
    desk.ledger.close()
    assert new is None


def test_identity_and_pinned_lines_open_the_block_whatever_is_asked(desk: Desk) -> None:
    learned = [
        ("mem-1", MemoryKind.IDENTITY, "The user is called Mara.", False),
        ("mem-2", MemoryKind.FACT, "The user must never eat peanuts.", True),
        ("mem-3", MemoryKind.FACT, "The user has a red canoe.", False),
    ]
    desk.turn("first words", reply="Hello.", key="source")
    source = desk.ledger.thread_messages(desk.ledger.threads()[0][0]["id"])[0]
    for name, kind, text, pinned in learned:
        memory = Memory(
            id=name,
            scope="default",
            kind=kind,
            text=text,
            pinned=pinned,
            sources=(Source(message_id=source.id, quote="first words"),),
            recorded_at=desk.clock(),
        )
        desk.ledger.remember(memory, said=text, cause="test")
    _, new = desk.turn("Good evening", reply="Hello.")
    assert new is not None
    told = [line for line in new.text.splitlines() if line.startswith("- ")]
    assert told == ["- The user must never eat peanuts.", "- The user is called Mara."]


def test_a_fixed_greeting_does_not_make_all_conversations_one(desk: Desk) -> None:
    def greeted(words: str) -> tuple[Place, Injection | None]:
        opening = Message(role=Role.ASSISTANT, text="Hello! How can I help you today?")
        said = Message(role=Role.USER, text=words)
        first = message_chain("", opening)
        path = (
            PathMessage(message=opening, chain=first),
            PathMessage(message=said, chain=message_chain(first, said)),
        )
        place = desk.injector.place(scope="default", thread_key="", path=path)
        new = desk.injector.write(place, prompt_tokens=10, context_tokens=4096)
        turn = replace(
            a_turn("x", reply="Well.", exchange=desk.ids("exc")), path=path, thread_id=place.thread_id
        )
        desk.ledger.record_turn(replace(turn, reply_chain=desk.ids("chain"), started_at=desk.clock()))
        return place, new

    first, block = greeted("How is my dog?")
    second, again = greeted("Where do I live?")
    assert first.thread_id != second.thread_id
    assert [one.kind for one in (block, again) if one] == [InjectionKind.WAKE_BLOCK] * 2
