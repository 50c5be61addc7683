"""Fixtures of the dialogues: one talk for each dialect in which people converse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.dialogues import Talk
from tests.support.tongues import CHATS


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    """Return a talk in Ollama's own dialect."""
    talk = Talk(tmp_path)
    yield talk
    await talk.close()


@pytest.fixture(params=CHATS)
async def any_talk(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Talk]:
    """Return a talk in each of the dialects."""
    talk = Talk(tmp_path, path=request.param)
    yield talk
    await talk.close()
