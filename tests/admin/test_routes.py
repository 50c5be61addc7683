"""Every route of the contract, over real HTTP, before a real ledger and index."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.control_plane import Caller
from tests.support.house import SmallHouse, line, small_daemon, small_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SmallHouse]:
    with small_house(tmp_path) as opened:
        yield opened


@pytest.fixture
def call(house: SmallHouse, tmp_path: Path) -> Iterator[Caller]:
    with small_daemon(tmp_path, house) as caller:
        yield caller


def test_an_import_is_recalled_by_its_refs(call: Caller) -> None:
    body = line("I moved to Bergen.", ref="D1:1") + line(
        "My dog is Rex.", at="2026-02-01T00:00:00Z", ref="D2:1"
    )
    imported = call("POST", "/api/import", body, headers={"Content-Type": "application/x-ndjson"})
    assert (imported.status, imported.json) == (200, {"imported": 2, "skipped": 0})
    answer = call(
        "POST", "/api/recall", {"query": "dog Rex", "budget_tokens": 100, "k": 1, "scope": "default"}
    )
    assert answer.status == 200
    assert [hit["refs"] for hit in answer.json["hits"]] == [["D2:1"]]
    assert "Rex" in answer.json["text"]


def test_a_bad_line_is_named_and_nothing_is_imported(call: Caller) -> None:
    answer = call("POST", "/api/import", line("good") + b"{bad\n")
    assert answer.status == 400
    assert answer.json["error"].startswith("line 2 ")
    assert call("GET", "/api/threads").json["threads"] == []


def test_an_import_whose_caller_vanishes_leaves_nothing(call: Caller, house: SmallHouse) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", call.port, timeout=10)
    connection.putrequest("POST", "/api/import")
    connection.putheader("Authorization", f"Bearer {call.token}")
    connection.putheader("Content-Length", "100000")
    connection.endheaders(line("half of an import"))
    connection.close()
    # The next call is answered after the broken one was noticed or while it still waits: either way, nothing came.
    assert call("GET", "/api/status").status == 200
    assert house.ledger.counts()["messages"] == 0


def test_the_life_of_a_memory(call: Caller) -> None:
    made = call("POST", "/api/memories", {"text": "Ann likes tea.", "kind": "preference", "pinned": True})
    assert made.status == 201
    path = f"/api/memories/{made.json['id']}"
    assert call("GET", path).json["sources"][0]["quote"] == "Ann likes tea."
    edited = call("PATCH", path, {"text": "Ann likes green tea.", "pinned": False})
    assert (edited.status, edited.json["text"], edited.json["version"]) == (200, "Ann likes green tea.", 2)
    listed = call("GET", "/api/memories?scope=&kind=preference&state=&q=green&limit=&cursor=")
    assert [memory["id"] for memory in listed.json["memories"]] == [made.json["id"]]
    assert call("DELETE", path).json["state"] == "forgotten"
    assert call("DELETE", path + "?hard=true").json["hard"] is True
    assert "green" not in str(call("GET", path + "/history").json)


def test_a_refused_correction_is_409_and_a_senseless_one_400(call: Caller) -> None:
    made = call("POST", "/api/memories", {"text": "Ann likes tea."}).json
    assert call("PATCH", f"/api/memories/{made['id']}", {"state": "forgotten"}).status == 409
    assert call("PATCH", f"/api/memories/{made['id']}", {}).status == 400


def test_conversations_are_listed_and_shown(call: Caller, house: SmallHouse) -> None:
    call("POST", "/api/import", line("I moved to Bergen."))
    (thread,) = call("GET", "/api/threads?scope=default&limit=5").json["threads"]
    (message,) = house.ledger.thread_messages(thread["id"])
    exchange = call("GET", f"/api/exchanges/{message.exchange_id}")
    assert exchange.json["messages"][0]["text"] == "I moved to Bergen."
    assert call("GET", "/api/exchanges/exc-nowhere").status == 404


def test_the_index_is_rebuilt_and_status_counts(call: Caller) -> None:
    call("POST", "/api/import", line("I moved to Bergen."))
    assert call("POST", "/api/reindex").json["indexed"] == 1
    assert call("GET", "/api/status").json["scopes"]["default"]["messages"] == 1


def test_a_scope_is_paused_and_resumed(call: Caller) -> None:
    paused = call("POST", "/api/pause", {"scope": "me"})
    assert (paused.status, paused.json["scope"], paused.json["paused"]) == (200, "me", True)
    assert call("GET", "/api/status").json["paused"] == {"me": paused.json["since"]}
    resumed = call("POST", "/api/resume", {"scope": "me"}).json
    assert resumed == {"scope": "me", "paused": False, "since": paused.json["since"]}
    assert call("GET", "/api/status").json["paused"] == {}
    assert call("POST", "/api/pause", {"scope": "no scope"}).status == 400


def test_every_route_of_the_contract_is_described(call: Caller) -> None:
    paths = call("GET", "/api/openapi.json").json["paths"]
    assert {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods} == {
        "GET /healthz",
        "GET /api/status",
        "POST /api/import",
        "POST /api/recall",
        "POST /api/reindex",
        "GET /api/threads",
        "GET /api/exchanges/{exchange_id}",
        "GET /api/memories",
        "POST /api/memories",
        "GET /api/memories/{memory_id}",
        "PATCH /api/memories/{memory_id}",
        "DELETE /api/memories/{memory_id}",
        "GET /api/memories/{memory_id}/history",
        "POST /api/pause",
        "POST /api/resume",
        "POST /api/sleep",
        "GET /api/sleeps",
        "GET /api/sleeps/{cycle_id}",
    }
