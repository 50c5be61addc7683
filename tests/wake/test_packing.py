"""Promise: packing never exceeds the budget, says nothing twice, and tells things in the order they happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.hit import Hit
from ltmld.core.tokens import estimate
from ltmld.wake.packing import Line, packed

START = datetime(2024, 1, 1, tzinfo=UTC)
_ids = count()


def a_line(
    words: str, *, day: int = 0, kind: str = "message", behind: tuple[str, ...] = (), match: float = 0.0
) -> Line:
    name, at = f"u{next(_ids)}", START + timedelta(days=day)
    hit = Hit(
        id=name, kind=kind, text=f"[{at:%Y-%m-%d}] {words}", score=1.0, at=at, message_ids=behind or (name,)
    )
    return Line(hit=hit, at=at, order=("t", day), match=match)


def told(*lines: Line, budget: float = 1000, k: int = 100) -> list[str]:
    return [hit.text.partition("] ")[2] for hit in packed(lines, budget_tokens=budget, k=k).hits]


def test_hits_are_best_first_and_the_text_chronological() -> None:
    found = packed([a_line("late", day=9), a_line("early", day=1)], budget_tokens=100, k=10)
    assert [hit.text[13:] for hit in found.hits] == ["late", "early"]
    assert found.text == "[2024-01-02] early\n[2024-01-10] late"


def test_what_does_not_fit_makes_room_for_what_does() -> None:
    assert told(a_line("word " * 50), a_line("short"), budget=10) == ["short"]


def test_the_same_words_come_once() -> None:
    assert told(a_line("Ada: yes"), a_line("Ada: Yes"), a_line("Bo: yes")) == ["Ada: yes", "Bo: yes"]


def test_near_duplicates_come_once_and_what_differs_by_one_word_that_counts_stays() -> None:
    lines = [
        "Ada: I really love the sea!",
        "Ada: so, I love the sea",
        "Ada: I love the seas",
        "Ada: I don't love the sea",
        "Ada: I love the 3 seas",
    ]
    assert told(*map(a_line, lines)) == [lines[0], *lines[2:]]


def test_a_message_that_meets_the_question_better_than_its_fact_is_told_beside_it() -> None:
    fact, other = a_line("fact", kind="fact", behind=("m1",), match=1.0), a_line("other")
    for match, texts in ((1.4, ["fact", "other", "said"]), (1.6, ["fact", "said", "other"])):
        assert told(fact, a_line("said", behind=("m1",), match=match), other) == texts


def test_a_message_whose_fact_is_in_comes_last() -> None:
    fact, message, other = (
        a_line("fact", kind="fact", behind=("m1",)),
        a_line("said", behind=("m1",)),
        a_line("other"),
    )
    assert told(fact, message, other) == ["fact", "other", "said"]
    assert told(fact, message, other, k=2) == ["fact", "other"]
    assert told(fact, message, other, budget=2 * 2.6) == ["fact", "other"]


def test_a_fact_all_of_whose_messages_are_in_comes_last() -> None:
    message, fact, other = (
        a_line("said", behind=("m1",)),
        a_line("fact", kind="fact", behind=("m1",)),
        a_line("other"),
    )
    assert told(message, fact, other) == ["said", "other", "fact"]


def test_two_facts_of_one_message_both_come() -> None:
    lines = [a_line(words, kind="fact", behind=("m1",)) for words in ("one", "two")]
    assert told(*lines) == ["one", "two"]


def test_a_budget_is_no_wish() -> None:
    assert told(a_line("one"), a_line("two"), budget=5.1) == ["one"]
    assert told(a_line("one"), a_line("two"), budget=5.2) == ["one", "two"]


def test_nothing_fits_into_nothing() -> None:
    assert told(a_line("x"), budget=0) == told(a_line("x"), k=0) == []


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from(["message", "fact"]), st.integers(0, 5)),
        min_size=4,
        max_size=20,
    ),
    st.floats(0, 60),
    st.integers(0, 12),
)
def test_budget_and_number_are_kept(shapes: list[tuple[int, str, int]], budget: float, k: int) -> None:
    lines = [
        a_line(f"w{place} " * size, kind=kind, behind=(f"m{behind}",))
        for place, (size, kind, behind) in enumerate(shapes)
    ]
    found = packed(lines, budget_tokens=budget, k=k)
    assert sum(estimate(hit.text) for hit in found.hits) <= budget + 1e-6
    assert len(found.hits) <= k
    assert len({hit.id for hit in found.hits}) == len(found.hits)
    assert sorted(found.text.splitlines()) == sorted(hit.text for hit in found.hits)
