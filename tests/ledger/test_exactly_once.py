"""The promise: however turns of several conversations interleave, are repeated or replayed, nothing doubles."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from ltmld.core.exchange import Turn
from ltmld.ledger import Ledger
from ltmld.ledger.schema import FILE_NAME
from tests.support.ledgers import EPOCH, a_ledger, a_turn

# Few words, so that conversations begin alike, repeat themselves and collide.
WORDS = st.sampled_from(["hello", "yes", "my dog is Rex", "tell me more"])


@st.composite
def conversation(draw: st.DrawFn) -> list[tuple[str, str]]:
    return draw(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))


def turns_of(number: int, talk: Sequence[tuple[str, str]]) -> list[Turn]:
    """Return the requests of a whole conversation, each with all that was said before; an hour after the last one."""
    said: list[str] = []
    at = EPOCH + timedelta(hours=number)
    turns: list[Turn] = []
    for place, (asked, answered) in enumerate(talk):
        said.append(asked)
        turns.append(
            a_turn(
                *said,
                reply=answered,
                exchange=f"exc-{number}-{place}",
                thread_id=f"thr-{number}",
                started_at=at,
                finished_at=at,
            )
        )
        said.append(answered)
    return turns


def interleaved(draw: st.DataObject, queues: list[list[Turn]]) -> list[Turn]:
    """Return the turns in an order that keeps each conversation's own, with some of them sent again."""
    waiting, sent = [list(queue) for queue in queues], []
    while any(waiting):
        number = draw.draw(st.sampled_from([place for place, queue in enumerate(waiting) if queue]))
        sent.append(waiting[number].pop(0))
        if draw.draw(st.booleans()):
            sent.append(draw.draw(st.sampled_from(sent)))
    return sent


@settings(max_examples=25)
@given(st.lists(conversation(), min_size=1, max_size=3), st.data())
def test_any_interleaving_records_each_message_once_in_its_thread(
    talks: list[list[tuple[str, str]]], data: st.DataObject
) -> None:
    sent = interleaved(data, [turns_of(number, talk) for number, talk in enumerate(talks)])
    with TemporaryDirectory() as folder:
        ledger = a_ledger(Path(folder))
        for turn in sent:
            ledger.record_turn(turn)
        check(ledger, talks)
        ledger.close()


@settings(max_examples=10)
@given(st.lists(conversation(), min_size=2, max_size=3), st.data())
def test_turns_that_arrive_at_once_are_recorded_as_if_one_after_the_other(
    talks: list[list[tuple[str, str]]], data: st.DataObject
) -> None:
    sent = interleaved(data, [turns_of(number, talk) for number, talk in enumerate(talks)])
    with TemporaryDirectory() as folder:
        ledger = a_ledger(Path(folder))
        with ThreadPoolExecutor(4) as threads:
            for future in [threads.submit(ledger.record_turn, turn) for turn in sent]:
                future.result()
        check(ledger, talks)
        ledger.close()


@settings(max_examples=12)
@given(st.lists(conversation(), min_size=1, max_size=2), st.data())
def test_replaying_any_exchange_changes_nothing(
    talks: list[list[tuple[str, str]]], data: st.DataObject
) -> None:
    turns = [turn for number, talk in enumerate(talks) for turn in turns_of(number, talk)]
    with TemporaryDirectory() as folder:
        ledger = a_ledger(Path(folder))
        for turn in turns:
            ledger.record_turn(turn)
        before = contents(ledger)
        ledger.record_turn(data.draw(st.sampled_from(turns)))
        assert contents(ledger) == before
        ledger.close()


@settings(max_examples=15)
@given(conversation(), st.data())
def test_the_last_turn_says_it_all_whatever_was_lost_before(
    talk: list[tuple[str, str]], data: st.DataObject
) -> None:
    turns = turns_of(0, talk)
    kept = [turn for turn in turns[:-1] if data.draw(st.booleans())] + turns[-1:]
    with TemporaryDirectory() as folder:
        ledger = a_ledger(Path(folder))
        for turn in kept:
            ledger.record_turn(replace(turn))
        check(ledger, [talk])
        ledger.close()


def check(ledger: Ledger, talks: Sequence[Sequence[tuple[str, str]]]) -> None:
    for number, talk in enumerate(talks):
        said = [words for pair in talk for words in pair]
        assert [message.text for message in ledger.thread_messages(f"thr-{number}")] == said
    assert ledger.counts()["messages"] == sum(2 * len(talk) for talk in talks)
    assert ledger.integrity() == []


def contents(ledger: Ledger) -> list[str]:
    connection = sqlite3.connect(ledger.path.parent / FILE_NAME)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()
