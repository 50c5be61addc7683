"""A conversation's name is found where a known client writes it, and nowhere else."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.wire.dialects import dialect_for
from ltmld.wire.thread_key import thread_key

SESSION = "0197a2c4-2f5e-7d31-a5a0-3f0c8e6f4b11"
LEGACY = f"user_{'ab12' * 16}_account__session_{SESSION}"
OBJECT = json.dumps({"device_id": "d1", "account_uuid": "", "session_id": SESSION})


@pytest.mark.parametrize(
    "body",
    [
        {"prompt_cache_key": SESSION},
        {"conversation": SESSION},
        {"conversation": {"id": SESSION}},
        {"metadata": {"user_id": LEGACY}},
        {"metadata": {"user_id": LEGACY.replace("account__", "account_6f1c-22_")}},
        {"metadata": {"user_id": OBJECT}},
        {"metadata": {"chat_id": SESSION}},
        {"prompt_cache_key": " ", "metadata": {"conversation_id": SESSION}},
    ],
)
def test_the_name_is_read_from_the_body(body: dict[str, Any]) -> None:
    assert thread_key(body) == SESSION


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user": SESSION},
        {"metadata": {"user_id": "me@example.org"}},
        {"metadata": {"user_id": '{"session_id"'}},
        {"metadata": {"user_id": "{}"}},
        {"metadata": "x", "prompt_cache_key": 5, "conversation": []},
    ],
)
def test_what_names_a_person_or_nothing_is_no_conversation(body: dict[str, Any]) -> None:
    assert thread_key(body) == ""


def test_a_name_too_long_for_an_id_is_named_by_its_digest() -> None:
    long = thread_key({"prompt_cache_key": "k" * 161})
    assert len(long) == 64
    assert long != thread_key({"prompt_cache_key": "k" * 162})
    assert thread_key({"prompt_cache_key": "k" * 160}) == "k" * 160


@pytest.mark.parametrize(
    "user_id",
    [
        "user_" + "_account_" * 14_000,
        "user_" + "_account_" * 14_000 + "_session_!",
        "user__account_" + "_session_" * 14_000 + "!",
        "{" * 126_000,
        LEGACY + "x" * 1024,
    ],
)
def test_a_name_of_any_length_is_read_in_no_time_and_what_no_client_writes_names_nothing(
    user_id: str,
) -> None:
    started = perf_counter()
    assert thread_key({"metadata": {"user_id": user_id}}) == ""
    # Quadratic work took 19 s; a loaded machine is slower, not a hundred times.
    assert perf_counter() - started < 0.2


@pytest.mark.parametrize(
    "user_id", ["user__session_a_account_", "user_a_session_b", "user__account_é!_session_a"]
)
def test_the_old_form_counts_only_whole(user_id: str) -> None:
    assert thread_key({"metadata": {"user_id": user_id}}) == ""


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/v1/chat/completions"])
def test_every_dialect_reads_it(path: str) -> None:
    dialect = dialect_for("POST", path)
    assert dialect is not None
    assert dialect.parse(json.dumps({"prompt_cache_key": SESSION}).encode()).thread_key == SESSION


names = st.sampled_from(["prompt_cache_key", "metadata", "conversation", "user_id", "chat_id", "id"])
nonsense = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(OBJECT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
)


@given(st.dictionaries(names, nonsense))
def test_nothing_raises(tree: dict[str, Any]) -> None:
    assert isinstance(thread_key(tree), str)
