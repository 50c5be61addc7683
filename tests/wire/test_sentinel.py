"""What ltmld puts into a prompt can be taken out again, and only that."""

from __future__ import annotations

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
