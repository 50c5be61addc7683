"""Promise: the index finds what it was given, in its scope alone, and a repeated word changes nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltmld.core.hit import Unit
from ltmld.errors import IndexBrokenError
from ltmld.index.index import LocalIndex
from ltmld.index.vectors import collection_name
from tests.support.embedders import WordEmbedder


def a_unit(
    name: str, text: str, *, scope: str = "s", kind: str = "message", extra: tuple[str, ...] = ()
) -> Unit:
    return Unit(
        id=name, scope=scope, kind=kind, text=f"[8 May 2023] Ada: {text}", embed_text=text, extra_texts=extra
    )


def lexical(index: LocalIndex, query: str, scope: str = "s") -> list[str]:
    return [found.unit_id for found in index.lexical(query, scope=scope, limit=10)]


def semantic(index: LocalIndex, query: str, scope: str = "s") -> list[str]:
    return [found.unit_id for found in index.semantic(query, scope=scope, limit=10)]


def test_both_halves_find_the_best_first(index: LocalIndex) -> None:
    index.upsert([a_unit("a", "the red bicycle"), a_unit("b", "a red violin"), a_unit("c", "green tea")])
    assert lexical(index, "Where is the bicycle, the red one?")[:2] == ["a", "b"]
    assert semantic(index, "red violin")[0] == "b"


def test_stems_match(index: LocalIndex) -> None:
    index.upsert([a_unit("a", "we were hiking")])
    assert lexical(index, "hikes") == ["a"]


def test_scopes_are_walls(index: LocalIndex) -> None:
    index.upsert([a_unit("a", "red bicycle", scope="one"), a_unit("a", "red violin", scope="two")])
    assert lexical(index, "bicycle", "one") == ["a"]
    assert lexical(index, "bicycle", "two") == []
    assert semantic(index, "bicycle", "three") == []
    index.delete("one", ["a"])
    assert lexical(index, "violin", "two") == semantic(index, "violin", "two") == ["a"]


def test_the_best_vector_of_a_unit_counts(index: LocalIndex) -> None:
    index.upsert([a_unit("a", "something else", extra=("who plays violin",)), a_unit("b", "plays tennis")])
    found = index.semantic("who plays violin", scope="s", limit=10)
    assert [unit.unit_id for unit in found] == ["a", "b"]
    assert found[0].score == pytest.approx(1.0, abs=1e-3)


def test_a_repeated_upsert_embeds_nothing(index: LocalIndex, embedder: WordEmbedder) -> None:
    units = [a_unit("a", "red bicycle", extra=("two wheels",)), a_unit("b", "green tea")]
    index.upsert(units)
    embedder.texts.clear()
    index.upsert(units)
    assert embedder.texts == []
    assert index.count("s") == 2


def test_a_changed_unit_is_found_by_its_new_words_alone(index: LocalIndex) -> None:
    index.upsert([a_unit("a", "red bicycle", extra=("two wheels", "a bell"))])
    index.upsert([a_unit("a", "green tea", extra=("hot water",))])
    assert lexical(index, "bicycle") == []
    assert lexical(index, "tea") == ["a"]
    best = index.semantic("a bell", scope="s", limit=10)[0]
    assert best.score < 0.6


def test_deleting_a_message_deletes_its_passages_and_further_vectors(index: LocalIndex) -> None:
    index.upsert([a_unit("m:0", "red bicycle", kind="passage"), a_unit("m:1", "green tea", kind="passage")])
    index.upsert([a_unit("x", "violin", extra=("strings",))])
    index.delete("s", ["m", "unknown"])
    assert semantic(index, "red bicycle green tea") == ["x"]
    index.delete("s", ["x"])
    assert (index.count("s"), lexical(index, "violin"), semantic(index, "strings")) == (0, [], [])


def test_similar_returns_memories_alone(index: LocalIndex) -> None:
    index.upsert([a_unit(f"m{number}", "Ada likes tea") for number in range(5)])
    assert index.similar(["Ada likes tea"], scope="s", limit=3) == [[]]
    index.upsert([a_unit("f1", "Ada likes green tea", kind="fact"), a_unit("f2", "Bo sails", kind="event")])
    first, second = index.similar(["Ada likes tea", "Bo sails"], scope="s", limit=1)
    assert [unit.unit_id for unit in first] == ["f1"]
    assert [unit.unit_id for unit in second] == ["f2"]
    assert index.similar([], scope="s", limit=3) == []


def test_names_are_known_per_scope(index: LocalIndex) -> None:
    index.upsert([Unit(id="a", scope="s", kind="message", text="x", embed_text="x", name="Ada")])
    assert index.names("s") == {"Ada"}
    assert index.names("t") == frozenset()


def test_wipe_empties_everything_and_asks_for_all(index: LocalIndex) -> None:
    index.upsert([a_unit("a", "red bicycle")])
    index.wipe()
    assert (index.count("s"), lexical(index, "bicycle"), semantic(index, "bicycle")) == (0, [], [])
    assert index.stale
    index.upsert([a_unit("a", "red bicycle")])
    assert lexical(index, "bicycle") == semantic(index, "bicycle") == ["a"]


def test_what_was_indexed_is_there_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        index = LocalIndex(tmp_path / "index", WordEmbedder())
        if index.stale:
            index.upsert([a_unit("a", "red bicycle")])
            index.refilled()
        assert lexical(index, "bicycle") == semantic(index, "bicycle") == ["a"]
        assert index.broken == ""
        index.close()


def test_without_an_embedder_full_text_works_alone(tmp_path: Path) -> None:
    index = LocalIndex(tmp_path / "index", None)
    index.upsert([a_unit("a", "red bicycle")])
    assert (lexical(index, "bicycle"), semantic(index, "bicycle")) == (["a"], [])
    assert index.similar(["x"], scope="s", limit=2) == [[]]
    index.close()


def test_another_embedder_makes_all_vectors_again(tmp_path: Path) -> None:
    first = LocalIndex(tmp_path / "index", WordEmbedder())
    first.upsert([a_unit("a", "red bicycle")])
    first.refilled()
    first.close()
    second = LocalIndex(tmp_path / "index", WordEmbedder(name="words/2", dimension=32))
    assert second.stale
    assert (lexical(second, "bicycle"), semantic(second, "bicycle")) == (["a"], [])
    second.upsert([a_unit("a", "red bicycle")])
    assert semantic(second, "bicycle") == ["a"]
    second.close()


def test_vectors_of_a_run_without_embedder_are_made_later(tmp_path: Path) -> None:
    for embedder in (WordEmbedder(), None):
        index = LocalIndex(tmp_path / "index", embedder)
        index.upsert([a_unit("a" if embedder else "b", "red bicycle")])
        index.refilled()
        index.close()
    index = LocalIndex(tmp_path / "index", WordEmbedder())
    assert [lacking.owner for lacking in index.missing(9)] == ["b"]
    index.close()


@settings(max_examples=60)
@given(text=st.text(max_size=80))
def test_any_text_is_a_query(index: LocalIndex, text: str) -> None:
    index.upsert([a_unit("a", "red bicycle")])
    assert lexical(index, text) in ([], ["a"])


def test_threads_read_while_one_writes(index: LocalIndex) -> None:
    index.upsert([a_unit("a", "red bicycle")])
    seen: list[bool] = []

    def read() -> None:
        seen.extend(
            lexical(index, "bicycle")[:1] == ["a"] and semantic(index, "red bicycle")[:1] == ["a"]
            for _ in range(20)
        )

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(20):
        index.upsert([a_unit(f"w{number}", f"green tea {number}")])
    for reader in readers:
        reader.join()
    assert seen == [True] * 60


def test_a_folder_that_cannot_be_made_is_named_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    index = LocalIndex(tmp_path / "file" / "index", WordEmbedder())
    assert "cannot be made" in index.broken
    assert index.standing()["broken"] == index.broken
    for call in (
        lambda: index.upsert([a_unit("a", "tea")]),
        lambda: index.lexical("tea", scope="s", limit=3),
    ):
        with pytest.raises(IndexBrokenError, match=r"cannot be made.*Make it writable"):
            call()
    (tmp_path / "file").unlink()
    index.look_after()
    assert index.broken == ""
    assert index.stale
    index.upsert([a_unit("a", "tea")])
    assert lexical(index, "tea") == semantic(index, "tea") == ["a"]
    index.close()


def test_collections_differ_by_scope_and_embedder() -> None:
    assert len({collection_name(scope, name) for scope in ("a", "b") for name in ("x", "y")}) == 4
