"""Promise: what is known is reinforced, a different number or "not" is learned, a night twice is a night once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.memory import Memory, MemoryKind, MemoryState, Source
from ltmld.core.proposal import Learn, Reinforce
from ltmld.sleep.candidate import Candidate
from ltmld.sleep.dedupe import SOURCES_MAX, dedupe
from ltmld.sleep.overlay import overlaid
from ltmld.sleep.sameness import meaning, same
from ltmld.sleep.words import word_set
from tests.support.ledgers import EPOCH, CountedIds, a_memory
from tests.support.nights import a_candidate


def night(
    candidates: Sequence[Candidate], known: Sequence[Memory] = (), cosine: float | None = None
) -> list[Learn | Reinforce]:
    near = {
        (place, memory.id): cosine
        for place in range(len(candidates))
        for memory in known
        if cosine is not None
    }
    return dedupe(
        candidates,
        known=known,
        nearness=near,
        scope="default",
        now=EPOCH,
        base_days=30.0,
        new_id=CountedIds(),
    )


def known(text: str, **settings: object) -> Memory:
    settings = {"sources": (Source(message_id="msg-old", quote=text),), "subject": "user", **settings}
    return a_memory(text, **settings)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The user is allergic to peanuts.", "The user is not allergic to peanuts."),
        ("The user is allergic to peanuts.", "The user is no longer allergic to peanuts."),
        ("The user has two dogs.", "The user has three dogs."),
        ("The user gets up at 3 pm.", "The user gets up at 5 pm."),
        ("The user ran on trails in Sintra for hours.", "The user ran on 3 trails in Sintra for hours."),
        ("The user lives in Lisbon.", "The user lives in Porto."),
        ("The user visited Japan.", "The user wants to visit Japan."),
        ("The user lives in Lisbon.", "The user used to live in Lisbon."),
        ("The user likes tea.", "The user likes coffee."),
    ],
)
def test_sentences_that_a_cosine_cannot_tell_apart_stay_two(one: str, other: str) -> None:
    for newer, older in ((one, other), (other, one)):
        found = night([a_candidate(newer)], [known(older)], cosine=0.97)
        assert [type(proposal) for proposal in found] == [Learn], (newer, older)


@pytest.mark.parametrize(
    ("newer", "older", "cosine"),
    [
        ("The user lives in Lisbon.", "the user lives in  Lisbon", None),
        ("The user is allergic to peanuts.", "The user is severely allergic to peanuts.", 0.9),
        ("The user has two dogs.", "The user has 2 dogs.", 0.95),
    ],
)
def test_the_same_meaning_reinforces(newer: str, older: str, cosine: float | None) -> None:
    found = night([a_candidate(newer)], [known(older)], cosine)
    assert [type(proposal) for proposal in found] == [Reinforce]


def test_a_paraphrase_needs_its_attribute_and_its_number() -> None:
    birth = {"attribute": "birth_year"}
    newer = a_candidate("The user's birth year is 1990.", **birth)
    assert isinstance(night([newer], [known("The user was in birth 1990.", **birth)], 0.79)[0], Reinforce)
    assert isinstance(night([newer], [known("The user was in birth 1990.", **birth)], 0.70)[0], Learn)
    assert isinstance(night([newer], [known("The user was in birth 1991.", **birth)], 0.99)[0], Learn)
    other = known("The user was in birth 1990.", attribute="graduation")
    assert isinstance(night([newer], [other], 0.79)[0], Learn)


@pytest.mark.parametrize(
    "settings",
    [
        {"subject": "Ana"},
        {"when": "2023-05-07"},
        {"kind": MemoryKind.PLAN},
        {"attribute": "home"},
    ],
)
def test_another_subject_date_kind_or_attribute_is_another_memory(settings: dict[str, object]) -> None:
    base = {"when": "2023-06-01", "attribute": "pet", "subject": "user"}
    newer = a_candidate("The user saw a dog.", **{**base, **settings})
    older = known("The user saw a dog.", **base)
    assert isinstance(night([newer], [older], 1.0)[0], Learn)


def test_reinforcing_adds_the_source_the_cue_and_the_count() -> None:
    older = known("The user lives in Lisbon.", strength=0.4, frequency=2)
    found = night([a_candidate("The user lives in Lisbon.", message_id="msg-new", cues=("Where?",))], [older])
    assert found == [
        Reinforce(
            memory_id=older.id,
            sources=(Source(message_id="msg-new", quote="The user lives in Lisbon."),),
            strength=found[0].strength if isinstance(found[0], Reinforce) else 0,
            frequency=3,
            cues=("Where?",),
            why="said again, 3 times now",
        )
    ]
    assert isinstance(found[0], Reinforce)
    assert found[0].strength > 0.4


def test_the_same_message_reinforces_once() -> None:
    older = known("The user lives in Lisbon.")
    assert night([a_candidate("The user lives in Lisbon.", message_id="msg-old")], [older]) == []


def test_an_echo_of_the_assistant_reinforces_nothing() -> None:
    older = known("The user lives in Lisbon.")
    echo = a_candidate("The user lives in Lisbon.", message_id="msg-new", personal=False)
    assert night([echo], [older]) == []


def test_a_memory_with_very_many_sources_is_left_alone() -> None:
    sources = tuple(Source(message_id=f"msg-{place}", quote="q") for place in range(SOURCES_MAX))
    older = known("The user lives in Lisbon.", sources=sources)
    assert night([a_candidate("The user lives in Lisbon.", message_id="msg-new")], [older]) == []


def test_what_was_said_twice_in_one_night_is_one_memory() -> None:
    twice = [a_candidate("The user lives in Lisbon.", message_id=f"msg-{place}") for place in range(2)]
    found = night(twice)
    assert len(found) == 1
    assert isinstance(found[0], Learn)
    assert found[0].memory.frequency == 2
    assert [source.message_id for source in found[0].memory.sources] == ["msg-0", "msg-1"]


def test_two_facts_of_one_message_are_two_memories() -> None:
    both = [
        a_candidate("The user lives in Lisbon.", message_id="msg-1"),
        a_candidate("The user works as a nurse.", message_id="msg-1"),
    ]
    assert len(night(both)) == 2


WORDS = st.sampled_from(
    sorted(word_set("dog cat two three not lisbon Rex Ana likes lives old 1990 plans red"))
)
CANDIDATES = st.lists(
    st.builds(
        lambda words, message, attribute, when, personal: a_candidate(
            "The user " + " ".join(words),
            message_id=f"msg-{message}",
            attribute=attribute,
            when=when,
            personal=personal,
        ),
        st.lists(WORDS, min_size=1, max_size=5),
        st.integers(0, 5),
        st.sampled_from(["", "pet", "pet_name", "home"]),
        st.sampled_from(["", "2023", "2023-05", "2024"]),
        st.booleans(),
    ),
    max_size=12,
)


@given(CANDIDATES, st.sampled_from([None, 0.5, 0.72, 0.9]))
def test_the_same_night_twice_changes_nothing(candidates: list[Candidate], cosine: float | None) -> None:
    after = overlaid([], night(candidates))
    assert night(candidates, after, cosine) == []


@given(CANDIDATES, CANDIDATES)
def test_reinforcing_never_weakens_anything(first: list[Candidate], second: list[Candidate]) -> None:
    before = {memory.id: memory for memory in overlaid([], night(first))}
    for proposal in night(second, list(before.values())):
        if isinstance(proposal, Reinforce):
            assert proposal.strength >= before[proposal.memory_id].strength
            assert proposal.frequency > before[proposal.memory_id].frequency
            assert proposal.sources


@given(CANDIDATES)
def test_every_sentence_means_what_it_means(candidates: list[Candidate]) -> None:
    for one in candidates:
        assert same(meaning(one), meaning(one), cosine=None)


def test_what_is_alive_is_reinforced_before_its_faded_double() -> None:
    words = "The user has a dog called Rex."
    faded = a_memory(words, id="mem-1", subject="user", state=MemoryState.FADED)
    alive = a_memory(words, id="mem-2", subject="user")
    changes = night([a_candidate(words)], [faded, alive])
    assert [(type(one), getattr(one, "memory_id", "")) for one in changes] == [(Reinforce, "mem-2")]
