"""Promise: damage to the index is told and repaired from the ledger; full text goes on whatever happens to vectors."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from ltmld.core.hit import Unit
from ltmld.errors import IndexBrokenError
from ltmld.index.index import LocalIndex
from tests.support.embedders import WordEmbedder

UNITS = [
    Unit(
        id=f"m{number}",
        scope="s",
        kind="message",
        text=f"Ada: red bicycle {number}",
        embed_text=f"bicycle {number}",
    )
    for number in range(20)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a closed index that holds twenty units."""
    index = LocalIndex(tmp_path / "index", WordEmbedder())
    index.upsert(UNITS)
    index.refilled()
    index.close()
    return tmp_path / "index"


def scribble(folder: Path) -> None:
    (folder / "chroma" / "chroma.sqlite3").write_bytes(b"no database at all" * 500)


def not_a_folder(folder: Path) -> None:
    shutil.rmtree(folder / "chroma")
    (folder / "chroma").write_text("a file", "utf-8")


@pytest.mark.parametrize("damage", [scribble, not_a_folder])
def test_a_damaged_chroma_folder_is_moved_aside_and_made_again(folder: Path, damage: object) -> None:
    assert callable(damage)
    damage(folder)
    index = LocalIndex(folder, WordEmbedder())
    assert "chroma.broken-1" in index.broken
    assert "made again from the ledger" in index.broken
    assert index.stale
    assert (folder / "chroma.broken-1").exists()
    assert len(index.lexical("bicycle", scope="s", limit=30)) == 20
    assert index.semantic("bicycle 3", scope="s", limit=5) == []
    index.upsert(UNITS)
    assert index.semantic("bicycle 3", scope="s", limit=5)[0].unit_id == "m3"
    index.mended()
    assert index.broken == ""
    index.close()


def test_damage_is_moved_aside_again_and_again(folder: Path) -> None:
    for number in (1, 2):
        scribble(folder)
        index = LocalIndex(folder, WordEmbedder())
        assert f"chroma.broken-{number}" in index.broken
        index.close()


def test_vectors_that_vanished_are_noticed(tmp_path: Path) -> None:
    index = LocalIndex(tmp_path, WordEmbedder())
    # Chroma writes a collection's own files from a thousand vectors on.
    index.upsert(
        [
            Unit(id=f"m{i}", scope="s", kind="message", text="x", embed_text=f"bicycle {i}")
            for i in range(1200)
        ]
    )
    index.refilled()
    index.close()
    gone = [path for path in (tmp_path / "chroma").iterdir() if path.is_dir()]
    assert gone
    for path in gone:
        shutil.rmtree(path)
    index = LocalIndex(tmp_path, WordEmbedder())
    assert "has lost vectors" in index.broken
    assert index.stale
    index.close()


def test_chroma_that_breaks_while_serving_leaves_full_text(folder: Path) -> None:
    index = LocalIndex(folder, WordEmbedder())
    assert index._store._vectors is not None
    index._store._vectors._started().delete_collection(
        next(iter(index._store._vectors._started().list_collections())).name
    )
    assert index.semantic("bicycle 3", scope="s", limit=5) == []
    assert len(index.lexical("bicycle", scope="s", limit=30)) == 20
    index.close()


def test_an_embedder_that_fails_leaves_full_text_and_is_made_up_for(folder: Path) -> None:
    embedder = WordEmbedder()
    index = LocalIndex(folder, embedder)
    embedder.fails = True
    index.upsert([Unit(id="new", scope="s", kind="message", text="Ada: violin", embed_text="violin")])
    assert index.lexical("violin", scope="s", limit=3)[0].unit_id == "new"
    assert index.semantic("violin", scope="s", limit=3) == []
    assert "broken on purpose" in index.broken
    index.close()
    again = LocalIndex(folder, WordEmbedder())
    assert [lacking.owner for lacking in again.missing(9)] == ["new"]
    again.close()


def test_damaged_full_text_is_moved_aside_and_made_again(folder: Path) -> None:
    (folder / "fulltext.sqlite3").write_bytes(b"no database at all" * 500)
    index = LocalIndex(folder, WordEmbedder())
    assert "fulltext.sqlite3.broken-1" in index.broken
    assert index.stale
    index.upsert(UNITS)
    assert len(index.lexical("bicycle", scope="s", limit=30)) == 20
    index.close()


def test_full_text_that_breaks_while_serving_is_told(index: LocalIndex) -> None:
    index.upsert(UNITS)
    with sqlite3.connect(index._fulltext._path) as connection:
        connection.execute("DROP TABLE units")
    with pytest.raises(IndexBrokenError, match="Start ltmld again"):
        index.lexical("bicycle", scope="s", limit=3)


def test_what_was_moved_aside_is_removed_once_all_is_made_again(folder: Path) -> None:
    """It may hold words that somebody wants forgotten."""
    scribble(folder)
    (folder / "fulltext.sqlite3").write_bytes(b"no database, but bicycle words" * 500)
    index = LocalIndex(folder, WordEmbedder())
    assert len(list(folder.glob("*.broken-*"))) == 2
    index.upsert(UNITS)
    index.mended()
    assert not list(folder.glob("*.broken-*"))
    index.close()
