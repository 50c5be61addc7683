"""A scope is a name that can stand in a header, a path and a table."""

from __future__ import annotations

import pytest

from ltmld.core.scope import is_scope


@pytest.mark.parametrize("name", ["default", "anna@example.org", "home/anna", "7f3c-44", "a" * 128])
def test_names_of_real_systems_are_scopes(name: str) -> None:
    assert is_scope(name)


@pytest.mark.parametrize("name", ["", " ", "a b", "../x", "-x", "a" * 129, "é", "a\nb"])
def test_what_could_confuse_a_header_or_a_path_is_not(name: str) -> None:
    assert not is_scope(name)
