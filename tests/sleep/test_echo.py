"""The model's own words are no evidence for what it was reminded of; what it was not told, it has said itself."""

from __future__ import annotations

import pytest

from ltmld.sleep.echo import Heard, echoes
from tests.support.nights import a_candidate

GIVEN = ("[2026-03-01] The user has a dog called Biscuit.", "The user lives in Lisbon since 2019.")
SAID = ("I fly to Rome on Monday.",)


@pytest.mark.parametrize(
    ("text", "subject", "echo"),
    [
        ("The user has a dog called Biscuit.", "user", True),
        ("The user's four-legged friend goes by Biscuit.", "user", True),
        ("The user owns a pup.", "user", True),
        ("Biscuit is a dog.", "Biscuit", True),
        ("The user moved to Lisbon in 2019.", "user", True),
        ("The user flies to Rome.", "user", True),
        ("The user has a dog called Waffle.", "user", False),
        ("The user has 3 dogs.", "user", False),
        ("The assistant recommends the vet Rudolf Keller.", "assistant", False),
        ("Warm oil makes a squeaking door quiet.", "assistant", False),
    ],
)
def test_a_claim_without_a_new_name_or_number_is_an_echo(text: str, subject: str, *, echo: bool) -> None:
    candidate = a_candidate(text, subject=subject, personal=False)
    assert echoes(candidate, Heard(given=GIVEN, said=SAID)) is echo


def test_where_nothing_was_heard_nothing_is_an_echo() -> None:
    assert not echoes(a_candidate("The user has a dog.", personal=False), Heard())
