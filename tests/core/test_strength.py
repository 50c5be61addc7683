"""Strength falls with age, rises with use, and moves a ranking only within its bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.strength import (
    MULTIPLIER_MAX,
    MULTIPLIER_MIN,
    decayed,
    multiplier,
    reinforced,
    stability_days,
)

BORN = datetime(2026, 1, 1, tzinfo=UTC)
strengths = st.floats(0, 5)
ages = st.floats(0, 3650)


@given(strengths, ages, ages, st.floats(0.1, 1000))
def test_strength_never_grows_with_age(strength: float, first: float, more: float, stability: float) -> None:
    young, old = (
        decayed(strength, since=BORN, now=BORN + timedelta(days=days), stability_days=stability)
        for days in (first, first + more)
    )
    assert old <= young <= strength


@given(strengths)
def test_use_strengthens_and_never_beyond_the_ceiling(strength: float) -> None:
    assert strength <= reinforced(strength) <= 5.0


@given(st.floats(0, 1), st.integers(1, 1000), st.integers(1, 1000))
def test_what_is_met_more_often_holds_longer(importance: float, times: int, more: int) -> None:
    seldom = stability_days(importance=importance, frequency=times)
    assert stability_days(importance=importance, frequency=times + more) > seldom


@given(st.floats(-10, 100))
def test_strength_moves_a_ranking_only_within_its_bounds(strength: float) -> None:
    assert MULTIPLIER_MIN <= multiplier(strength) <= MULTIPLIER_MAX


def test_after_its_stability_a_memory_holds_a_third() -> None:
    value = decayed(1.0, since=BORN, now=BORN + timedelta(days=30), stability_days=30)
    assert round(value, 3) == 0.368


def test_a_clock_set_back_does_not_strengthen() -> None:
    assert decayed(0.5, since=BORN, now=BORN - timedelta(days=3), stability_days=30) == 0.5
