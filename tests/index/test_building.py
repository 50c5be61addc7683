"""Promise: another embedder's vectors are built beside those in use; the swap is all at once, and survives a crash."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.hit import Unit
from ltmld.index.building import choice
from ltmld.index.index import LocalIndex
from ltmld.index.vectors import Vectors
from tests.support.embedders import WordEmbedder

OLD, NEW = "words/1", "words/2"
UNITS = {
    f"m{number}": Unit(
        id=f"m{number}",
        scope="s",
        kind="message",
        text=f"Ada: bicycle {number}",
        embed_text=f"bicycle {number}",
    )
    for number in range(20)
}


def another() -> WordEmbedder:
    return WordEmbedder(name=NEW, dimension=32)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[LocalIndex]:
    index = LocalIndex(tmp_path, WordEmbedder())
    index.refilled()
    index.upsert(list(UNITS.values()))
    yield index
    index.close()


def build(index: LocalIndex, *, most: int = 1000) -> int:
    """Hand over what lacks vectors, as the feeder does, and swap when nothing does; return how many."""
    done = 0
    while done < most and (lacking := index.missing(5)):
        index.upsert([UNITS[each.owner] for each in lacking])
        done += len(lacking)
    index.swap_when_built()
    return done


def nearest(index: LocalIndex, query: str) -> list[str]:
    return [found.unit_id for found in index.semantic(query, scope="s", limit=3)]


def collections(index: LocalIndex) -> set[str]:
    vectors = index._store._vectors
    assert vectors is not None
    return {found.metadata["embedder"] for found in vectors._started().list_collections()}


def test_the_old_vectors_answer_until_all_new_ones_are_there(filled: LocalIndex) -> None:
    made = another()
    filled.build_beside(made, key="mine", over="default")
    assert build(filled, most=10) == 10
    assert filled.standing()["building"] == {"embedder": NEW, "done": 10, "total": 20}
    assert filled.in_use is not made
    assert nearest(filled, "bicycle 3")[0] == "m3"
    assert build(filled) == 10
    assert filled.in_use is made
    assert nearest(filled, "bicycle 3")[0] == "m3"
    assert collections(filled) == {NEW}
    assert filled.standing() == {"broken": "", "missing": 0, "building": None}


def test_what_comes_and_goes_meanwhile_is_right_in_both(filled: LocalIndex) -> None:
    filled.build_beside(another(), key="mine", over="default")
    build(filled, most=10)
    late = Unit(id="late", scope="s", kind="message", text="Ada: violin", embed_text="violin")
    changed = Unit(id="m1", scope="s", kind="message", text="Ada: green tea", embed_text="green tea")
    filled.upsert([late, changed])
    filled.delete("s", ["m2", "m19"])
    assert nearest(filled, "violin")[0] == "late"
    build(filled)
    for query, found in (("violin", "late"), ("green tea", "m1"), ("bicycle 5", "m5")):
        assert nearest(filled, query)[0] == found
    everything = [found.unit_id for found in filled.semantic("bicycle 2", scope="s", limit=50)]
    assert not {"m2", "m19"} & set(everything)
    assert len(everything) == 19


def test_a_crash_in_the_middle_goes_on_where_it_was(filled: LocalIndex, tmp_path: Path) -> None:
    filled.build_beside(another(), key="mine", over="default")
    build(filled, most=10)
    filled.close()
    found = choice(tmp_path)
    assert (found.in_use("default"), found.to_build("default")) == ("default", "mine")
    again, made = LocalIndex(tmp_path, WordEmbedder()), another()
    assert nearest(again, "bicycle 3")[0] == "m3"
    again.build_beside(made, key="mine", over="default")
    assert build(again) == 10
    assert sorted(made.texts) == sorted(UNITS[f"m{number}"].embed_text for number in range(10, 20))
    again.close()
    after = choice(tmp_path)
    assert (after.in_use("default"), after.to_build("default")) == ("mine", "")
    assert after.in_use("something new") == "something new", (
        "a changed setting counts more than an old command"
    )
    last = LocalIndex(tmp_path, another())
    assert not last.stale
    assert nearest(last, "bicycle 3")[0] == "m3"
    last.close()


def test_another_wish_in_the_middle_starts_over(filled: LocalIndex) -> None:
    filled.build_beside(another(), key="mine", over="default")
    build(filled, most=10)
    third = WordEmbedder(name="words/3", dimension=16)
    filled.build_beside(third, key="third", over="default")
    assert build(filled) == 20
    assert filled.in_use is third
    assert collections(filled) == {"words/3"}


def test_nothing_is_swapped_while_the_new_embedder_fails(filled: LocalIndex) -> None:
    made = another()
    filled.build_beside(made, key="mine", over="default")
    made.fails = True
    build(filled)
    assert filled.in_use is not made
    assert "broken on purpose" in filled.broken
    assert nearest(filled, "bicycle 3")[0] == "m3"


def test_searching_while_it_is_swapped_finds_something_every_time(filled: LocalIndex) -> None:
    done, empty = threading.Event(), []

    def search() -> None:
        while not done.is_set():
            if not nearest(filled, "bicycle 3"):
                empty.append(1)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(6):
        filled.build_beside(
            WordEmbedder(name=f"words/{number + 5}", dimension=20 + number), key="k", over="d"
        )
        build(filled)
    done.set()
    for thread in threads:
        thread.join(10)
    assert filled.broken == ""
    # A question that was under way when the old vectors went away is answered by words alone.
    assert len(empty) <= 2 * 6


@given(st.lists(st.integers(1, 96), min_size=1, max_size=3))
def test_a_vector_of_another_length_never_reaches_a_collection(
    filled: LocalIndex, lengths: list[int]
) -> None:
    """An embedder whose model was replaced under its name: nothing is asked with it, nothing is damaged by it."""
    assert isinstance(filled._store._vectors, Vectors)
    before = filled._store._vectors
    for length in lengths:
        if length == 64:
            continue
        impostor = WordEmbedder(name=OLD, dimension=length)
        found = filled._semantic.nearest(impostor, ["bicycle 3"], scope="s", limit=3)
        assert found == []
        assert not filled._semantic._write(impostor, "s", [UNITS["m1"]], {}, filled._building)
    assert filled._store._vectors is before
    filled._store.broken = ""
    assert nearest(filled, "bicycle 3")[0] == "m3"


def test_a_length_that_changed_is_told(filled: LocalIndex) -> None:
    filled._semantic.nearest(WordEmbedder(name=OLD, dimension=7), ["bicycle"], scope="s", limit=3)
    assert "vectors of 7 numbers, and the index has 64" in filled.broken
    assert not filled.stale
