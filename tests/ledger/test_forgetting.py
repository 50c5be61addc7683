"""The promise: what a person has forgotten stays forgotten; erased words are nowhere in the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ltmld.core.exchange import StoredMessage
from ltmld.core.injection import InjectedItem, Injection, InjectionKind
from ltmld.core.memory import MemoryState, Source
from ltmld.core.proposal import Dispute, Learn, Verdict
from ltmld.errors import NotFoundError, RefusedError
from ltmld.ledger import Ledger
from tests.support.ledgers import EPOCH, a_ledger, a_memory, a_turn

SECRET = "Xylophonia the heiress owes Quibblewick forty pounds."


def begun(ledger: Ledger) -> str:
    return ledger.begin_cycle(scope="default", depth="light", trigger="test", model="", dry_run=False)


def learned(ledger: Ledger, text: str, *, memory_id: str = "mem-1", cues: tuple[str, ...] = ()) -> str:
    """Learn a memory from a message that says something else; return the cycle, still running."""
    recorded = ledger.record_turn(a_turn("the message itself stays", thread_id="thr-9"))
    [message] = recorded.new_message_ids or [ledger.thread_messages("thr-9")[0].id]
    memory = a_memory(
        text, id=memory_id, cues=cues, sources=(Source(message_id=message, quote=f"q: {text}"),)
    )
    cycle = begun(ledger)
    assert ledger.apply(
        cycle, "extract", [Learn(memory=memory, why=f"because {text}")], {"left": [text]}
    ) == {"learn": 1}
    return cycle


def words_in(folder: Path, words: str) -> list[str]:
    """Return the names of the files that hold *words*, in any spelling that SQLite or JSON may give them."""
    return [file.name for file in folder.iterdir() if words.encode() in file.read_bytes()]


def test_forgetting_takes_a_memory_out_of_recall_and_the_index_and_keeps_its_history(ledger: Ledger) -> None:
    ledger.remember(a_memory(), said="x", cause="user")
    ledger.forget("mem-1", hard=False, cause="user")
    memory = ledger.memory("mem-1")
    assert (memory.state, memory.text) == (MemoryState.FORGOTTEN, "Ada has a dog called Rex.")
    assert ledger.all_memories("default") == []
    assert ("mem-1", "delete") in {(row.entity_id, row.op) for row in ledger.outbox(10)}
    assert [event["after"].get("state") for event in ledger.history("mem-1")] == ["active", "forgotten"]


def test_forgetting_twice_changes_nothing(ledger: Ledger) -> None:
    ledger.remember(a_memory(), said="x", cause="user")
    for _ in range(2):
        ledger.forget("mem-1", hard=False, cause="user")
    assert ledger.memory("mem-1").version == 2
    with pytest.raises(NotFoundError):
        ledger.forget("mem-9", hard=True, cause="user")


@pytest.mark.parametrize("hard", [False, True])
def test_what_was_forgotten_is_not_learned_again_however_it_is_spelled(ledger: Ledger, *, hard: bool) -> None:
    ledger.end_cycle(learned(ledger, "Ada has a dog, called Rex."), state="completed", report={})
    ledger.edit("mem-1", cause="user", text="Ada has a dog: Max!")
    ledger.forget("mem-1", hard=hard, cause="user")
    for spelling in ("ada has a DOG called rex", "Ada has a dog —\n called Rex!", "Ada has a dog Max"):
        assert ledger.tombstoned("default", spelling)
    assert not ledger.tombstoned("default", "Ada has a dog called Tom.")
    assert not ledger.tombstoned("bob", "Ada has a dog, called Rex.")
    source = ledger.memory("mem-1").sources[0].message_id
    again = a_memory("ADA has a dog called Rex", id="mem-2", sources=(Source(message_id=source, quote="x"),))
    assert ledger.apply(begun(ledger), "extract", [Learn(memory=again)], {}) == {"refused": 1}
    with pytest.raises(NotFoundError):
        ledger.memory("mem-2")


def test_a_person_may_say_it_again(ledger: Ledger) -> None:
    ledger.remember(a_memory(), said="x", cause="user")
    ledger.forget("mem-1", hard=False, cause="user")
    ledger.remember(a_memory(id="mem-2"), said="x", cause="user")
    assert ledger.memory("mem-2").state is MemoryState.ACTIVE
    assert not ledger.tombstoned("default", "Ada has a dog called Rex.")


def test_erased_words_are_nowhere_in_the_ledgers_files(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    cycle = learned(ledger, SECRET, cues=("Does Quibblewick wait for money?",))
    newer = f"{SECRET} Since May."
    ledger.edit(
        "mem-1", cause=f"the user said {newer}", text=newer, subject="Quibblewick", attribute="Quibblewick"
    )
    item = InjectedItem(id="mem-1", kind="memory", text=f"[May] {newer}", score=1.0, why="asked")
    ledger.record_turn(
        replace(a_turn("hello", reply="hi"), injections=(an_injection(f"Notes:\n[May] {newer}", item),))
    )
    ledger.store_completion("k", model="m", text=f'{{"text":"{SECRET}"}}', prompt_tokens=1, reply_tokens=1)
    other = ledger.remember(a_memory("Bob is tall.", id="mem-2"), said="Bob is tall.", cause="user")
    dispute = Dispute(memory_id="mem-1", other_id=other.id, variance=0.4, why=SECRET)
    verdict = Verdict(message_id="msg-000001", admitted=True, score=1.0, reason=SECRET)
    ledger.apply(cycle, "reconcile", [dispute, verdict], {"memories": [SECRET, [newer]]})
    ledger.end_cycle(cycle, state="completed", report={"learned": [SECRET, {"deep": newer}]})
    assert words_in(tmp_path, "Quibblewick")

    ledger.forget("mem-1", hard=True, cause="user")
    assert words_in(tmp_path, "Quibblewick") == []
    assert words_in(tmp_path, "Xylophonia") == []
    ledger.close()
    assert words_in(tmp_path, "Quibblewick") == []


def an_injection(text: str, *items: InjectedItem) -> Injection:
    return Injection(
        id="inj-1",
        kind=InjectionKind.WAKE_BLOCK,
        thread_id="thr-1",
        chain=a_turn("hello").path[0].chain,
        text=text,
        tokens=9,
        created_at=EPOCH,
        items=items,
    )


def test_an_erased_memory_is_not_told_to_a_model_again(ledger: Ledger) -> None:
    ledger.end_cycle(learned(ledger, SECRET), state="completed", report={})
    item = InjectedItem(id="mem-1", kind="memory", text=f"- {SECRET}", score=1.0, why="asked")
    kept = InjectedItem(id="mem-2", kind="memory", text="- Bob is tall.", score=0.5, why="asked")
    turn = replace(
        a_turn("hello", reply="hi"), injections=(an_injection(f"- {SECRET}\n- Bob is tall.", item, kept),)
    )
    ledger.record_turn(turn)
    ledger.forget("mem-1", hard=True, cause="user")
    [replayed] = ledger.injections("thr-1", [turn.path[0].chain])
    assert replayed.text == "[erased]\n- Bob is tall."
    assert replayed.items[1] == kept


def test_everyday_words_of_an_erased_memory_leave_a_running_cycle_whole(ledger: Ledger) -> None:
    """A cue is often one word: it stands in keys, in other sentences and in other people's memories."""
    cycle = learned(ledger, SECRET, cues=("work", "fact", "default", "Rex"))
    payload = {
        "scopes": ["default"],
        "work": {"candidates": [{"kind": "fact", "text": "Bob likes his work.", "cues": ["Rex", "tea"]}]},
        "report": {"scope": "default", "learned": [SECRET[:40], "Rex"]},
    }
    ledger.apply(cycle, "gather", [], payload)
    ledger.forget("mem-1", hard=True, cause="user")
    checkpoint = ledger.checkpoint(cycle)
    assert checkpoint is not None
    assert checkpoint[1] == {
        "scopes": ["default"],
        "work": {
            "candidates": [{"kind": "fact", "text": "Bob likes his work.", "cues": ["[erased]", "tea"]}]
        },
        "report": {"scope": "default", "learned": ["[erased]", "[erased]"]},
    }


