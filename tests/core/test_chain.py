"""The promise: the same words at the same place of the same conversation have the same hash, and only they."""

from __future__ import annotations

import time
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ltmld.core.chain import ROOT, chain, chains, message_chain
from ltmld.core.message import Attachment, Message, Role, ToolCall

words = st.text(max_size=20)
said = st.builds(Message, role=st.sampled_from([Role.USER, Role.ASSISTANT, Role.TOOL]), text=words)


@given(st.lists(said, max_size=6), st.lists(said, max_size=6))
def test_conversations_share_hashes_exactly_as_far_as_they_share_words(
    one: list[Message], other: list[Message]
) -> None:
    def spelled(message: Message) -> tuple[str, str]:
        # Clients shorten what tools said: only that they said something counts.
        words = "" if message.role is Role.TOOL else message.text
        return message.role.value, " ".join(words.split())

    for place, (a, b) in enumerate(zip(chains(one), chains(other), strict=False)):
        same = [spelled(m) for m in one[: place + 1]] == [spelled(m) for m in other[: place + 1]]
        assert (a == b) is same


def test_spacing_does_not_change_a_hash() -> None:
    assert chain(ROOT, "user", " my  dog\n is Rex ") == chain(ROOT, "user", "my dog is Rex")


def test_what_does_not_survive_a_client_does_not_count() -> None:
    plain = Message(role=Role.ASSISTANT, text="It is Rex.")
    full = replace(
        plain, thinking="hm", name="Bo", tool_calls=(ToolCall(name="f", arguments="{}", id="call_1"),)
    )
    assert message_chain(ROOT, full) == message_chain(ROOT, plain)


def test_another_image_is_another_message() -> None:
    plain = Message(role=Role.USER, text="What is this?")
    images = [
        replace(plain, attachments=(Attachment(media="image/png", sha256=digit * 64, size_bytes=9),))
        for digit in "ab"
    ]
    assert len({message_chain(ROOT, one) for one in [plain, *images]}) == 3


def test_the_hash_of_a_reply_is_the_hash_of_the_message_that_is_resent() -> None:
    user = Message(role=Role.USER, text="hello")
    resent = chains([user, Message(role=Role.ASSISTANT, text="Hi there.\n")])
    assert chain(chains([user])[-1], "assistant", "Hi there.") == resent[-1]


def test_half_a_character_has_a_hash() -> None:
    assert chain(ROOT, "user", "\ud83d") != chain(ROOT, "user", "")


def test_a_long_conversation_is_hashed_in_linear_time() -> None:
    conversation = [Message(role=Role.USER, text="hello world " * 20)] * 10_000
    started = time.perf_counter()
    chains(conversation)
    # Quadratic work would take minutes; the bound is loose so that a busy machine cannot miss it.
    assert time.perf_counter() - started < 5
