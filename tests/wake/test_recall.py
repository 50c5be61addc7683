"""Promise: recall brings back what was said and learned, in its scope alone, as one line each, within the budget."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ltmld.config import WakeSettings
from ltmld.core.memory import Source
from ltmld.core.proposal import Dispute, Fade, Learn, Supersede
from ltmld.index.index import LocalIndex
from ltmld.ledger import ImportLine, Ledger
from ltmld.wake.feeder import Feeder
from ltmld.wake.recall import HybridRecall
from tests.support.embedders import WordEmbedder
from tests.support.ledgers import MovedClock, a_ledger, a_memory

START = datetime(2023, 5, 8, 13, 56, tzinfo=UTC)

TALK = (
    ("Caroline", "I went to a support group yesterday."),
    ("Melanie", "Wow! How was it?"),
    ("Caroline", "So powerful, I felt accepted."),
    ("Melanie", "I painted a sunrise last year."),
    ("Caroline", "My dog is called Biscuit."),
)


class Remembering:
    """A ledger, its index and recall on one folder."""

    def __init__(self, folder: Path, *, embedder: WordEmbedder | None, candidates: int = 50) -> None:
        self.ledger: Ledger = a_ledger(folder)
        self.index = LocalIndex(folder / "index", embedder)
        self.feeder = Feeder(self.ledger, self.index)
        self.recall = HybridRecall(
            ledger=self.ledger,
            index=self.index,
            settings=WakeSettings(),
            candidates=candidates,
            clock=MovedClock(),
        )

    def hear(
        self, *talk: tuple[str, str], scope: str = "default", thread: str = "t1", refs: bool = True
    ) -> None:
        lines = [
            ImportLine(
                scope=scope,
                thread=thread,
                at=START + timedelta(minutes=number),
                role="assistant" if name in ("Melanie", "assistant") else "user",
                name="" if name in ("user", "assistant") else name,
                text=text,
                ref=f"{thread}:{number}" if refs else "",
            )
            for number, (name, text) in enumerate(talk)
        ]
        self.ledger.import_messages(lines)
        self.feed()

    def learn(self, text: str, *refs: str, **settings: Any) -> str:
        behind = [message for message in self.ledger.ungathered("default") if message.ref in refs]
        memory = a_memory(
            text, sources=tuple(Source(message_id=m.id, quote=m.text) for m in behind), **settings
        )
        self.apply(Learn(memory=memory))
        return memory.id

    def apply(self, *proposals: Any) -> None:
        cycle = self.ledger.begin_cycle(
            scope="default", depth="light", trigger="test", model="", dry_run=False
        )
        self.ledger.apply(cycle, "extract", proposals, {})
        self.ledger.end_cycle(cycle, state="completed", report={})
        self.feed()

    def feed(self) -> None:
        while self.feeder.drain():
            pass

    def texts(self, query: str, **settings: Any) -> list[str]:
        return [hit.text for hit in self.recall.recall(query, scope="default", **settings).hits]

    def close(self) -> None:
        self.index.close()
        self.ledger.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Remembering]:
    made = Remembering(tmp_path, embedder=WordEmbedder())
    yield made
    made.close()


def test_what_was_said_comes_back_as_a_dated_line_with_its_ref(house: Remembering) -> None:
    house.hear(*TALK)
    hit = house.recall.recall("What is Caroline's dog called?", scope="default").hits[0]
    assert hit.text == "[2023-05-08] Caroline: My dog is called Biscuit."
    assert (hit.kind, hit.refs) == ("message", ("t1:4",))
    assert 0.0 < hit.score <= 1.0
    assert {"lexical", "semantic", "person"} <= set(hit.parts)


def test_an_answer_without_a_word_of_the_question_comes_with_its_neighbor(house: Remembering) -> None:
    house.hear(*TALK)
    assert "[2023-05-08] Caroline: So powerful, I felt accepted." in house.texts("How was the support group?")


def test_what_says_nothing_beyond_the_question_is_found_and_not_brought_up(house: Remembering) -> None:
    words = ("Hello there", "What is my dog called?", "My dog is called Biscuit.")
    house.hear(*(("user", text) for text in words))
    asked = "hello, what is my dog called?"
    found = house.recall.recall(asked, scope="default")
    told = house.recall.recall(asked, scope="default", news_only=True)
    assert {hit.text.partition(": ")[2] for hit in found.hits} == set(words)
    assert [hit.text.partition(": ")[2] for hit in told.hits] == ["My dog is called Biscuit."]


def test_neighbors_come_though_no_half_of_the_index_offers_them(tmp_path: Path) -> None:
    house = Remembering(tmp_path, embedder=WordEmbedder(), candidates=1)
    house.hear(*TALK)
    assert house.texts("a sunrise painted last year")[:2] == [
        "[2023-05-08] Melanie: I painted a sunrise last year.",
        "[2023-05-08] Caroline: My dog is called Biscuit.",
    ]
    house.close()


def test_scopes_are_walls(house: Remembering) -> None:
    house.hear(*TALK, scope="other")
    assert house.recall.recall("dog Biscuit", scope="default").hits == ()
    assert house.recall.recall("dog Biscuit", scope="other").hits != ()


def test_the_text_is_chronological_and_counted(house: Remembering) -> None:
    house.hear(*TALK)
    found = house.recall.recall("Biscuit dog support group", scope="default", k=2, budget_tokens=100)
    assert found.text.splitlines() == sorted(
        (hit.text for hit in found.hits), key=lambda text: "Biscuit" in text
    )
    assert found.tokens <= 100
    assert found.took_ms > 0


def test_excluded_messages_and_memories_stay_out(house: Remembering) -> None:
    house.hear(*TALK)
    memory = house.learn("Caroline has a dog, Biscuit.", "t1:4")
    everything = house.recall.recall("dog Biscuit", scope="default").hits
    assert {memory} < {hit.id for hit in everything}
    ids = frozenset(hit.id for hit in everything)
    assert house.recall.recall("dog Biscuit", scope="default", exclude=ids).hits == ()


def test_a_memory_of_what_the_reader_has_before_him_stays_out(house: Remembering) -> None:
    house.hear(*TALK)
    house.learn("Caroline has a dog, Biscuit.", "t1:4")
    said = [message.id for message in house.ledger.ungathered("default") if message.ref == "t1:4"]
    assert "Biscuit" not in " ".join(house.texts("dog Biscuit", exclude=frozenset(said)))


def test_a_floor_leaves_weak_hits_out(house: Remembering) -> None:
    house.hear(*TALK)
    all_hits = house.recall.recall("dog Biscuit", scope="default").hits
    strong = house.recall.recall("dog Biscuit", scope="default", floor=all_hits[0].score).hits
    assert len(strong) < len(all_hits)
    assert house.recall.recall("zzz unrelated qqq", scope="default", floor=0.35).hits == ()


def test_a_memory_leads_to_the_messages_it_came_from(house: Remembering) -> None:
    house.hear(*TALK)
    house.learn("Caroline attended a support group.", "t1:0", "t1:2", when="2023-05-07")
    hits = house.recall.recall("Which group did she attend?", scope="default").hits
    fact = next(hit for hit in hits if hit.kind == "fact")
    assert fact.text == "[2023-05-07] Caroline attended a support group."
    assert fact.refs == ("t1:0", "t1:2")


def test_a_memory_whose_words_name_its_day_bears_it_once(house: Remembering) -> None:
    house.hear(*TALK)
    house.learn("Caroline attended a support group on 7 May 2023.", "t1:0", when="2023-05-07")
    house.learn("Caroline planned a support group in May 2023.", "t1:2", when="2023-05-07", id="mem-b")
    assert {
        text
        for text in house.texts("support group", k=50)
        if "2023" in text.partition("] ")[2] or "[" not in text
    } == {
        "Caroline attended a support group on 7 May 2023.",
        "[2023-05-07] Caroline planned a support group in May 2023.",
    }


def test_courtesies_cost_no_tokens(house: Remembering) -> None:
    house.hear(("Melanie", "Hey Melanie! So good to hear from you! I bought a canoe. How are you?"))
    assert house.texts("canoe") == ["[2023-05-08] Melanie: I bought a canoe."]


def test_words_of_time_find_what_was_said_then(house: Remembering) -> None:
    house.hear(("Caroline", "We swam in the lake."), ("Caroline", "We swam in the lake with Tom."))
    house.ledger.import_messages(
        [
            ImportLine(
                scope="default",
                thread="t2",
                at=START.replace(month=9),
                role="user",
                name="Caroline",
                text="We swam in the lake with Jo.",
                ref="t2:0",
            )
        ]
    )
    house.feed()
    asked = START.replace(month=9, day=20)
    assert house.texts("Where did we swim two weeks ago?", at=asked)[0].endswith("with Jo.")


def test_a_message_whose_fact_is_in_waits_for_the_rest(house: Remembering) -> None:
    house.hear(*TALK)
    house.learn("Caroline's dog is called Biscuit.", "t1:4", subject="Caroline")
    kinds = [hit.text for hit in house.recall.recall("dog called Biscuit", scope="default").hits]
    assert "dog is called" in kinds[0]
    assert sum("Biscuit" in text for text in kinds[:-1]) == 1


@pytest.mark.parametrize("fate", ["fade", "supersede"])
def test_a_memory_that_faded_or_was_superseded_never_comes(house: Remembering, fate: str) -> None:
    house.hear(*TALK)
    old = house.learn("Caroline's cat is Tom.", "t1:4", id="mem-a")
    new = house.learn("Caroline's cat is Jerry.", "t1:4", id="mem-b")
    assert any("Tom" in text for text in house.texts("cat"))
    change = (
        Fade(memory_id=old, strength=0.01)
        if fate == "fade"
        else Supersede(memory_id=old, by=new, valid_to=START)
    )
    # Applied to the ledger alone: even an index that lags behind shows nothing of it.
    cycle = house.ledger.begin_cycle(scope="default", depth="light", trigger="test", model="", dry_run=False)
    house.ledger.apply(cycle, "decay", [change], {})
    assert not any("Tom" in text for text in house.texts("cat"))


def test_a_disputed_memory_says_so(house: Remembering) -> None:
    house.hear(*TALK)
    one = house.learn("Caroline's cat is Tom.", "t1:4", id="mem-a")
    other = house.learn("Caroline's cat is Jerry.", "t1:4", id="mem-b")
    house.apply(Dispute(memory_id=one, other_id=other, variance=0.5))
    assert any("(disputed) Caroline's cat is Tom." in text for text in house.texts("cat"))


def test_a_long_answer_comes_as_its_best_passage(house: Remembering) -> None:
    filler = "This sentence is about nothing in particular. " * 60
    house.hear(
        ("user", "Tell me all."),
        ("assistant", f"{filler} The torque of the pedal is forty newton meters. {filler}"),
    )
    hit = house.recall.recall("What is the torque of the pedal?", scope="default").hits[0]
    assert (hit.kind, hit.refs) == ("passage", ("t1:1",))
    assert "forty newton meters" in hit.text
    assert len(hit.text.split()) < 130
    assert "\n" not in hit.text


def test_without_refs_the_ids_of_the_messages_stand_in(house: Remembering) -> None:
    house.hear(*TALK, refs=False)
    hit = house.recall.recall("dog Biscuit", scope="default").hits[0]
    assert hit.refs == hit.message_ids


def test_full_text_alone_recalls_too(tmp_path: Path) -> None:
    house = Remembering(tmp_path, embedder=None)
    house.hear(*TALK)
    assert house.texts("What is the dog called?")[0].endswith("Biscuit.")
    house.close()


@pytest.mark.parametrize(
    "query",
    [
        *("", "   ", "\x00", "\ud83d", "?" * 10_000, "word " * 20_000, "last summer " * 9_000),
        *('" OR * NEAR(', "NEAR(a b, 3)", "-dog", 'dog AND NOT "', "text:dog", "dog*", "^dog", "{a b}:c"),
        *("我的狗叫什么名字", "ما اسم كلبي؟", "🐶🐕", "собака", "999999999 years ago"),
    ],
)
def test_any_text_can_be_asked(house: Remembering, query: str) -> None:
    house.hear(*TALK)
    house.recall.recall(query, scope="default")
    house.recall.recall(query, scope="nobody yet")


def test_a_line_bears_the_day_of_the_clock_on_the_wall(
    house: Remembering, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.hear(("Caroline", "My dog is called Biscuit."))
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        assert house.texts("dog Biscuit") == ["[2023-05-09] Caroline: My dog is called Biscuit."]
    finally:
        monkeypatch.undo()
        time.tzset()