def test_erasing_does_not_reach_into_another_scope(ledger: Ledger) -> None:
    ledger.end_cycle(learned(ledger, SECRET), state="completed", report={})
    other = ledger.begin_cycle(scope="bob", depth="light", trigger="test", model="", dry_run=False)
    ledger.apply(other, "gather", [], {"left": [SECRET]})
    turn = replace(a_turn("hello", reply="hi", scope="bob"), injections=(an_injection(f"- {SECRET}"),))
    ledger.record_turn(turn)
    ledger.forget("mem-1", hard=True, cause="user")
    assert ledger.checkpoint(other) == ("gather", {"left": [SECRET]})
    [replayed] = ledger.injections("thr-1", [turn.path[0].chain])
    assert replayed.text == f"- {SECRET}"


def test_a_short_memory_is_taken_out_of_its_own_block_and_no_other_word_is(ledger: Ledger) -> None:
    ledger.end_cycle(learned(ledger, "art"), state="completed", report={})
    item = InjectedItem(id="mem-1", kind="memory", text="art", score=1.0, why="asked")
    turn = replace(
        a_turn("hello", reply="hi"), injections=(an_injection("- art\n- Bob likes a party.", item),)
    )
    ledger.record_turn(turn)
    ledger.forget("mem-1", hard=True, cause="user")
    [replayed] = ledger.injections("thr-1", [turn.path[0].chain])
    assert replayed.text == "- [erased]\n- Bob likes a party."


