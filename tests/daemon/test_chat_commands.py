"""Promise: what a command answers is true, short, and of its own scope."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ltmld.config import Settings
from ltmld.core.account import Account, Silence
from ltmld.core.injection import InjectedItem, Injection, InjectionKind
from ltmld.daemon.chat_commands import LISTED_MAX, ChatCommands
from ltmld.errors import BadInputError
from tests.support.house import SmallHouse, line, small_house
from tests.support.ledgers import EPOCH

ME = "me"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SmallHouse]:
    with small_house(tmp_path) as opened:
        yield opened


@pytest.fixture
def commands(house: SmallHouse, tmp_path: Path) -> ChatCommands:
    return the_commands(house, tmp_path)


def the_commands(house: SmallHouse, folder: Path, *, readiness: str = "ready", **wake: bool) -> ChatCommands:
    settings = Settings.load(data_dir=folder)
    settings = settings.model_copy(update={"wake": settings.wake.model_copy(update=wake)})
    return ChatCommands(house.control, house.ledger, settings, readiness=lambda: readiness)


def remembered(commands: ChatCommands, text: str, scope: str = ME) -> str:
    """Remember *text* and return the memory's id."""
    return commands.remember(scope, text).split("`")[1]


def an_injection(*items: InjectedItem) -> Injection:
    return Injection(
        id="inj-1",
        kind=InjectionKind.RECALL_NOTE,
        thread_id="thr-1",
        chain="c",
        text="",
        tokens=0,
        created_at=EPOCH,
        items=items,
    )


def an_item(item_id: str, text: str = "words", why: str = "lexical 0.50") -> InjectedItem:
    return InjectedItem(id=item_id, kind="fact", text=text, score=0.8, why=why)


# --- status ---


def test_status_counts_this_scope_alone(house: SmallHouse, commands: ChatCommands) -> None:
    house.control.import_lines(iter([line("I moved to Bergen.", scope=ME), line("No.", scope="you")]))
    remembered(commands, "I like tea.", scope="you")
    told = commands.status(ME).splitlines()
    assert told[0] == "Memory is **on** here (scope `me`)."
    assert told[1] == "- 0 memories; 1 message in 1 conversation"
    assert told[2] == "- 1 message since the last sleep, not sorted yet"
    assert told[3] == "- last sleep: never (`/ltm sleep` starts one)"


def test_status_says_what_is_switched_off(house: SmallHouse, tmp_path: Path) -> None:
    assert "but recording is off" in the_commands(house, tmp_path, record=False).status(ME)
    assert "but recording and injection are off" in the_commands(
        house, tmp_path, record=False, inject=False
    ).status(ME)
    assert "still being loaded" in the_commands(house, tmp_path, readiness="preparing").status(ME)
    house.ledger.pauses.pause(ME)
    assert the_commands(house, tmp_path).status(ME).startswith("Memory is **off** here (scope `me`) since ")


# --- remember and forget ---


def test_the_same_words_again_make_a_memory_firmer(commands: ChatCommands) -> None:
    assert commands.remember(ME, "I like\n  tea.").startswith("Remembered: “I like tea.” (`mem-")
    assert "said 2 times" in commands.remember(ME, "i like tea.")


def test_what_is_remembered_by_a_chat_is_not_pinned(house: SmallHouse, commands: ChatCommands) -> None:
    assert house.control.memory(remembered(commands, "I like tea."))["pinned"] is False


def test_words_that_cannot_be_kept_are_refused_in_a_sentence(commands: ChatCommands) -> None:
    with pytest.raises(BadInputError, match="this is a document"):
        commands.remember(ME, "word " * 10_000)


def test_the_whole_text_of_one_memory_means_that_one(commands: ChatCommands) -> None:
    remembered(commands, "I like tea.")
    remembered(commands, "I like tea. With milk.")
    assert commands.forget(ME, "I LIKE tea.").startswith("Forgotten: “I like tea.”")


def test_of_many_that_could_be_meant_some_are_listed(commands: ChatCommands) -> None:
    for number in range(LISTED_MAX + 2):
        remembered(commands, f"Tea number {number}.")
    told = commands.forget(ME, "tea number")
    assert told.count("`mem-") == LISTED_MAX
    assert told.endswith("- and 2 more")


def test_what_is_forgotten_already_is_not_there(commands: ChatCommands) -> None:
    named = remembered(commands, "I like tea.")
    assert commands.forget(ME, f"`{named}`").startswith("Forgotten")
    assert commands.forget(ME, named).startswith("No memory here has the id")


