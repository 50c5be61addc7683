"""Promise: text is taken apart without losing a word, and any text is a safe query."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ltmld.index.words import passages, sentences, terms


def test_stop_words_are_no_terms() -> None:
    assert terms("When did Caroline go to the LGBTQ support group?") == [
        "caroline",
        "go",
        "lgbtq",
        "support",
        "group",
    ]


def test_a_query_of_stop_words_alone_keeps_them() -> None:
    assert terms("Who are you?") == ["who", "are", "you"]


def test_a_pasted_document_is_cut_to_its_first_terms() -> None:
    assert len(terms(" ".join(f"word{number}" for number in range(500)))) == 32


def test_a_line_break_ends_a_sentence() -> None:
    assert sentences("One. Two!\n- three\n\nfour") == ["One.", "Two!", "- three", "four"]


@given(st.text())
def test_terms_hold_nothing_that_full_text_would_read_as_syntax(text: str) -> None:
    assert all(term.isalnum() for term in terms(text))


@given(st.lists(st.sampled_from(["word", "end.", "why?", "\n", "- item", "3.5"]), max_size=400))
def test_every_word_is_in_exactly_one_passage(parts: list[str]) -> None:
    text = " ".join(parts)
    cut = passages(text, whole_words_max=40, passage_words=25)
    assert " ".join(cut).split() == text.split()
    assert all(len(passage.split()) <= 40 for passage in cut)


def test_a_short_text_stays_as_it_is() -> None:
    assert passages("Line one\n  line two ", whole_words_max=10, passage_words=5) == ["Line one\n  line two "]
