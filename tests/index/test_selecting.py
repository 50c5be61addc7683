"""Promise: full text ranks no more than it can in time, and a small scope is ranked exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltmld.core.hit import Unit
from ltmld.index import selecting
from ltmld.index.index import LocalIndex
from ltmld.index.selecting import POSTINGS_MAX, Frequencies, any_of

MANY = POSTINGS_MAX + 2000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> LocalIndex:
    """Return an index in which "often" and "common" are everywhere, "half" in every second, "seldom" in a few."""
    index = LocalIndex(tmp_path_factory.mktemp("large"), None)
    texts = (
        "often common" + (" half" if number % 2 else "") + (" seldom" if number % 1000 == 7 else "")
        for number in range(MANY)
    )
    index.upsert(
        [
            Unit(id=f"m{number}", scope="s", kind="message", text=text, embed_text="")
            for number, text in enumerate(texts)
        ]
    )
    return index


def match(index: LocalIndex, *words: str) -> selecting.Selection:
    with index._fulltext._readers.one() as connection:
        return Frequencies().select(connection, 1, words)


def test_a_frequent_word_beside_a_rare_one_is_left_out(large: LocalIndex) -> None:
    assert match(large, "often", "seldom", "common").match == any_of(["seldom"])
    assert large.lexical("often seldom common", scope="s", limit=3)[0].unit_id in {"m7", "m1007", "m2007"}


def test_frequent_words_alone_must_come_together_or_be_late(large: LocalIndex) -> None:
    chosen = match(large, "often", "common")
    assert " AND " in chosen.match
    assert chosen.after > 0
    found = large.lexical("often common", scope="s", limit=10)
    assert len(found) == 10
    assert all(int(unit.unit_id[1:]) >= MANY - POSTINGS_MAX - 10 for unit in found)


def test_one_frequent_word_alone_is_answered(large: LocalIndex) -> None:
    assert len(large.lexical("often", scope="s", limit=5)) == 5


def test_a_word_that_nobody_said_costs_nothing_and_hides_nothing(large: LocalIndex) -> None:
    assert match(large, "unheard", "seldom").match == any_of(["seldom"])
    assert large.lexical("unheard", scope="s", limit=3) == []


def test_a_small_scope_is_asked_for_every_word(tmp_path: Path) -> None:
    index = LocalIndex(tmp_path, None)
    index.upsert([Unit(id="a", scope="s", kind="message", text="red bicycle", embed_text="")])
    assert match(index, "red", "bicycle") == selecting.Selection(match=any_of(["red", "bicycle"]))
    index.close()


def test_a_document_as_a_query_is_answered(large: LocalIndex) -> None:
    query = 'often common half seldom NEAR(* "x" -y ' * 2500
    assert len(query) > 90_000
    assert large.lexical(query, scope="s", limit=5)
