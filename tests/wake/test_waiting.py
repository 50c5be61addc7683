"""Promise: while there is no memory everything passes, and who asks memory is told why there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ltmld.config import WakeSettings
from ltmld.core.ports import Plan, RequestHead
from ltmld.wake.clerk import Doorway
from ltmld.wake.waiting import WAKING, WaitingAttendant
from tests.support.ledgers import MovedClock


def waiting(**settings: bool) -> WaitingAttendant:
    return WaitingAttendant(
        WAKING,
        settings=WakeSettings(**settings),
        body_bytes_max=1_000_000,
        doorway=Doorway(hostname="desk", on_loopback=True),
        clock=MovedClock(),
    )


@pytest.fixture
def attendant() -> Iterator[WaitingAttendant]:
    attendant = waiting()
    yield attendant
    attendant.close()


def a_head(path: str = "/api/chat", **headers: str) -> RequestHead:
    named = tuple((name.replace("_", "-").encode(), text.encode()) for name, text in headers.items())
    return RequestHead(method="POST", target=path, headers=named, peer="127.0.0.1")


def a_body(*said: str) -> bytes:
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(said)]
    return json.dumps({"model": "m", "stream": False, "messages": messages}).encode()


def words(plan: Plan) -> str:
    assert plan.answer is not None
    return str(json.loads(plan.answer.payloads[0])["message"]["content"])


@pytest.mark.parametrize("verb", ["status", "why", "sleep", "remember tea", "forget tea", "off", "on"])
async def test_a_command_is_answered_with_the_reason(attendant: WaitingAttendant, verb: str) -> None:
    assert words(await attendant.attend(a_head(), a_body(f"/ltm {verb}"))) == f"ltmld: {WAKING}"


async def test_help_needs_no_memory(attendant: WaitingAttendant) -> None:
    assert "/ltm remember TEXT" in words(await attendant.attend(a_head(), a_body("/ltm")))


@pytest.mark.parametrize("body", [a_body("hi"), b"not json", b'{"messages":[]}'])
async def test_everything_else_passes_as_it_came(attendant: WaitingAttendant, body: bytes) -> None:
    assert await attendant.attend(a_head(), body) == Plan(body=body)


async def test_commands_of_the_past_are_no_part_of_a_conversation_here_either(
    attendant: WaitingAttendant,
) -> None:
    plan = await attendant.attend(a_head(), a_body("/ltm", "help", "hi"))
    assert json.loads(plan.body) == json.loads(a_body("hi"))


async def test_a_page_of_elsewhere_is_not_answered(attendant: WaitingAttendant) -> None:
    body = a_body("/ltm status")
    assert await attendant.attend(a_head(origin="https://evil.example"), body) == Plan(body=body)


def test_only_where_a_command_may_stand_is_looked_into(attendant: WaitingAttendant) -> None:
    assert attendant.looks_into(a_head())
    assert not attendant.looks_into(a_head("/api/embed"))
    assert not attendant.looks_into(a_head(x_ltmld_memory="off"))
    silent = waiting(commands=False)
    assert not silent.looks_into(a_head())
    silent.close()


def test_its_errors_have_the_shape_of_the_dialect(attendant: WaitingAttendant) -> None:
    assert json.loads(attendant.unavailable(a_head(), "away")) == {"error": "ltmld: away"}
    assert "message" in json.loads(attendant.unavailable(a_head("/v1/chat/completions"), "away"))["error"]
