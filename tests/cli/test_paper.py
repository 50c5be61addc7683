"""What is printed can be read by people and by programs, and memories never steer a terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.cli import paper


def test_a_row_in_a_pipe_is_one_whole_line(capsys: pytest.CaptureFixture[str]) -> None:
    made = paper.table("id", "text", whole=("id",))
    long = "a word and another " * 100
    made.add_row(paper.words("mem-1"), paper.words(long))
    made.add_row(paper.words("mem-2"), paper.words("two\nlines"))
    paper.show(made)
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["id", "text"]
    assert first == f"mem-1  {long.strip()}"
    assert second == "mem-2  two lines"


def test_markup_in_a_memory_is_printed_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    paper.show(paper.pairs([("text", "[bold red]not red[/] :smile:")]))
    assert "[bold red]not red[/] :smile:" in capsys.readouterr().out


@given(st.text())
def test_no_memory_can_steer_a_terminal(text: str) -> None:
    shown = paper.clean(text)
    assert len(shown) == len(text)
    assert all(mark in "\t\n" or mark.isprintable() or ord(mark) > 0x9F for mark in shown)
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_json_keeps_its_order_and_its_letters(capsys: pytest.CaptureFixture[str]) -> None:
    paper.show_json({"z": 1, "a": "Zoë"})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"z": 1, "a": "Zoë"}
    assert printed.index('"z"') < printed.index('"a"')
    assert "Zoë" in printed


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (90_061, "1 d 1 h"),
        (59.9, "59 s"),
    ],
)
def test_a_length_of_time_is_told_in_the_units_that_matter(seconds: float, shown: str) -> None:
    assert paper.length(seconds) == shown


def test_no_time_is_no_text() -> None:
    assert paper.moment(None) == ""
    assert paper.moment("2026-01-31T18:00:00Z").startswith("2026-0")
