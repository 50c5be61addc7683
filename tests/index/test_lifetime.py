"""Promise: threads come and go, reindexing and stopping happen under load, and the index neither leaks nor breaks."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ltmld.core.hit import Unit
from ltmld.errors import IndexBrokenError
from ltmld.index.gate import Gate
from ltmld.index.index import LocalIndex
from ltmld.index.readers import READERS_MAX
from tests.support.embedders import WordEmbedder

UNITS = [
    Unit(id=f"m{number}", scope="s", kind="message", text=f"bicycle {number}", embed_text=f"bicycle {number}")
    for number in range(20)
]


def connections(index: LocalIndex) -> int:
    return len(index._fulltext._readers._idle)


def test_threads_that_come_and_go_leave_no_connection_behind(index: LocalIndex) -> None:
    index.upsert(UNITS)
    for _ in range(50):
        thread = threading.Thread(target=lambda: index.lexical("bicycle", scope="s", limit=3))
        thread.start()
        thread.join(10)
    assert connections(index) == 1


def test_more_threads_than_connections_take_turns(index: LocalIndex) -> None:
    index.upsert(UNITS)
    together = threading.Barrier(3 * READERS_MAX)
    seen: list[int] = []

    def read() -> None:
        together.wait(10)
        seen.append(len(index.lexical("bicycle", scope="s", limit=30)))

    threads = [threading.Thread(target=read) for _ in range(3 * READERS_MAX)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == [20] * len(threads)
    assert connections(index) <= READERS_MAX


def test_a_reindex_while_others_search_breaks_nothing(index: LocalIndex, tmp_path: Path) -> None:
    index.upsert(UNITS)
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            index.semantic("bicycle 3", scope="s", limit=3)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        index.wipe()
        index.upsert(UNITS)
    done.set()
    for thread in threads:
        thread.join(10)
    assert index.broken == ""
    assert [path.name for path in (tmp_path / "index").glob("chroma*")] == ["chroma"]
    assert index.semantic("bicycle 3", scope="s", limit=1)[0].unit_id == "m3"


def test_whoever_wants_to_be_alone_goes_before_those_who_come_later() -> None:
    gate, order, inside, waiting = Gate(), [], threading.Event(), threading.Event()
    leave = threading.Event()

    def first() -> None:
        with gate.together():
            inside.set()
            assert leave.wait(10)
            order.append("first")

    def alone() -> None:
        assert inside.wait(10)
        waiting.set()
        with gate.alone():
            order.append("alone")

    def later() -> None:
        with gate.together():
            order.append("later")

    threads = [threading.Thread(target=first), threading.Thread(target=alone)]
    for thread in threads:
        thread.start()
    assert waiting.wait(10)
    pause = threading.Event()
    while not gate._alone_waiting:
        pause.wait(0.001)
    threads.append(threading.Thread(target=later))
    threads[-1].start()
    leave.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "alone", "later"]


def test_a_closed_index_refuses_and_is_not_begun_anew(tmp_path: Path) -> None:
    index = LocalIndex(tmp_path, WordEmbedder())
    index.upsert(UNITS)
    vectors = index._store._vectors
    assert vectors is not None
    index.close()
    with pytest.raises(IndexBrokenError, match="was closed"):
        vectors.nearest("s", WordEmbedder().embed(["bicycle"]), embedder="words/1", limit=1)
    for ask in (index.semantic, index.lexical):
        with pytest.raises(IndexBrokenError, match="was closed"):
            ask("bicycle", scope="s", limit=1)
    with pytest.raises(IndexBrokenError):
        index.upsert(UNITS)
    assert vectors._client is None
    assert [path.name for path in tmp_path.glob("chroma*")] == ["chroma"]


def test_closing_waits_for_the_searches_that_run(tmp_path: Path) -> None:
    index = LocalIndex(tmp_path, WordEmbedder())
    index.upsert(UNITS)
    begun, ended = threading.Barrier(4), []

    def search() -> None:
        begun.wait(10)
        try:
            while True:
                index.semantic("bicycle 3", scope="s", limit=3)
        except IndexBrokenError as error:
            ended.append(str(error))

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait(10)
    index.close()
    for thread in threads:
        thread.join(10)
    assert len(ended) == 3
    assert all("was closed" in words for words in ended)


def test_reading_a_scope_makes_nothing(index: LocalIndex) -> None:
    index.upsert(UNITS)
    assert index._store._vectors is not None
    for number in range(5):
        assert index.semantic("bicycle", scope=f"unknown {number}", limit=3) == []
        index.delete(f"unknown {number}", ["m1"])
    assert len(index._store._vectors._started().list_collections()) == 1


@pytest.mark.parametrize("there", [False, True])
def test_only_its_owner_may_look_into_the_folder(tmp_path: Path, *, there: bool) -> None:
    folder = tmp_path / "index"
    if there:
        folder.mkdir()
        folder.chmod(0o755)
    index = LocalIndex(folder, None)
    assert folder.stat().st_mode & 0o777 == 0o700
    index.close()


def files_with(folder: Path, word: str) -> list[str]:
    paths = [Path(top) / name for top, _, names in os.walk(folder) for name in names]
    return [path.name for path in paths if word.encode() in path.read_bytes().lower()]


def secret(number: int) -> Unit:
    word = f"zwetschgenknoedel{number:03d}"
    return Unit(
        id=f"mem-{number}",
        scope="s",
        kind="fact",
        text=f"Ada: {word} " + "pad " * (number % 23),
        embed_text=word,
    )


def test_removed_words_are_in_no_file_of_the_index(index: LocalIndex, tmp_path: Path) -> None:
    index.upsert([secret(1), *UNITS])
    index.upsert([Unit(id="mem-1", scope="s", kind="fact", text="zwetschgenknoedel edited", embed_text="z")])
    assert files_with(tmp_path, "zwetschgenkn")
    index.delete("s", ["mem-1"])
    index.mended()
    assert files_with(tmp_path, "zwetschgenkn") == []
    assert len(index.lexical("bicycle", scope="s", limit=30)) == 20


def test_words_removed_from_among_many_leave_no_copy_in_moved_pages(
    index: LocalIndex, tmp_path: Path
) -> None:
    for start in range(0, 300, 20):
        index.upsert([secret(number) for number in range(start, start + 20)])
    gone = list(range(0, 300, 29))
    for number in gone:
        index.delete("s", [f"mem-{number}"])
        index.mended()
    assert [number for number in gone if files_with(tmp_path, f"zwetschgenknoedel{number:03d}")] == []
    assert index.lexical("zwetschgenknoedel001", scope="s", limit=3)[0].unit_id == "mem-1"


def test_a_reindex_leaves_no_removed_words(index: LocalIndex, tmp_path: Path) -> None:
    index.upsert([secret(1), *UNITS])
    index.wipe()
    index.upsert(UNITS)
    index.mended()
    assert files_with(tmp_path, "zwetschgenkn") == []


def test_words_removed_before_a_crash_are_purged_after_it(tmp_path: Path) -> None:
    index = LocalIndex(tmp_path, None)
    index.upsert([secret(1), *UNITS])
    index.delete("s", ["mem-1"])
    index.close()
    again = LocalIndex(tmp_path, None)
    again.mended()
    assert files_with(tmp_path, "zwetschgenkn") == []
    again.close()
