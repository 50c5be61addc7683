"""The promise: a client that resends only the end of its conversation adds to it, and repeats nothing of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ltmld.core.exchange import Placement
from ltmld.core.injection import Injection, InjectionKind
from ltmld.ledger import Ledger, windows
from tests.support.ledgers import EPOCH, a_path, a_turn


def texts(ledger: Ledger) -> list[str]:
    return [message.text for message in ledger.thread_messages("thr-1")]


def told(ledger: Ledger, *window: str, reply: str, key: str = "chat-1") -> None:
    """Record a turn as a client sends it that keeps only *window*: its chains begin at the root."""
    number = ledger.counts()["exchanges"]
    ledger.record_turn(a_turn(*window, reply=reply, thread_key=key, exchange=f"exc-{number}"))


def placed(ledger: Ledger, *window: str, key: str = "chat-1") -> Placement:
    path = a_path(*window)
    found = ledger.locate("default", thread_key=key, chains=[one.chain for one in path], path=path)
    assert found is not None
    return found


def talked(ledger: Ledger, turns: int, *, window: int) -> list[str]:
    """Talk for so many turns with a client that keeps so many messages; return all that was said."""
    said: list[str] = []
    for number in range(turns):
        said.append(f"question {number}")
        told(ledger, *said[-window:], reply=f"answer {number}")
        said.append(f"answer {number}")
    return said


@pytest.mark.parametrize("window", [3, 5, 9])
def test_a_sliding_window_is_recorded_once(ledger: Ledger, window: int) -> None:
    said = talked(ledger, 12, window=window)
    messages = ledger.thread_messages("thr-1")
    assert [message.text for message in messages] == said
    assert [message.parent_id for message in messages] == [None, *(message.id for message in messages[:-1])]


def test_a_window_is_found_where_it_is_recorded(ledger: Ledger) -> None:
    said = talked(ledger, 6, window=5)
    found = placed(ledger, *said[-4:], "and now?")
    assert (found.thread_id, found.depth) == ("thr-1", 4)
    assert [message.text for message in ledger.messages(found.message_ids)] == said[-4:]
    whole = a_path(*said, "and now?")
    assert found.chains == tuple(one.chain for one in whole[-5:])


def test_what_was_injected_into_a_window_is_replayed_in_the_next(ledger: Ledger) -> None:
    said = talked(ledger, 6, window=5)
    path = a_path(*said[-4:], "and now?")
    note = Injection(
        id="inj-1",
        kind=InjectionKind.RECALL_NOTE,
        thread_id="thr-1",
        chain=path[-1].chain,
        text="a note",
        tokens=2,
        created_at=EPOCH,
    )
    turn = a_turn(path=path, reply="well", thread_key="chat-1", exchange="exc-noted")
    ledger.record_turn(replace(turn, injections=(note,)))
    found = placed(ledger, *said[-2:], "and now?", "well", "go on")
    assert [one.text for one in ledger.injections("thr-1", found.chains)] == ["a note"]


def test_a_regenerated_and_an_edited_message_of_a_window_are_branches(ledger: Ledger) -> None:
    said = talked(ledger, 6, window=5)
    told(ledger, *said[-6:-1], reply="another answer")
    assert texts(ledger) == [*said[:-1], "another answer"]
    told(ledger, *said[-6:-2], "an edited question", reply="ok")
    messages = {message.text: message for message in ledger.thread_messages("thr-1")}
    assert messages["an edited question"].parent_id == messages[said[-3]].id
    assert list(messages) == [*said[:-2], "an edited question", "ok"]


def test_a_window_after_two_models_answered_goes_on_from_either(ledger: Ledger) -> None:
    said = talked(ledger, 4, window=5)
    told(ledger, *said[-4:], "which?", reply="this")
    told(ledger, *said[-4:], "which?", reply="that")
    told(ledger, *said[-2:], "which?", "this", "why?", reply="because")
    by_id = {message.id: message for message in ledger.thread_messages("thr-1")}
    [why] = [message for message in by_id.values() if message.text == "why?"]
    assert by_id[why.parent_id or ""].text == "this"
    assert sorted(message.text for message in by_id.values()) == sorted(
        [*said, "which?", "this", "why?", "because"]
    )


def test_a_lone_message_is_known_again_only_at_the_end(ledger: Ledger) -> None:
    said = talked(ledger, 2, window=9)
    told(ledger, *said, "are you there?", reply="")
    assert placed(ledger, "are you there?").depth == 1
    assert placed(ledger, "question 1").depth == 0


def test_one_equal_message_is_no_window(ledger: Ledger) -> None:
    talked(ledger, 3, window=9)
    path = a_path("dropped", "answer 2", "something")[1:]
    found = ledger.locate("default", thread_key="chat-1", chains=["x", "y"], path=path)
    assert found == Placement(thread_id="thr-1", depth=0, message_ids=())


def test_without_a_key_a_window_is_found_by_its_answers(ledger: Ledger) -> None:
    said = talked(ledger, 6, window=20)
    found = placed(ledger, *said[-4:], "and now?", key="")
    assert (found.thread_id, found.depth, found.skipped) == ("thr-1", 4, 0)


def test_what_stands_in_front_of_a_window_is_the_clients_summary(ledger: Ledger) -> None:
    said = talked(ledger, 6, window=20)
    found = placed(ledger, "They talked about questions.", "Go on.", *said[-4:], "and now?", key="")
    assert (found.thread_id, found.depth, found.skipped) == ("thr-1", 4, 2)


def test_a_few_equal_words_are_no_window(ledger: Ledger) -> None:
    said = talked(ledger, 6, window=20)
    for path in (
        a_path("Another beginning", "Go on.", *said[-2:], "and now?"),
        a_path("One", "two", "three", "four", *said[-4:], "and now?"),
        a_path(*said[-2:]),
    ):
        chains = [one.chain for one in path]
        assert ledger.locate("default", thread_key="", chains=chains, path=path) is None


def test_another_persons_words_are_no_window(ledger: Ledger) -> None:
    said = talked(ledger, 6, window=20)
    path = a_path(*said[-4:], "and now?")
    assert ledger.locate("bob", thread_key="", chains=[one.chain for one in path], path=path) is None


class Compared(str):
    """Words that count how often they are compared."""

    __slots__ = ()
    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str.__eq__(self, other)  # type: ignore[no-any-return, unused-ignore]  # str's answer, NotImplemented too

    __hash__ = str.__hash__


def test_equal_messages_are_laid_against_each_other_in_a_time_that_grows_with_their_number() -> None:
    count = 2000
    known = [(Compared("user"), Compared("a")) for _ in range(count)]
    said = [*((Compared("user"), Compared("a")) for _ in range(count)), (Compared("user"), Compared("end"))]
    Compared.times = 0
    assert windows._overlap(known, said) == (0, count)
    assert Compared.times < 20 * count
