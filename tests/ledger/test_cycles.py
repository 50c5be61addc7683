"""The promise: one sleep at a time; a stage is applied whole and once, and a bad proposal harms only itself."""

from __future__ import annotations

import math

import pytest

from ltmld.core.memory import Memory, MemoryState, Source
from ltmld.core.proposal import Dispute, Fade, Learn, Proposal, Reinforce, Supersede, Verdict, Weaken
from ltmld.errors import NotFoundError, RefusedError
from ltmld.ledger import Ledger
from tests.support.ledgers import EPOCH, MovedClock, a_memory, a_turn


def begun(ledger: Ledger, *, dry_run: bool = False) -> str:
    return ledger.begin_cycle(scope="default", depth="light", trigger="test", model="m", dry_run=dry_run)


@pytest.fixture
def message(ledger: Ledger) -> str:
    """Return the id of a message to draw memories from."""
    return ledger.record_turn(a_turn("Ada has a dog called Rex, and Bo a cat.")).new_message_ids[0]


@pytest.fixture
def cycle(ledger: Ledger, message: str) -> str:
    """Return a running cycle, with memories mem-a and mem-b learned."""
    identity = begun(ledger)
    proposals = [Learn(memory=drawn(message, name)) for name in ("mem-a", "mem-b")]
    assert ledger.apply(identity, "extract", proposals, {}) == {"learn": 2}
    return identity


def drawn(message: str, memory_id: str, **settings: object) -> Memory:
    return a_memory(
        f"Fact {memory_id}.", id=memory_id, sources=(Source(message_id=message, quote="Ada"),), **settings
    )


def state(ledger: Ledger, memory_id: str) -> MemoryState:
    return ledger.memory(memory_id).state


# --- the lease ----------------------------------------------------------------------------------------


def test_one_cycle_at_a_time(ledger: Ledger, clock: MovedClock) -> None:
    first = begun(ledger)
    clock.move(minutes=14)
    with pytest.raises(RefusedError, match=f"{first} is running"):
        begun(ledger)
    ledger.renew_lease(first)
    clock.move(minutes=14)
    with pytest.raises(RefusedError):
        begun(ledger)


def test_a_dead_cycles_lease_runs_out_and_the_next_one_says_what_became_of_it(
    ledger: Ledger, clock: MovedClock
) -> None:
    dead = begun(ledger)
    clock.move(minutes=16)
    assert begun(ledger) != dead
    assert ledger.cycle(dead)["state"] == "failed"
    assert "lease ran out" in ledger.cycle(dead)["report"]["error"]


def test_every_stage_renews_the_lease(ledger: Ledger, clock: MovedClock) -> None:
    cycle = begun(ledger)
    clock.move(minutes=14)
    ledger.apply(cycle, "gate", [], {})
    clock.move(minutes=14)
    with pytest.raises(RefusedError):
        begun(ledger)


def test_a_cycle_that_died_is_found_and_goes_on_from_its_checkpoint(
    ledger: Ledger, clock: MovedClock
) -> None:
    cycle = begun(ledger)
    ledger.apply(cycle, "gather", [], {"episodes": [1, 2]})
    ledger.apply(cycle, "gate", [], {"admitted": ["é"]})
    clock.move(days=2)
    unfinished = ledger.unfinished_cycle()
    assert unfinished is not None
    assert (unfinished["id"], unfinished["scope"], unfinished["depth"]) == (cycle, "default", "light")
    assert ledger.checkpoint(cycle) == ("gate", {"admitted": ["é"]})
    ledger.apply(cycle, "extract", [], {})
    ledger.end_cycle(cycle, state="completed", report={"kept": 3})
    assert ledger.unfinished_cycle() is None
    ended = ledger.cycle(cycle)
    assert (ended["state"], ended["report"], ended["ended_at"][:10]) == (
        "completed",
        {"kept": 3},
        "2026-03-03",
    )
    assert [stage["stage"] for stage in ended["stages"]] == ["gather", "gate", "extract"]


def test_what_resuming_needs_is_dropped_when_the_cycle_ends(ledger: Ledger) -> None:
    cycle = begun(ledger)
    ledger.apply(cycle, "gather", [], {"episodes": ["everything they said"]})
    ledger.end_cycle(cycle, state="completed", report={})
    assert ledger.checkpoint(cycle) == ("gather", {})


def test_before_the_first_stage_there_is_no_checkpoint(ledger: Ledger) -> None:
    assert ledger.checkpoint(begun(ledger)) is None


def test_cycles_are_listed_latest_first(ledger: Ledger, clock: MovedClock) -> None:
    identities = []
    for _ in range(3):
        identities.append(begun(ledger))
        ledger.end_cycle(identities[-1], state="completed", report={})
        clock.move(days=1)
    assert [cycle["id"] for cycle in ledger.cycles(limit=2)] == [identities[2], identities[1]]


