"""The promise: whatever happens to memories, their history tells all of it, and a crash changes none of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ltmld.core.memory import Memory, MemoryState, Source, may_become
from ltmld.core.proposal import Dispute, Fade, Learn, Proposal, Reinforce, Supersede, Verdict, Weaken
from ltmld.errors import RefusedError
from ltmld.ledger import Ledger
from ltmld.ledger.changes import described
from tests.support.ledgers import EPOCH, MovedClock, a_ledger, a_memory, a_turn

NAMES = ("mem-0", "mem-1", "mem-2")

names = st.sampled_from([*NAMES, "mem-unknown"])
strengths = st.sampled_from([0.0, 0.5, 1.5])
cues = st.lists(st.sampled_from(["Who?", "When?"]), max_size=2).map(tuple)
sources = st.lists(st.sampled_from([Source(message_id="msg-000001", quote=q) for q in "ab"]), max_size=2).map(
    tuple
)

proposals = st.one_of(
    st.builds(
        Reinforce,
        memory_id=names,
        sources=sources,
        strength=strengths,
        frequency=st.integers(1, 5),
        cues=cues,
    ),
    st.builds(Supersede, memory_id=names, by=names, valid_to=st.just(EPOCH)),
    st.builds(Dispute, memory_id=names, other_id=names, variance=strengths),
    st.builds(Fade, memory_id=names, strength=strengths),
    st.builds(Weaken, memory_id=names, strength=strengths),
    st.builds(
        Verdict, message_id=st.just("msg-000001"), admitted=st.booleans(), score=strengths, reason=st.just("")
    ),
    st.sampled_from(NAMES).map(lambda name: Learn(memory=drawn(name, f"Again {name}."))),
)

edits = st.one_of(
    st.fixed_dictionaries({"text": st.sampled_from(["Ada has two dogs.", "Ada has a cat."])}),
    st.fixed_dictionaries({"state": st.sampled_from(list(MemoryState))}),
    st.fixed_dictionaries({"pinned": st.booleans(), "importance": strengths}),
)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("sleep"), st.lists(proposals, max_size=4)),
        st.tuples(st.just("edit"), st.tuples(st.sampled_from(NAMES), edits)),
        st.tuples(st.just("forget"), st.sampled_from(NAMES)),
    ),
    max_size=8,
)


def drawn(name: str, text: str) -> Memory:
    return a_memory(text, id=name, sources=(Source(message_id="msg-000001", quote="a"),))


def begun(ledger: Ledger) -> str:
    """Return a running cycle in a ledger with the memories of ``NAMES``."""
    ledger.record_turn(a_turn("all that was said"))
    cycle = ledger.begin_cycle(scope="default", depth="light", trigger="test", model="", dry_run=False)
    ledger.apply(cycle, "learn", [Learn(memory=drawn(name, f"Fact {name}.")) for name in NAMES], {})
    return cycle


def take(ledger: Ledger, cycle: str, number: int, step: tuple[str, Any]) -> None:
    match step:
        case ("sleep", proposed):
            counts = ledger.apply(cycle, f"stage {number}", proposed, {"number": number})
            assert sum(counts.values()) == len(proposed)
        case ("edit", (name, change)):
            ledger.edit(name, cause="user", **change)
        case ("forget", name):
            ledger.forget(name, hard=False, cause="user")


@settings(max_examples=25)
@given(steps)
def test_the_history_of_a_memory_adds_up_to_what_it_is(taken: Sequence[tuple[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        clock = MovedClock()
        ledger = a_ledger(Path(folder), clock=clock)
        cycle = begun(ledger)
        for number, step in enumerate(taken):
            clock.move(minutes=1)
            try:
                take(ledger, cycle, number, step)
            except (RefusedError, ValueError):
                assert step[0] == "edit"
        for name in NAMES:
            check_history(ledger, name)
        assert ledger.integrity() == []
        ledger.close()


def check_history(ledger: Ledger, name: str) -> None:
    now: dict[str, Any] = {}
    history = ledger.history(name)
    for event in history:
        assert event["before"] is None or event["before"].items() <= now.items()
        if "state" in event["after"] and now:
            assert may_become(MemoryState(now["state"]), MemoryState(event["after"]["state"]))
        now |= event["after"]
    memory = ledger.memory(name)
    assert now == described(memory)
    assert [event["version"] for event in history] == list(range(1, memory.version + 1))
    assert (memory.retired_at is None) is (memory.state in {MemoryState.ACTIVE, MemoryState.DISPUTED})
    assert memory.sources


@settings(max_examples=10)
@given(st.lists(st.lists(proposals, max_size=4), min_size=1, max_size=4), st.data())
def test_a_night_killed_at_any_checkpoint_and_resumed_ends_in_the_same_ledger(
    night: Sequence[Sequence[Proposal]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as calm, TemporaryDirectory() as stormy:
        quiet = a_ledger(Path(calm))
        undisturbed(quiet, begun(quiet), night)
        ledger = a_ledger(Path(stormy))
        cycle = begun(ledger)
        for _ in range(data.draw(st.integers(1, 3))):
            # Killed after some stage: whoever resumes begins at the checkpoint, or one stage too early.
            undisturbed(ledger, cycle, night[: data.draw(st.integers(0, len(night)))])
            ledger.close()
            ledger = a_ledger(Path(stormy))
        undisturbed(ledger, cycle, night)
        assert [everything(ledger, name) for name in NAMES] == [everything(quiet, name) for name in NAMES]
        quiet.close()
        ledger.close()


def undisturbed(ledger: Ledger, cycle: str, night: Sequence[Sequence[Proposal]]) -> None:
    for number, proposed in enumerate(night):
        ledger.apply(cycle, f"stage {number}", proposed, {})


def everything(ledger: Ledger, name: str) -> tuple[Memory, list[dict[str, Any]]]:
    return ledger.memory(name), ledger.history(name)


def test_every_field_of_a_memory_is_in_its_history() -> None:
    assert set(described(a_memory())) == {field.name for field in fields(Memory)} - {"version"}