def test_erasing_removes_what_was_said_to_remember_it_and_leaves_conversations(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    said = ledger.record_turn(a_turn(f"By the way, {SECRET}", thread_id="thr-5"))
    [spoken] = said.new_message_ids
    sources = (Source(message_id=spoken, quote=SECRET),)
    ledger.remember(a_memory("Zanzibar.", sources=sources), said="Remember the Zanzibar word.", cause="user")
    ledger.forget("mem-1", hard=True, cause="user")
    assert words_in(tmp_path, "Zanzibar") == []
    assert [message.text for message in ledger.messages([spoken])] == [f"By the way, {SECRET}"]
    deleted = {row.entity_id for row in ledger.outbox(50) if row.op == "delete"}
    assert deleted == {"mem-1", told(ledger).id}
    ledger.outbox_done(ledger.outbox(50)[-1].id)
    ledger.outbox_refill()
    assert [row.entity_id for row in ledger.outbox(50)] == [spoken]
    ledger.close()


def told(ledger: Ledger) -> StoredMessage:
    [message] = ledger.messages([ledger.memory("mem-1").sources[0].message_id])
    assert message.text == ""
    return message


def test_words_that_another_memory_stands_on_are_not_erased_with_the_first(ledger: Ledger) -> None:
    for memory_id in ("mem-1", "mem-2"):
        ledger.remember(a_memory(id=memory_id), said="Ada has a dog called Rex.", cause="user")
    ledger.forget("mem-1", hard=True, cause="user")
    source = ledger.memory("mem-2").sources[0]
    assert [message.text for message in ledger.messages([source.message_id])] == ["Ada has a dog called Rex."]


def test_an_erased_memory_keeps_its_place_its_sources_and_its_dates(ledger: Ledger) -> None:
    ledger.end_cycle(learned(ledger, SECRET), state="completed", report={})
    before = ledger.memory("mem-1")
    ledger.forget("mem-1", hard=True, cause="user")
    after = ledger.memory("mem-1")
    assert (after.text, after.state, after.recorded_at) == (
        "[erased]",
        MemoryState.FORGOTTEN,
        before.recorded_at,
    )
    assert [source.message_id for source in after.sources] == [source.message_id for source in before.sources]
    assert all(event["after"] == {"erased": True} for event in ledger.history("mem-1"))
    assert ledger.integrity() == []


def test_a_soft_forgotten_memory_can_still_be_erased(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.end_cycle(learned(ledger, SECRET), state="completed", report={})
    ledger.forget("mem-1", hard=False, cause="user")
    ledger.forget("mem-1", hard=True, cause="user")
    assert words_in(tmp_path, "Quibblewick") == []
    ledger.close()


def test_erasing_among_many_leaves_no_copy_in_moved_pages(tmp_path: Path) -> None:
    """Pages split and merge as rows come and go; a copy left behind in one of them would be found here."""
    ledger = a_ledger(tmp_path)
    cycle, proposals = begun(ledger), []
    recorded = ledger.record_turn(a_turn("source"))
    for number in range(300):
        text = f"Secret{number:03d} " + "padding " * (number % 23)
        sources = (Source(message_id=recorded.new_message_ids[0], quote=text),)
        proposals.append(Learn(memory=a_memory(text, id=f"mem-{number:03d}", sources=sources, cues=(text,))))
    assert ledger.apply(cycle, "extract", proposals, {}) == {"learn": 300}
    ledger.end_cycle(cycle, state="completed", report={})
    for number in range(0, 300, 3):
        ledger.edit(f"mem-{number:03d}", cause="test", importance=0.1)
    erased = list(range(0, 300, 29))
    for number in erased:
        ledger.forget(f"mem-{number:03d}", hard=True, cause="user")
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert [number for number in erased if f"Secret{number:03d}".encode() in content] == []
    assert f"Secret{1:03d}".encode() in content
    ledger.close()


def test_a_reader_that_keeps_old_pages_alive_is_named(ledger: Ledger) -> None:
    ledger.end_cycle(learned(ledger, SECRET), state="completed", report={})
    ledger._writer.run(lambda connection: connection.execute("PRAGMA busy_timeout = 1"), alone=True)
    with ledger._readers.snapshot() as connection:
        connection.execute("SELECT count(*) FROM messages").fetchone()
        with pytest.raises(RefusedError, match="another program is reading"):
            ledger.forget("mem-1", hard=True, cause="user")
    ledger.forget("mem-1", hard=True, cause="user")
    assert words_in(ledger.path.parent, "Quibblewick") == []


def test_what_was_remembered_by_hand_and_forgotten_leaves_the_index_with_its_words(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    memory = ledger.remember(
        a_memory("My locker code is 7788."), said="My locker code is 7788.", cause="test"
    )
    ledger.outbox_done(max(row.id for row in ledger.outbox(100)))
    ledger.forget(memory.id, hard=False, cause="test")
    gone = {(row.kind, row.op) for row in ledger.outbox(100)}
    assert gone >= {("message", "delete")}
    ledger.outbox_refill()
    assert ("message", "upsert") not in {(row.kind, row.op) for row in ledger.outbox(100)}
    ledger.close()


def test_a_forgotten_memory_cannot_be_edited_back(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    memory = ledger.remember(a_memory("Bob is a baker."), said="Bob is a baker.", cause="test")
    ledger.forget(memory.id, hard=False, cause="test")
    with pytest.raises(RefusedError, match="stays so"):
        ledger.edit(memory.id, cause="test", text="Bob is back.")
    ledger.close()
