"""Promise: every shipped prompt can be used, a person's own copy goes first, and a broken one is named."""

from __future__ import annotations

import pytest

from ltmld.config import config_dir
from ltmld.errors import NotFoundError, SettingsError
from ltmld.sleep.prompts import load_prompt

SHIPPED = {"extract": {"episode"}, "summarize": {"notes"}, "repair": {"question", "fault"}}


def own(name: str, text: str) -> None:
    folder = config_dir() / "prompts"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text, "utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_prompts_can_be_used(name: str) -> None:
    prompt = load_prompt(name, placeholders=frozenset(SHIPPED[name]))
    assert prompt.version == "1"
    assert prompt.schema
    assert "{{" not in prompt.filled(dict.fromkeys(SHIPPED[name], "words"))


def test_a_persons_own_copy_goes_first() -> None:
    own(
        "extract",
        "---\nversion: mine\nschema: extract\n---\n# System\nBe brief.\n# Prompt\nRead: {{episode}}\n",
    )
    prompt = load_prompt("extract", placeholders=frozenset({"episode"}))
    assert (prompt.version, prompt.system, prompt.filled({"episode": "hi"})) == (
        "mine",
        "Be brief.",
        "Read: hi",
    )


def test_what_is_filled_in_is_not_filled_again() -> None:
    own("extract", "---\nversion: 1\nschema: x\n---\n# System\n# Prompt\n{{episode}} {{other}}\n")
    prompt = load_prompt("extract", placeholders=frozenset({"episode"}))
    assert prompt.filled({"episode": "{{other}}", "other": "secret"}) == "{{other}} secret"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Just words.",
        "---\nversion: 1\n---\n# System\nno prompt\n",
        "---\nversion: 1\n---\n# System\n# Prompt\nx\n",
    ],
)
def test_a_broken_prompt_is_named_with_its_remedy(text: str) -> None:
    own("extract", text)
    with pytest.raises(SettingsError, match=r"extract\.md"):
        load_prompt("extract", placeholders=frozenset({"episode"}))


def test_a_prompt_that_nobody_ships_is_missing() -> None:
    with pytest.raises(NotFoundError):
        load_prompt("dream", placeholders=frozenset())
