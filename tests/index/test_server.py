"""Promise: vectors may live on a Chroma server; when it is away recall by words goes on, and the index catches up."""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import chromadb
import pytest
from chromadb.errors import InternalError

from ltmld.core.hit import Unit
from ltmld.index.chroma import ChromaServer, translated
from ltmld.index.index import LocalIndex
from ltmld.index.store import REST_S, VectorStore
from tests.support.chroma import ChromaRun, deaf_port, running_chroma
from tests.support.embedders import WordEmbedder


@pytest.fixture
def chroma(tmp_path: Path) -> Iterator[ChromaRun]:
    with running_chroma(tmp_path / "server") as running:
        yield running


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Let the sockets that Chroma's own client never closes go here, not in the midst of another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def a_unit(name: str, text: str) -> Unit:
    return Unit(id=name, scope="s", kind="message", text=f"Ada: {text}", embed_text=text)


def opened(
    folder: Path, url: str, *, deadline_s: float = 5.0, embedder: WordEmbedder | None = None
) -> LocalIndex:
    place = ChromaServer(url=url, folder=folder)
    index = LocalIndex(folder, embedder or WordEmbedder(), place=place, deadline_s=deadline_s)
    index.refilled()
    return index


def rested(index: LocalIndex) -> LocalIndex:
    """Let the pause after a failure be over, and look after what was away."""
    index._store._rests_until = 0.0
    index.look_after()
    return index


def semantic(index: LocalIndex, query: str) -> list[str]:
    return [found.unit_id for found in index.semantic(query, scope="s", limit=10)]


@contextmanager
def client(chroma: ChromaRun) -> Iterator[Any]:
    """Look at the server past ltmld."""
    made: Any = chromadb.HttpClient("127.0.0.1", chroma.port)
    try:
        yield made
    finally:
        ChromaServer(url=chroma.url, folder=chroma.folder).end(made)


def collections(chroma: ChromaRun) -> set[str]:
    with client(chroma) as looking:
        return {found.name for found in looking.list_collections()}


def filled(index: LocalIndex, units: dict[str, Unit]) -> None:
    """Hand over what lacks vectors, as the feeder does."""
    while lacking := index.missing(64):
        index.upsert([units[each.owner] for each in lacking])


def test_vectors_live_on_the_server_and_none_in_the_folder(chroma: ChromaRun, tmp_path: Path) -> None:
    index = opened(tmp_path / "index", chroma.url)
    index.upsert([a_unit("a", "red bicycle"), a_unit("b", "green tea")])
    assert semantic(index, "red bicycle")[0] == "a"
    assert index.broken == ""
    index.close()
    assert not (tmp_path / "index" / "chroma").exists()
    again = opened(tmp_path / "index", chroma.url)
    assert semantic(again, "green tea")[0] == "b"
    assert not again.missing(9)
    again.close()


def test_two_ltmlds_on_one_server_share_nothing_and_touch_only_their_own(
    chroma: ChromaRun, tmp_path: Path
) -> None:
    with client(chroma) as somebody:
        somebody.create_collection("somebody-elses")
    one, two = (opened(tmp_path / name, chroma.url) for name in ("one", "two"))
    one.upsert([a_unit("a", "red bicycle")])
    two.upsert([a_unit("b", "red bicycle")])
    assert (semantic(one, "red bicycle"), semantic(two, "red bicycle")) == (["a"], ["b"])
    one.wipe()
    assert semantic(two, "red bicycle") == ["b"]
    one.close()
    other = opened(tmp_path / "one", chroma.url, embedder=WordEmbedder(name="words/2", dimension=32))
    other.upsert([a_unit("a", "red bicycle")])
    assert "somebody-elses" in collections(chroma)
    assert len(collections(chroma)) == 3
    other.close()
    two.close()


def test_a_server_that_is_down_at_the_start_costs_nothing_but_vectors(tmp_path: Path) -> None:
    chroma = ChromaRun(tmp_path / "server")
    index = opened(tmp_path / "index", chroma.url)
    assert "does not answer" in index.broken
    units = {"a": a_unit("a", "red bicycle"), "b": a_unit("b", "green tea")}
    index.upsert(list(units.values()))
    assert [found.unit_id for found in index.lexical("bicycle", scope="s", limit=3)] == ["a"]
    assert semantic(index, "bicycle") == []
    assert index.missing(9) == []
    assert index.standing()["missing"] == 2
    chroma.start()
    try:
        rested(index)
        filled(index, units)
        index.mended()
        assert semantic(index, "red bicycle")[0] == "a"
        assert (index.broken, index.standing()["missing"]) == ("", 0)
    finally:
        index.close()
        chroma.stop()


def test_a_server_that_goes_away_later_is_caught_up_with(chroma: ChromaRun, tmp_path: Path) -> None:
    index = opened(tmp_path / "index", chroma.url)
    units = {name: a_unit(name, text) for name, text in (("a", "red bicycle"), ("b", "green tea"))}
    index.upsert(list(units.values()))
    chroma.stop()
    assert semantic(index, "bicycle") == []
    assert "failed" in index.broken
    units |= {"b": a_unit("b", "black coffee"), "c": a_unit("c", "a violin")}
    index.upsert([units["b"], units["c"]])
    index.delete("s", ["a"])
    assert [found.unit_id for found in index.lexical("violin", scope="s", limit=3)] == ["c"]
    chroma.start()
    assert semantic(index, "violin") == [], "a query never waits for a reconnection"
    filled(rested(index), units)
    assert set(semantic(index, "violin")) == {"b", "c"}
    assert index.semantic("black coffee", scope="s", limit=1)[0].score == pytest.approx(1.0, abs=1e-3)
    held = chromadb.HttpClient("127.0.0.1", chroma.port)
    (collection,) = held.list_collections()
    assert set(held.get_collection(collection.name).get()["ids"]) == {"b", "c"}, (
        "what was removed is gone there, too"
    )
    index.close()


