"""Promise: strength only falls here, the protected keep theirs, and many short sleeps cost what one long one does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.memory import Memory, MemoryKind, MemoryState
from ltmld.core.proposal import Fade, Weaken
from ltmld.sleep.decay import decay
from ltmld.sleep.overlay import overlaid
from tests.support.ledgers import EPOCH, a_memory


def step(memory: Memory, *, days: float, last_day: float | None = None) -> list[Fade | Weaken]:
    return decay(
        [memory],
        now=EPOCH + timedelta(days=days),
        last_step_at=None if last_day is None else EPOCH + timedelta(days=last_day),
        floor=0.05,
        base_days=30.0,
    )


def test_what_nobody_uses_weakens_and_then_fades() -> None:
    memory = a_memory()
    assert isinstance(step(memory, days=5)[0], Weaken)
    assert isinstance(step(memory, days=400)[0], Fade)


@pytest.mark.parametrize(
    "settings",
    [{"pinned": True}, {"kind": MemoryKind.IDENTITY}, {"state": MemoryState.DISPUTED}],
)
def test_the_protected_keep_their_strength(settings: dict[str, Any]) -> None:
    assert step(a_memory(**settings), days=4000) == []


def test_a_day_has_one_step() -> None:
    memory = a_memory()
    assert step(memory, days=10, last_day=9.5) == []
    assert step(memory, days=0.5) == []
    assert len(step(memory, days=10, last_day=9)) == 1


def test_use_starts_the_clock_again() -> None:
    used = a_memory(used_at=EPOCH + timedelta(days=39))
    assert step(used, days=40)[0].strength > step(a_memory(), days=40)[0].strength


def test_what_is_rare_and_important_outlives_small_talk() -> None:
    rare = a_memory(importance=0.9)
    often = a_memory(importance=0.9, frequency=2)
    small = a_memory(importance=0.3)
    strengths = [step(memory, days=60)[0].strength for memory in (rare, often, small)]
    assert strengths[0] > strengths[1] > strengths[2]


@given(st.floats(0.06, 5.0), st.floats(0, 1), st.integers(1, 50), st.floats(0, 3000))
def test_strength_never_rises(strength: float, importance: float, frequency: int, days: float) -> None:
    memory = a_memory(strength=strength, importance=importance, frequency=frequency)
    for proposal in step(memory, days=days):
        assert 0.0 <= proposal.strength <= strength


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_many_steps_end_where_one_does(gaps: list[int]) -> None:
    memory, last = a_memory(strength=5.0), 0
    for gap in gaps:
        memory = overlaid([memory], step(memory, days=last + gap, last_day=last or None))[0]
        last += gap
    once = step(a_memory(strength=5.0), days=last)[0].strength
    assert memory.strength == pytest.approx(once)