@pytest.mark.parametrize("short", ["mem-", "mem-0", "mem-000"])
def test_a_beginning_that_any_id_has_names_no_memory(commands: ChatCommands, short: str) -> None:
    remembered(commands, "I like tea.")
    assert commands.forget(ME, short).startswith("No memory here has the id")


def test_the_beginning_of_an_id_is_one_of_this_scope_whatever_others_there_are(
    house: SmallHouse, commands: ChatCommands
) -> None:
    named = remembered(commands, "I like tea.")
    remembered(commands, "Tea is for others.", scope="you")
    assert house.ledger.memory(named[:4], scope=ME).id == named


def test_the_id_of_another_scopes_memory_tells_nothing(commands: ChatCommands) -> None:
    named = remembered(commands, "The safe opens with 4711.", scope="you")
    answers = {commands.forget(ME, name).replace(name, "") for name in (named, "mem-0000", named[:5])}
    assert len(answers) == 1
    assert "4711" not in answers.pop()


# --- sleep ---


def test_a_sleep_that_was_left_unfinished_comes_first(house: SmallHouse, commands: ChatCommands) -> None:
    left = house.ledger.begin_cycle(scope="", depth="light", trigger="manual", model="", dry_run=False)
    assert commands.sleep(ME).startswith(f"Sleep has begun (`{left}`).")
    house.sleeper.wait()


def test_sleep_begins_for_this_scope_and_says_how_to_watch_it(
    house: SmallHouse, commands: ChatCommands
) -> None:
    told = commands.sleep(ME)
    cycle_id = told.split("`")[1]
    assert told.startswith(f"Sleep has begun (`{cycle_id}`).")
    assert f"`ltmld sleeps {cycle_id}`" in told
    house.sleeper.wait()
    shown = house.control.sleep(cycle_id)
    assert (shown["scope"], shown["trigger"], shown["state"]) == (ME, "chat", "completed")
    assert "completed" in commands.status(ME)


# --- why ---


def test_what_was_given_is_told_with_its_words_its_day_and_its_conversation(
    house: SmallHouse, commands: ChatCommands
) -> None:
    house.control.import_lines(
        iter([line("I moved to Bergen.", scope=ME), line("It rains.", scope=ME, at="2026-02-01T12:00:00Z")])
    )
    [thread] = house.ledger.threads()[0]
    rain = house.ledger.thread_messages(thread["id"])[1]
    told = commands.why(ME, Account(answered=True, new=(an_injection(an_item(rain.id, "It rains.")),)))
    assert told.startswith("The last answer was given 1 memory:\n\n- “It rains.” (`msg-")
    assert "said 2026-02-01 " in told
    assert "in the conversation that began “I moved to Bergen.”; score 0.80: lexical 0.50)" in told


def test_a_pinned_memory_needs_no_score(commands: ChatCommands) -> None:
    named = remembered(commands, "I like tea.")
    told = commands.why(ME, Account(answered=True, new=(an_injection(an_item(named, why="pinned")),)))
    assert told.endswith("; pinned)")


def test_nothing_of_another_scope_is_shown_beside_a_memory(commands: ChatCommands) -> None:
    named = remembered(commands, "The safe opens with 4711.", scope="you")
    told = commands.why(ME, Account(answered=True, new=(an_injection(an_item(named)),)))
    assert "conversation that began" not in told


def test_a_long_list_ends_in_a_count(commands: ChatCommands) -> None:
    items = [an_item(f"mem-{number}") for number in range(LISTED_MAX + 3)]
    told = commands.why(ME, Account(answered=True, earlier=(an_injection(*items),), silence=Silence.FULL))
    assert told.startswith("The last answer was given nothing new from memory: the prompt fills over 70 %")
    assert told.endswith("- and 3 more")


def test_an_unknown_reason_is_said_to_be_unknown(commands: ChatCommands) -> None:
    assert "nothing is known about the reason" in commands.why(ME, Account(answered=True))
    assert "no answer in this conversation yet" in commands.why(ME, Account(answered=False))


# --- off and on ---


def test_off_and_on_say_what_changed(house: SmallHouse, commands: ChatCommands) -> None:
    assert commands.resume(ME) == "Memory was on here already (scope `me`)."
    assert commands.pause(ME).startswith("Memory is **off** in all conversations here (scope `me`), since ")
    assert house.control.status()["paused"].keys() == {ME}
    assert commands.resume(ME).startswith("Memory is **on** here again (scope `me`); it was off since ")
