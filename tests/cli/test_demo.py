"""The demo tells the truth: it ends well only when memory was there and made the difference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ltmld.cli import demo, demo_story
from ltmld.cli.demo_page import DemoPage
from ltmld.errors import BadInputError, RefusedError
from ltmld.standin.answers import NOTED, UNKNOWN, answer
from ltmld.standin.conversation import Conversation, Turn
from ltmld.standin.words import flat


@pytest.fixture
def home(tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a person's own data folder, whose embedder was exported before."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "models").symlink_to(models_folder)
    monkeypatch.setenv("LTMLD_DATA_DIR", str(folder))
    return folder


def test_the_whole_story_is_told_and_nothing_is_left_behind(home: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "ltmld", "demo"],
        env={**os.environ, "TMPDIR": str(home)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "stand-in for Ollama" in told.stdout
    assert "Mara is allergic to peanuts." in told.stdout
    assert "<ltmld-memory>" in told.stdout
    assert UNKNOWN in told.stdout
    assert not list(home.glob("ltmld*"))
    assert not list(home.glob("*ledger*"))


def evening(*, answer: str, without: str) -> demo.Evening:
    return demo.Evening(answer=answer, without=without, injection={})


@pytest.mark.parametrize(
    ("with_memory", "without"),
    [(UNKNOWN, UNKNOWN), ("peanuts", "peanuts"), ("You told me: nothing.", UNKNOWN)],
)
def test_a_memory_that_makes_no_difference_is_no_good_end(with_memory: str, without: str) -> None:
    with pytest.raises(RefusedError, match="no difference"):
        demo._check(DemoPage(), evening(answer=with_memory, without=without))


def test_a_memory_that_makes_the_difference_is_a_good_end() -> None:
    demo._check(DemoPage(), evening(answer="You told me: peanuts.", without=UNKNOWN))


def test_facts_that_are_none_end_the_demo_before_it_begins(home: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text("no facts\n")
    with pytest.raises(BadInputError, match=r"bad\.jsonl"):
        demo.run(facts=[bad], fast=True)
    assert [path.name for path in home.iterdir()] == ["models"]


def test_the_facts_of_the_story_rest_on_its_words() -> None:
    words = flat(" ".join(demo_story.FIRST_DAY))
    assert all(flat(fact["quote"]) in words for fact in demo_story.FACTS)
    assert json.loads(json.dumps(demo_story.FACTS))


def test_the_question_does_not_hold_its_own_answer() -> None:
    assert demo_story.EXPECTED not in demo_story.QUESTION
    turns = (Turn(role="user", text=demo_story.QUESTION),)
    assert answer(Conversation(model="m", turns=turns, stream=False)) == UNKNOWN
    stated = (Turn(role="user", text=demo_story.FIRST_DAY[0]),)
    assert answer(Conversation(model="m", turns=stated, stream=False)) == NOTED