def test_an_ended_cycle_is_over(ledger: Ledger) -> None:
    cycle = begun(ledger)
    ledger.end_cycle(cycle, state="cancelled", report={})
    with pytest.raises(RefusedError, match="has ended"):
        ledger.apply(cycle, "gate", [], {})
    with pytest.raises(RefusedError, match="has ended"):
        ledger.end_cycle(cycle, state="completed", report={})
    with pytest.raises(NotFoundError):
        ledger.cycle("slp-9")


def test_a_dry_run_applies_nothing(ledger: Ledger) -> None:
    cycle = begun(ledger, dry_run=True)
    with pytest.raises(ValueError, match="dry run"):
        ledger.apply(cycle, "gate", [], {})
    assert ledger.checkpoint(cycle) is None


# --- applying -----------------------------------------------------------------------------------------


def test_a_stage_that_was_applied_is_not_applied_again(ledger: Ledger, message: str, cycle: str) -> None:
    proposals: list[Proposal] = [
        Reinforce(memory_id="mem-a", sources=(), strength=2.0, frequency=2),
        Learn(memory=drawn(message, "mem-c")),
    ]
    first = ledger.apply(cycle, "dedupe", proposals, {"a": 1})
    ledger.edit("mem-a", cause="user", strength=4.0)
    before = (ledger.outbox_depth(), ledger.history("mem-a"), ledger.checkpoint(cycle))
    assert ledger.apply(cycle, "dedupe", proposals, {"a": 2}) == first == {"reinforce": 1, "learn": 1}
    assert (ledger.outbox_depth(), ledger.history("mem-a"), ledger.checkpoint(cycle)) == before


def test_proposals_and_checkpoint_are_written_together_or_not_at_all(ledger: Ledger, cycle: str) -> None:
    fade = Fade(memory_id="mem-a", strength=0.1)
    with pytest.raises(TypeError):
        ledger.apply(cycle, "decay", [fade], {"not": object()})
    assert state(ledger, "mem-a") is MemoryState.ACTIVE
    assert ledger.checkpoint(cycle) == ("extract", {})


def test_a_bad_proposal_is_refused_and_the_night_goes_on(ledger: Ledger, message: str, cycle: str) -> None:
    ledger.record_turn(a_turn("secret", scope="bob", thread_id="thr-bob"))
    foreign = ledger.thread_messages("thr-bob")[0].id
    bad: list[Proposal] = [
        Learn(memory=drawn(message, "mem-a")),
        Learn(memory=drawn("msg-unknown", "mem-x")),
        Learn(memory=drawn(foreign, "mem-x")),
        Learn(memory=drawn(message, "mem-x", strength=math.nan)),
        Reinforce(memory_id="mem-x", sources=(), strength=1.0, frequency=2),
        Reinforce(memory_id="mem-a", sources=(Source(message_id="no", quote=""),), strength=1.0, frequency=2),
        Supersede(memory_id="mem-a", by="mem-x", valid_to=EPOCH),
        Supersede(memory_id="mem-a", by="mem-a", valid_to=EPOCH),
        Dispute(memory_id="mem-a", other_id="mem-x", variance=0.5),
        Fade(memory_id="mem-x", strength=0.1),
        Weaken(memory_id="mem-x", strength=0.1),
        Weaken(memory_id="mem-a", strength=math.nan),
        Verdict(message_id="msg-unknown", admitted=True, score=1.0, reason=""),
    ]
    good = Weaken(memory_id="mem-b", strength=0.6)
    counts = ledger.apply(cycle, "mixed", [*bad, good], {})
    assert counts == {"refused": len(bad), "weaken": 1}
    assert ledger.memory("mem-b").strength == 0.6
    assert len(ledger.history("mem-a")) == 1
    assert ledger.integrity() == []


def test_every_change_of_a_night_names_its_cycle_stage_and_reason(ledger: Ledger, cycle: str) -> None:
    ledger.apply(cycle, "decay", [Fade(memory_id="mem-a", strength=0.1, why="unused since May")], {})
    event = ledger.history("mem-a")[-1]
    assert (event["cycle_id"], event["cause"]) == (cycle, "sleep decay: unused since May")
    assert event["before"]["state"] == "active"


def test_reinforcing_adds_sources_and_cues_and_wakes_what_had_faded(
    ledger: Ledger, message: str, cycle: str
) -> None:
    [other] = ledger.record_turn(a_turn("Ada, yes", thread_id="thr-2")).new_message_ids
    ledger.apply(cycle, "decay", [Fade(memory_id="mem-a", strength=0.1)], {})
    old, new = Source(message_id=message, quote="Ada"), Source(message_id=other, quote="Ada, yes")
    met = Reinforce(memory_id="mem-a", sources=(old, new), strength=1.5, frequency=2, cues=("Who?", "Who?"))
    ledger.apply(cycle, "dedupe", [met], {})
    memory = ledger.memory("mem-a")
    assert (memory.sources, memory.cues, memory.frequency) == ((old, new), ("Who?",), 2)
    assert (memory.state, memory.strength, memory.retired_at) == (MemoryState.ACTIVE, 1.5, None)


