"""What ltmld puts into a prompt can be taken out again, and only that."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.wire.sentinel import CLOSE, GAP, OPEN, present, strip, wrap

words = st.text(max_size=60).filter(lambda text: OPEN not in text and CLOSE not in text)


@given(words, st.text(max_size=60))
def test_a_block_after_a_text_is_taken_out_without_a_trace(text: str, memory: str) -> None:
    assert strip(text + GAP + wrap(memory)) == text


@given(words, st.text(max_size=60))
def test_a_note_before_a_text_is_taken_out_without_a_trace(text: str, memory: str) -> None:
    assert strip(wrap(memory) + GAP + text) == text


@given(words)
def test_a_text_without_a_block_stays_as_it_is(text: str) -> None:
    assert strip(text) == text
    assert not present(text)


@given(st.text(max_size=30), st.sampled_from([OPEN, CLOSE]), st.text(max_size=30))
def test_a_memory_cannot_close_its_own_block(before: str, tag: str, after: str) -> None:
    assert strip(wrap(before + tag + after)) == ""


def test_an_opening_tag_alone_hides_nothing() -> None:
    text = f"What does {OPEN} mean?"
    assert strip(text) == text
    assert not present(text)
    assert present(wrap("x"))


_BLOCK = f"{OPEN}.*?{CLOSE}"
_AS_A_REGEX = re.compile(rf"\A{_BLOCK}(?:{GAP})?|(?:{GAP})?{_BLOCK}", re.DOTALL)


@given(st.lists(st.sampled_from([OPEN, CLOSE, "\n", GAP, "a", "<", OPEN[1:]]), max_size=14).map("".join))
def test_blocks_go_with_one_gap_each_however_they_stand(text: str) -> None:
    assert strip(text) == _AS_A_REGEX.sub("", text)
    assert present(text) == (_AS_A_REGEX.search(text) is not None)


@pytest.mark.parametrize("text", [OPEN * 360_000, (OPEN + CLOSE) * 170_000, GAP * 2_500_000 + OPEN])
def test_five_megabytes_of_tags_are_read_at_once(text: str) -> None:
    began = time.perf_counter()
    strip(text)
    present(text)
    assert time.perf_counter() - began < 1.0
