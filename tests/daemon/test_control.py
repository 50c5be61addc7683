"""What may be asked of memory is answered from the real ledger and index, in the shapes of the contract."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from ltmld import __version__
from ltmld.core.ports import SleepRequest
from ltmld.errors import BadInputError, NotFoundError, RefusedError
from tests.support.house import SmallHouse, line, small_house

TALK = [
    line("I moved to Bergen last spring.", ref="D1:1"),
    line(
        "That must have been quite a change!",
        role="assistant",
        name="Bot",
        at="2026-01-31T18:00:20Z",
        ref="D1:2",
    ),
    line("My sister Vera plays the cello.", at="2026-01-31T18:00:40Z", ref="D1:3"),
]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SmallHouse]:
    with small_house(tmp_path) as opened:
        yield opened


def test_what_was_imported_can_be_recalled_at_once_by_its_refs(house: SmallHouse) -> None:
    assert house.control.import_lines(iter(TALK)) == {"imported": 3, "skipped": 0}
    assert house.ledger.outbox_depth() == 0
    found = house.control.recall({"query": "Where did Ann move to?"})
    assert "Bergen" in found["text"]
    assert found["took_ms"] > 0
    assert found["tokens"] > 0
    best = found["hits"][0]
    assert best["refs"][0] == "D1:1"
    assert set(best) >= {"id", "kind", "text", "score", "at", "refs"}
    assert datetime.fromisoformat(best["at"]).isoformat() == "2026-01-31T18:00:00+00:00"


def test_the_same_lines_again_are_skipped(house: SmallHouse) -> None:
    house.control.import_lines(iter(TALK))
    assert house.control.import_lines(iter(TALK)) == {"imported": 0, "skipped": 3}


def test_one_bad_line_imports_nothing(house: SmallHouse) -> None:
    with pytest.raises(BadInputError, match=r"^line 3 "):
        house.control.import_lines(iter([*TALK[:2], b"{oops\n"]))
    assert house.ledger.counts()["messages"] == 0


def test_scopes_never_see_each_other(house: SmallHouse) -> None:
    house.control.import_lines(iter([line("The secret is swordfish.", scope="ann")]))
    assert house.control.recall({"query": "secret swordfish", "scope": "ben"})["hits"] == []
    assert house.control.recall({"query": "secret swordfish", "scope": "ann"})["hits"] != []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "query"),
        ({"query": "  "}, "query"),
        ({"query": "x", "scope": "../etc"}, "scope"),
        ({"query": "x", "at": "yesterday"}, "at"),
    ],
)
def test_a_senseless_question_is_refused_by_name(house: SmallHouse, body: dict[str, str], named: str) -> None:
    with pytest.raises(BadInputError, match=f"^{named}: "):
        house.control.recall(body)


def test_what_a_person_said_is_recalled_corrected_and_forgotten_at_once(house: SmallHouse) -> None:
    control = house.control
    memory = control.remember({"text": "Ann is allergic to walnuts.", "kind": "fact"})
    (source,) = memory["sources"]
    assert source["quote"] == source["text"] == "Ann is allergic to walnuts."
    assert control.recall({"query": "walnuts allergic"})["hits"][0]["id"] == memory["id"]

    control.edit(memory["id"], {"text": "Ann is allergic to hazelnuts."})
    assert "hazelnuts" in control.recall({"query": "allergic"})["text"]

    assert control.forget(memory["id"]) == {"id": memory["id"], "state": "forgotten", "hard": False}
    assert memory["id"] not in [hit["id"] for hit in control.recall({"query": "allergic hazelnuts"})["hits"]]
    history = control.memory_history(memory["id"])["history"]
    assert [event["what"] for event in history] == ["learned", "changed", "forgotten"]


def test_forgetting_hard_leaves_none_of_the_words(house: SmallHouse) -> None:
    memory = house.control.remember({"text": "The code is zanzibarquux."})
    house.control.forget(memory["id"], hard=True)
    assert "zanzibarquux" not in str(house.control.memory(memory["id"]))
    assert "zanzibarquux" not in str(house.control.memory_history(memory["id"]))
    assert house.control.recall({"query": "zanzibarquux"})["hits"] == []


def test_memories_are_listed_filtered_and_paged(house: SmallHouse) -> None:
    for number in range(5):
        house.control.remember({"text": f"Fact number {number}.", "scope": "ann"})
    house.control.remember({"text": "A plan.", "kind": "plan", "scope": "ben"})
    first = house.control.memories({"scope": "ann", "limit": 3})
    rest = house.control.memories({"scope": "ann", "limit": 3, "cursor": first["cursor"]})
    texts = [memory["text"] for memory in first["memories"] + rest["memories"]]
    assert sorted(texts) == [f"Fact number {number}." for number in range(5)]
    assert rest["cursor"] == ""
    assert [memory["scope"] for memory in house.control.memories({"kind": "plan"})["memories"]] == ["ben"]
    assert [memory["text"] for memory in house.control.memories({"q": "number 4"})["memories"]] == [
        "Fact number 4."
    ]


@pytest.mark.parametrize("query", [{"kind": "rumor"}, {"state": "asleep"}, {"cursor": "nonsense"}])
def test_a_senseless_filter_is_refused(house: SmallHouse, query: dict[str, str]) -> None:
    with pytest.raises(BadInputError):
        house.control.memories(query)


def test_what_is_not_there_is_said_to_be_missing(house: SmallHouse) -> None:
    for ask in (
        house.control.memory,
        house.control.memory_history,
        house.control.forget,
        house.control.exchange,
        house.control.sleep,
    ):
        with pytest.raises(NotFoundError, match="nowhere"):
            ask("nowhere")


def test_threads_and_exchanges_are_shown(house: SmallHouse) -> None:
    house.control.import_lines(iter(TALK))
    (thread,) = house.control.threads({})["threads"]
    assert (thread["key"], thread["messages"]) == ("talk", 3)
    message = house.ledger.thread_messages(thread["id"])[0]
    exchange = house.control.exchange(message.exchange_id)
    assert exchange["messages"][0]["text"] == "I moved to Bergen last spring."


def test_what_the_index_lost_is_built_again_from_the_ledger(house: SmallHouse) -> None:
    house.control.import_lines(iter(TALK))
    before = house.control.recall({"query": "cello"})
    house.index.delete("default", [hit["id"] for hit in before["hits"]])
    assert house.control.recall({"query": "cello"})["hits"] == []
    assert house.control.reindex()["indexed"] >= 3
    after = house.control.recall({"query": "cello"})
    assert (after["text"], after["hits"]) == (before["text"], before["hits"])


def test_status_tells_how_everything_stands(house: SmallHouse, tmp_path: Path) -> None:
    house.control.import_lines(iter(TALK))
    house.control.remember({"text": "Ann likes tea."})
    status = house.control.status()
    assert status["version"] == __version__
    assert status["uptime_s"] >= 0
    assert status["data_dir"] == str(tmp_path)
    assert status["upstream"]["version"] == ""
    assert "refused" in status["upstream"]["error"].lower()
    assert status["scopes"]["default"]["messages"] == 4
    assert status["scopes"]["default"]["memories_active"] == 1
    assert status["ledger"]["outbox_depth"] == 0
    assert status["ledger"]["size_bytes"] > 0
    assert status["index"]["broken"] == ""
    assert status["sleep"] == {"last": None, "running": None}


def test_a_sleep_of_an_impossible_scope_is_refused(house: SmallHouse) -> None:
    with pytest.raises(BadInputError, match=r"^scope: "):
        house.control.start_sleep(SleepRequest(scope="../etc"))
    with pytest.raises(RefusedError):
        house.control.edit(house.control.remember({"text": "x y"})["id"], {"state": "forgotten"})
