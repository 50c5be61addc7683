"""Promise: an episode is a stretch of one conversation, and every message lands in exactly one."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.tokens import estimate
from ltmld.sleep.episode import EPISODE_TOKENS_MAX, gather, is_person, shortened, transcript
from tests.support.nights import a_message

GAP = timedelta(minutes=30)


def test_silence_ends_an_episode() -> None:
    episodes = gather(
        [a_message("a", minute=0), a_message("b", minute=29), a_message("c", minute=60)],
        gap=GAP,
        messages_max=40,
    )
    assert [len(episode.messages) for episode in episodes] == [2, 1]


def test_an_episode_is_no_longer_than_one_look() -> None:
    talk = [a_message(f"word {number}", minute=number) for number in range(9)]
    assert [len(one.messages) for one in gather(talk, gap=GAP, messages_max=4)] == [4, 4, 1]


def test_two_conversations_at_the_same_time_stay_apart() -> None:
    talk = [a_message(f"w{number}", minute=number, thread_id=f"thr-{number % 2}") for number in range(6)]
    episodes = gather(talk, gap=GAP, messages_max=40)
    assert sorted(len(episode.messages) for episode in episodes) == [3, 3]
    assert all(len({message.thread_id for message in episode.messages}) == 1 for episode in episodes)


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 400), st.sampled_from("ab")), max_size=40),
    st.integers(1, 8),
)
def test_every_message_is_in_exactly_one_episode(rows: list[tuple[int, int, str]], size: int) -> None:
    talk = [
        a_message("w " * words, minute=minute, id=f"msg-{place}", thread_id=thread)
        for place, (minute, words, thread) in enumerate(rows)
    ]
    episodes = gather(talk, gap=GAP, messages_max=size)
    assert sorted(one for episode in episodes for one in episode.ids) == sorted(one.id for one in talk)
    for episode in episodes:
        assert 0 < len(episode.messages) <= size
        words = sum(min(estimate(message.text), 500) for message in episode.messages)
        assert words <= EPISODE_TOKENS_MAX or len(episode.messages) == 1


def test_the_transcript_has_dates_and_names_and_leaves_out_what_it_is_told_to() -> None:
    first = a_message("I moved.", speaker="Ana")
    second = a_message("print(1)", minute=1)
    episode = gather([first, second], gap=GAP, messages_max=9)[0]
    assert transcript(episode) == "[2026-03-01 09:00] Ana: I moved.\n[2026-03-01 09:01] User: print(1)"
    assert "print" not in transcript(episode, without=frozenset({second.id}))


def test_a_very_long_message_keeps_its_beginning_and_its_end_in_the_prompt() -> None:
    long = "start " + "middle " * 2000 + "end"
    assert estimate(shortened(long)) <= 550
    assert shortened(long).startswith("start")
    assert shortened(long).endswith("end")
    assert shortened("short  and\nverbatim") == "short  and\nverbatim"


def test_a_partner_with_a_name_is_a_person_and_a_model_is_not() -> None:
    assert is_person(a_message("x", role="assistant", speaker="Melanie"))
    assert not is_person(a_message("x", role="assistant", speaker="llama3.2:1b"))
    assert not is_person(a_message("x", role="assistant", speaker="assistant"))
