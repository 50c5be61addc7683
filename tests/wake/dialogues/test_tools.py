"""The promise: a person who makes the model use tools has said one thing, and the answer is one answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dialogues import Talk, said
from tests.support.tongues import Said


def calling(city: str, *, identity: str = "call_1") -> Said:
    """Return an assistant's message that asks for the weather."""
    call = {"id": identity, "name": "weather", "arguments": {"city": city, "days": 1}}
    return {"role": "assistant", "text": "", "tool_calls": [call]}


def result(text: str, *, identity: str = "call_1") -> Said:
    """Return a tool's answer."""
    return {"role": "tool", "text": text, "tool_call_id": identity}


async def rain(talk: Talk, *, resent_as: str = "call_1") -> None:
    """Ask about rain, let the model call a tool, and let it answer; the client resends the call by its own id."""
    asked = await talk.asks("rain today?")
    await asked.gets(calls=calling("Bern")["tool_calls"])
    history = said("rain today?", calling("Bern", identity=resent_as), result("12 mm", identity=resent_as))
    await talk.turn(*history, gets="Take a coat.")


async def test_a_tool_loop_is_one_run_of_messages(any_talk: Talk) -> None:
    await rain(any_talk)
    assert any_talk.everything() == [
        "user: rain today?",
        "assistant: ",
        "tool: 12 mm",
        "assistant: Take a coat.",
    ]
    [[thread], _] = any_talk.ledger.threads()
    exchanges = any_talk.ledger.thread_messages(thread["id"])
    assert [message.ordinal for message in exchanges] == [0, 1, 2, 3]
    gathered = [message.text for message in any_talk.ledger.ungathered("default")]
    assert gathered == ["rain today?", "Take a coat."]


async def test_a_client_that_makes_up_ids_of_its_own_sends_the_same_calls(any_talk: Talk) -> None:
    await rain(any_talk, resent_as="tc_7f1e9a2c")
    history = said(
        "rain today?", calling("Bern", identity="x"), result("12 mm", identity="x"), "Take a coat."
    )
    history.append({"role": "user", "text": "and tomorrow?"})
    await any_talk.turn(*history, gets="No coat.")
    assert len(any_talk.everything()) == 6


async def test_two_rounds_of_several_calls_are_one_run(any_talk: Talk) -> None:
    calls = [calling(city, identity=city)["tool_calls"][0] for city in ("Bern", "Rome")]
    both: Said = {"role": "assistant", "text": "", "tool_calls": calls}
    asked = await any_talk.asks("rain?")
    await asked.gets(calls=calls)
    history = said("rain?", both, result("12 mm", identity="Bern"), result("0 mm", identity="Rome"))
    second = await any_talk.asks(*history)
    await second.gets(calls=calling("Oslo", identity="o")["tool_calls"])
    history += [calling("Oslo", identity="o"), result("3 mm", identity="o")]
    await any_talk.turn(*history, gets="Bern is wet.")
    spoken = [line for line in any_talk.everything() if not line.endswith(": ")]
    assert spoken == ["user: rain?", "tool: 12 mm", "tool: 0 mm", "tool: 3 mm", "assistant: Bern is wet."]
    assert len(any_talk.everything()) == 7


async def test_another_call_made_anew_is_another_answer(any_talk: Talk) -> None:
    for city in ("Bern", "Rome"):
        asked = await any_talk.asks("rain?")
        await asked.gets(calls=calling(city)["tool_calls"])
    await any_talk.turn(*said("rain?", calling("Rome"), result("0 mm")), gets="Dry.")
    with any_talk.ledger._readers.snapshot() as connection:
        rows = connection.execute(
            "SELECT tool_calls FROM messages WHERE tool_calls <> '[]' ORDER BY rowid"
        ).fetchall()
    assert ["Bern" in row["tool_calls"] for row in rows] == [True, False]
    assert any_talk.threads() == [["rain?", "", "0 mm", "Dry."]]


ALL_BOILERPLATE = "<system-reminder>The list of things to do is empty.</system-reminder>"


async def test_an_answer_after_a_message_of_the_client_alone_is_a_further_answer(any_talk: Talk) -> None:
    await any_talk.turn("fix it", gets="I look at a.py.")
    await any_talk.turn("fix it", "I look at a.py.", ALL_BOILERPLATE, gets="Done.")
    assert any_talk.threads() == [["fix it", "I look at a.py.", "Done."]]
    history = ("fix it", "I look at a.py.", ALL_BOILERPLATE, "Done.", "thanks")
    await any_talk.turn(*history, gets="Gladly.")
    assert any_talk.threads() == [["fix it", "I look at a.py.", "Done.", "thanks", "Gladly."]]
    assert len(any_talk.everything()) == 5


async def test_a_clients_result_in_a_persons_place_glues_no_answers_together(any_talk: Talk) -> None:
    file = "[read_file for 'a.py'] Result:\n\nprint(1)\n<environment_details>x</environment_details>"
    await any_talk.turn("fix it", gets="I look at a.py.")
    await any_talk.turn("fix it", "I look at a.py.", file, gets="Now b.py.")
    await any_talk.turn("fix it", "I look at a.py.", file, "Now b.py.", file, gets="Done.")
    assert any_talk.threads() == [["fix it", "I look at a.py.", "Now b.py.", "Done."]]
    assert len(any_talk.everything()) == 4


CLEARED = "[Old tool result content cleared]"


@pytest.mark.parametrize("key", ["", "work"])
async def test_old_results_that_a_client_clears_change_nothing_of_what_was_said(
    any_talk: Talk, key: str
) -> None:
    named: dict[str, Any] = {"x_ltmld_thread": key} if key else {}
    history: list[Said] = []
    for number, city in enumerate(("Bern", "Rome", "Oslo", "Kyiv", "Lima")):
        old = [one for one in history if one["role"] == "tool"][:-2]
        for one in old:
            one["text"] = CLEARED
        history += said(f"rain in {city}?")
        asked = await any_talk.asks(*history, **named)
        await asked.gets(calls=calling(city, identity=city)["tool_calls"])
        history += [calling(city, identity=city), result(f"{number} mm in {city}", identity=city)]
        await any_talk.turn(*history, gets=f"{number} mm.", **named)
        history += [{"role": "assistant", "text": f"{number} mm."}]
    [thread] = any_talk.threads()
    assert len(thread) == len(any_talk.everything()) == 20
    assert not any(CLEARED in line for line in any_talk.everything())