def test_a_reindex_while_the_server_is_away_is_made_up_for(chroma: ChromaRun, tmp_path: Path) -> None:
    index = opened(tmp_path / "index", chroma.url)
    index.upsert([a_unit("a", "red bicycle")])
    chroma.stop()
    assert semantic(index, "bicycle") == []
    index.wipe()
    index.upsert([a_unit("b", "green tea")])
    chroma.start()
    filled(rested(index), {"b": a_unit("b", "green tea")})
    assert semantic(index, "red bicycle green tea") == ["b"]
    index.close()


def test_a_server_that_lost_everything_is_filled_again(chroma: ChromaRun, tmp_path: Path) -> None:
    index = opened(tmp_path / "index", chroma.url)
    index.upsert([a_unit("a", "red bicycle")])
    index.close()
    with client(chroma) as somebody:
        for found in somebody.list_collections():
            somebody.delete_collection(found.name)
    again = opened(tmp_path / "index", chroma.url)
    assert [lacking.owner for lacking in again.missing(9)] == ["a"]
    again.close()


def test_a_server_that_never_answers_keeps_a_query_no_longer_than_its_deadline(
    chroma: ChromaRun, tmp_path: Path
) -> None:
    index = opened(tmp_path / "index", chroma.url, deadline_s=0.2)
    index.upsert([a_unit("a", "red bicycle")])
    with deaf_port() as port:
        vectors: Any = index._store._vectors
        vectors._client._server._api_url = f"http://127.0.0.1:{port}/api/v2"
        began = time.monotonic()
        asked = [threading.Thread(target=semantic, args=(index, "bicycle")) for _ in range(8)]
        for thread in asked:
            thread.start()
        for thread in asked:
            thread.join(10)
        assert time.monotonic() - began < 2.0
        assert [found.unit_id for found in index.lexical("bicycle", scope="s", limit=3)] == ["a"]
    index.close()


def test_after_a_failure_nobody_waits_for_the_server(chroma: ChromaRun, tmp_path: Path) -> None:
    index = opened(tmp_path / "index", chroma.url)
    chroma.stop()
    index._store.look_after()
    semantic(index, "bicycle")
    index.upsert([a_unit("a", "red bicycle")])
    assert index._store.away
    with deaf_port():
        began = time.monotonic()
        for _ in range(100):
            assert semantic(index, "bicycle") == []
        assert time.monotonic() - began < REST_S / 2
    index.close()


@contextmanager
def impostor(replies: dict[str, tuple[int, bytes]]) -> Iterator[str]:
    """Run something that is no Chroma server, or a very old one."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = replies.get(self.path, (404, b"not here"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


BEAT = (200, b'{"nanosecond heartbeat": 1}')


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ({}, "is no Chroma server"),
        ({"/api/v2/heartbeat": (200, b"<html>a page</html>")}, "is no Chroma server"),
        ({"/api/v2/heartbeat": BEAT, "/api/v2/version": (200, b'"0.6.3"')}, "is of version '0.6.3'"),
        ({"/api/v2/heartbeat": BEAT, "/api/v2/version": (200, b'"2.0.0"')}, "is of version '2.0.0'"),
        ({"/api/v2/heartbeat": (401, b"")}, "refuses the token"),
        ({"/api/v2/heartbeat": BEAT, "/api/v2/version": (200, b'"1.0.0"')}, "default database"),
    ],
)
def test_what_is_no_server_of_ours_is_named(
    tmp_path: Path, replies: dict[str, tuple[int, bytes]], reason: str
) -> None:
    with impostor(replies) as url:
        index = opened(tmp_path / "index", url)
        assert reason in index.broken
        index.upsert([a_unit("a", "tea")])
        assert [found.unit_id for found in index.lexical("tea", scope="s", limit=3)] == ["a"]
        assert semantic(index, "tea") == []
        index.close()


def test_a_server_without_a_name_is_named(tmp_path: Path) -> None:
    index = opened(tmp_path / "index", "http://no-such-host.invalid:8000")
    assert "no-such-host.invalid:8000 does not answer" in index.broken
    index.close()


def test_the_token_is_sent_in_its_header(tmp_path: Path) -> None:
    place = ChromaServer(url="http://127.0.0.1:1", folder=tmp_path, header="Authorization", token="Bearer x")
    assert place._headers() == {"Authorization": "Bearer x"}


def test_a_full_disk_moves_nothing_aside(tmp_path: Path) -> None:
    """SQLite's own words for it, as Chroma passes them on."""
    index = LocalIndex(tmp_path, WordEmbedder())
    index.upsert([a_unit("a", "red bicycle")])

    def full(_: object) -> None:
        with translated(index._store._place):
            raise InternalError("error returned from database: (code: 13) database or disk is full")

    assert not index._store.did(full)
    assert "Free the disk" in index.broken
    assert [path.name for path in tmp_path.glob("chroma*")] == ["chroma"]
    assert semantic(rested(index), "red bicycle") == ["a"]
    index.close()


def test_stores_are_told_apart_by_where_they_are() -> None:
    assert VectorStore(ChromaServer(url="x", folder=Path()), lost=lambda: None, held=dict).remote
