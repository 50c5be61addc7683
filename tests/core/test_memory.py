"""A memory cannot be built without what makes it believable, and lives along the drawn transitions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ltmld.core.memory import Memory, MemoryKind, MemoryState, Source, may_become

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_memory(**changes: Any) -> Memory:
    """Build a valid memory with *changes*."""
    parts: dict[str, Any] = {
        "id": "mem-1",
        "scope": "default",
        "kind": MemoryKind.FACT,
        "text": "The user lives in Lisbon.",
        "sources": (Source(message_id="msg-1", quote="I live in Lisbon"),),
        "recorded_at": NOW,
    }
    return Memory(**{**parts, **changes})


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ({"text": "  "}, "text"),
        ({"sources": ()}, "sources"),
        ({"importance": 1.5}, "importance"),
        ({"confidence": -0.1}, "confidence"),
    ],
)
def test_a_memory_without_its_grounds_cannot_be_built(broken: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        a_memory(**broken)


def test_nothing_leaves_forgotten() -> None:
    others = [state for state in MemoryState if state is not MemoryState.FORGOTTEN]
    assert not any(may_become(MemoryState.FORGOTTEN, state) for state in others)


def test_every_state_can_be_forgotten_by_a_person() -> None:
    assert all(may_become(state, MemoryState.FORGOTTEN) for state in MemoryState)