def test_superseding_ends_the_validity_and_names_the_successor(
    ledger: Ledger, cycle: str, clock: MovedClock
) -> None:
    ledger.apply(cycle, "reconcile", [Supersede(memory_id="mem-a", by="mem-b", valid_to=EPOCH)], {})
    memory = ledger.memory("mem-a")
    assert (memory.state, memory.superseded_by, memory.valid_to) == (MemoryState.SUPERSEDED, "mem-b", EPOCH)
    assert memory.retired_at == clock.now
    assert ledger.outbox(50)[-1].op == "delete"


def test_two_memories_cannot_supersede_each_other(ledger: Ledger, cycle: str) -> None:
    both = [
        Supersede(memory_id="mem-a", by="mem-b", valid_to=EPOCH),
        Supersede(memory_id="mem-b", by="mem-a", valid_to=EPOCH),
    ]
    assert ledger.apply(cycle, "reconcile", both, {}) == {"supersede": 1, "refused": 1}
    assert state(ledger, "mem-b") is MemoryState.ACTIVE


def test_a_proposal_that_fails_half_way_is_undone_whole(ledger: Ledger, cycle: str) -> None:
    ledger.forget("mem-b", hard=False, cause="user")
    dispute = Dispute(memory_id="mem-a", other_id="mem-b", variance=0.5)
    assert ledger.apply(cycle, "reconcile", [dispute], {}) == {"refused": 1}
    assert state(ledger, "mem-a") is MemoryState.ACTIVE


def test_a_dispute_marks_both_is_opened_once_and_settled_when_one_gives_way(
    ledger: Ledger, cycle: str
) -> None:
    dispute = Dispute(memory_id="mem-a", other_id="mem-b", variance=0.5, why="dog or cat")
    ledger.apply(cycle, "one", [dispute], {})
    ledger.apply(cycle, "two", [Dispute(memory_id="mem-b", other_id="mem-a", variance=0.5)], {})
    assert [state(ledger, name) for name in ("mem-a", "mem-b")] == [MemoryState.DISPUTED] * 2
    assert open_disputes(ledger) == 1
    ledger.edit("mem-a", cause="user", state=MemoryState.SUPERSEDED)
    assert open_disputes(ledger) == 0


def open_disputes(ledger: Ledger) -> int:
    with ledger._readers.snapshot() as connection:
        row = connection.execute("SELECT count(*) AS open FROM disputes WHERE settled_at IS NULL").fetchone()
    return int(row["open"])


def test_what_a_person_pinned_does_not_fade(ledger: Ledger, cycle: str) -> None:
    ledger.edit("mem-a", cause="user", pinned=True)
    assert ledger.apply(cycle, "decay", [Fade(memory_id="mem-a", strength=0.0)], {}) == {"refused": 1}
    assert state(ledger, "mem-a") is MemoryState.ACTIVE


@pytest.mark.parametrize(
    "proposal", [Fade(memory_id="mem-a", strength=0.0), Weaken(memory_id="mem-a", strength=0.0)]
)
def test_nothing_sleep_does_changes_what_was_forgotten(
    ledger: Ledger, cycle: str, proposal: Proposal
) -> None:
    ledger.forget("mem-a", hard=False, cause="user")
    before = ledger.memory("mem-a")
    again = Reinforce(memory_id="mem-a", sources=(), strength=3.0, frequency=9)
    assert ledger.apply(cycle, "late", [proposal, again], {}) == {"refused": 2}
    assert ledger.memory("mem-a") == before


def test_a_verdict_takes_its_message_out_of_the_next_gathering(
    ledger: Ledger, message: str, cycle: str
) -> None:
    assert [one.id for one in ledger.ungathered("default")] == [message]
    verdict = Verdict(message_id=message, admitted=False, score=0.1, reason="small talk")
    assert ledger.apply(cycle, "gate", [verdict], {}) == {"verdict": 1}
    assert ledger.ungathered("default") == []


def test_gathering_is_by_time_bounded_and_within_the_scope(ledger: Ledger) -> None:
    for minute in (3, 1, 2):
        late = a_turn(f"minute {minute}", thread_id=f"thr-{minute}", started_at=EPOCH.replace(minute=minute))
        ledger.record_turn(late)
    ledger.record_turn(a_turn("other", scope="bob", thread_id="thr-bob"))
    assert [one.text for one in ledger.ungathered("default", limit=2)] == ["minute 1", "minute 2"]


# --- the cache of answers -------------------------------------------------------------------------------


def test_the_model_is_not_asked_twice(ledger: Ledger) -> None:
    assert ledger.cached_completion("k") is None
    for text in ("first", "second " * 9_000):
        ledger.store_completion("k", model="m", text=text, prompt_tokens=1, reply_tokens=2)
        assert ledger.cached_completion("k") == text
