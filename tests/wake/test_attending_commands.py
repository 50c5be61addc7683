"""Promise: a command costs nobody else a moment, and leaves no trace in the conversation; a pause is a pause."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from ltmld.core.account import Account, Silence
from ltmld.core.chain import chains
from ltmld.core.exchange import PathMessage
from ltmld.core.injection import Injection, InjectionKind
from ltmld.core.message import Message, Role
from ltmld.core.ports import RequestHead
from ltmld.errors import RefusedError
from ltmld.models.cards import ModelCards
from ltmld.standin.server import StandIn, running_standin
from ltmld.wake.accounts import Accounts
from ltmld.wake.attendant import WakeAttendant
from ltmld.wake.clerk import BUSY, FAILED, OPEN_MAX, Clerk, Doorway
from ltmld.wake.injector import Place
from tests.support.chat import ObedientCommands
from tests.support.ledgers import EPOCH
from tests.wake.test_attendant import MODEL, OTHER, Chat, Room

DOG = ("How is my dog?", "Well.")


@pytest.fixture(scope="module")
def standin() -> Iterator[StandIn]:
    with running_standin(models=(MODEL, OTHER)) as standin:
        yield standin


def as_sent(*said: str) -> Chat:
    """Return messages as a client sends them, the user first."""
    return [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(said)]


class Office(Room):
    """A room with a clerk, whose commands wait for the test only where it says so."""

    deadline_s = 10.0

    def _attendant(self, upstream: str) -> WakeAttendant:
        self.commands = ObedientCommands()
        self.commands.may_answer.set()
        clerk = Clerk(
            self.commands,
            doorway=Doorway(hostname="desk", on_loopback=True),
            deadline_s=self.deadline_s,
            clock=self.clock,
        )
        return WakeAttendant(
            ledger=self.ledger,
            recall=self.shelf,
            cards=ModelCards(upstream, timeout_s=5),
            settings=self.settings,
            body_bytes_max=10_000_000,
            clock=self.clock,
            new_id=self.ids,
            clerk=clerk,
        )

    async def told(self, *said: str, **more: str) -> str:
        """Send a history that ends in a command, and return what ltmld answers."""
        answer = (await self.attend(*said, **more)).answer
        assert answer is not None, "the model was asked"
        lines = [json.loads(payload) for payload in answer.payloads]
        return "".join(line["message"]["content"] for line in lines)

    async def account(self, *said: str, **more: str) -> Account:
        """Return the account that ``/ltm why`` gives after this history."""
        await self.told(*said, "/ltm why", **more)
        return self.commands.accounts[-1]

    def words(self) -> list[str]:
        """Return everything that was recorded, in order."""
        threads, _ = self.ledger.threads()
        return [
            said.text for thread in reversed(threads) for said in self.ledger.thread_messages(thread["id"])
        ]


@pytest.fixture
async def office(tmp_path: Path, standin: StandIn) -> AsyncIterator[Office]:
    office = Office(tmp_path, standin.url)
    yield office
    office.commands.may_answer.set()
    await office.attendant.close()
    office.ledger.close()


# --- doing ---


async def test_a_command_acts_in_the_scope_of_its_request(office: Office) -> None:
    assert await office.told("/ltm remember I like tea", x_ltmld_scope="ann") == "remember ann I like tea"
    assert await office.told("/ltm off") == "pause default"
    assert office.attendant.stats.commands == 2
    assert office.words() == []


async def test_what_takes_too_long_is_said_to_be_undecided_and_is_done(
    office: Office, standin: StandIn
) -> None:
    office.deadline_s = 0.05
    await office.move(standin.url)
    office.commands.may_answer.clear()
    late = "has not ended within 0.05 seconds. It may still be done, or fail"
    assert late in await office.told("/ltm remember tea")
    assert "memory is on, and what is said is recorded" in await office.told("/ltm off")
    assert "ask again" in await office.told("/ltm status")
    assert office.commands.asked[0] == ("remember", "default", "tea")


async def test_while_a_command_is_done_others_talk(office: Office) -> None:
    office.commands.may_answer.clear()
    waiting = asyncio.create_task(office.told("/ltm status"))
    assert (await office.turn("How is my dog?"))[-1]["content"] == "How is my dog?"
    assert not waiting.done()
    office.commands.may_answer.set()
    assert await waiting == "status default"


async def test_too_many_commands_at_once_are_refused_in_words(office: Office) -> None:
    office.commands.may_answer.clear()
    waiting = [asyncio.create_task(office.told("/ltm status")) for _ in range(OPEN_MAX)]
    await asyncio.sleep(0)
    assert await office.told("/ltm status") == BUSY
    assert "/ltm remember" in await office.told("/ltm help")
    office.commands.may_answer.set()
    assert set(await asyncio.gather(*waiting)) == {"status default"}
    assert await office.told("/ltm status") == "status default"


async def test_what_goes_wrong_is_told_and_never_the_models_to_answer(office: Office) -> None:
    office.commands.error = RefusedError("A cycle is running already.")
    assert await office.told("/ltm sleep") == "ltmld: A cycle is running already."
    office.commands.error = OverflowError("a defect")
    assert await office.told("/ltm sleep") == FAILED
    assert office.attendant.stats.failures == 1


async def test_from_a_page_of_elsewhere_it_passes_as_it_came(office: Office) -> None:
    plan = await office.attend(
        "/ltm forget everything", origin="https://evil.example", host="127.0.0.1:11435"
    )
    assert (plan.answer, plan.recording) == (None, None)
    assert json.loads(plan.body)["messages"][0]["content"] == "/ltm forget everything"
    assert office.commands.asked == []


# --- what stays of it ---


@pytest.fixture
async def twin(tmp_path: Path, standin: StandIn) -> AsyncIterator[Office]:
    """Return another office that knows what the first one knows."""
    twin = Office(tmp_path / "twin", standin.url)
    yield twin
    await twin.attendant.close()
    twin.ledger.close()


STATUS = ("/ltm status", "status default")
UNKNOWN = ("/ltm xyzzy", "`/ltm xyzzy` is no command")


@pytest.mark.parametrize(
    "dressed",
    [
        (*STATUS, *DOG, "And now?"),
        (*DOG, *STATUS, "And now?"),
        (*STATUS, *DOG, *STATUS, *UNKNOWN, "And now?"),
    ],
    ids=["before", "between", "everywhere"],
)
async def test_a_prompt_with_commands_in_its_past_is_byte_for_byte_the_one_without(
    office: Office, twin: Office, dressed: tuple[str, ...]
) -> None:
    for room in (office, twin):
        await room.turn("How is my dog?")
    plain, other = await twin.attend(*DOG, "And now?"), await office.attend(*dressed)
    assert b"Rex" in plain.body
    assert other.body == plain.body
    assert other.drop_headers == plain.drop_headers


async def test_neither_commands_nor_answers_are_recorded(office: Office) -> None:
    await office.turn("How is my dog?")
    await office.told(*DOG, "/ltm status")
    await office.turn(*DOG, *STATUS, "And now?")
    await office.turn(*DOG, *STATUS, "And now?", "Well.", *STATUS, "Good.")
    assert office.words() == [*DOG, "And now?", "Well.", "Good.", "Well."]
    assert len(office.ledger.threads()[0]) == 1


async def test_commands_of_the_past_never_reach_a_cloud_model(office: Office) -> None:
    plan = await office.attend("/ltm why", "It was given: my pin is 1234", "hi", model="big:cloud")
    assert json.loads(plan.body)["messages"] == [{"role": "user", "content": "hi"}]
    assert plan.recording is None


async def test_a_body_that_came_packed_goes_on_plain_without_its_commands(office: Office) -> None:
    messages = [
        {"role": "user", "content": "/ltm"},
        {"role": "assistant", "content": "help"},
        {"role": "user", "content": "hi"},
    ]
    body = zstandard.ZstdCompressor().compress(
        json.dumps({"model": "big:cloud", "messages": messages}).encode()
    )
    head = RequestHead(
        method="POST",
        target="/v1/chat/completions",
        headers=((b"content-encoding", b"zstd"),),
        peer="127.0.0.1",
    )
    plan = await office.attendant.attend(head, body)
    assert json.loads(plan.body)["messages"] == messages[2:]
    assert plan.drop_headers == {b"content-encoding"}


async def test_a_background_request_with_commands_in_its_past_passes_as_it_came(office: Office) -> None:
    said = (*DOG, *STATUS, "Make a title.")
    plan = await office.attend(*said, x_ltmld_task="title_generation")
    assert [item["content"] for item in json.loads(plan.body)["messages"]] == list(said)
    assert (plan.answer, plan.recording) == (None, None)


# --- why ---


async def test_an_answer_that_was_given_something_is_accounted_for(office: Office) -> None:
    await office.turn("How is my dog?")
    account = await office.account(*DOG)
    assert account.answered
    assert ["Rex" in one.text for one in account.new] == [True]
    assert (account.earlier, account.silence) == ((), None)


async def test_what_was_given_earlier_is_told_apart_from_what_is_new(office: Office) -> None:
    await office.turn("How is my dog?")
    await office.turn(*DOG, "And now?")
    account = await office.account(*DOG, "And now?", "Well.")
    assert (len(account.new), len(account.earlier)) == (0, 1)
    assert account.silence is Silence.NOTHING_FOUND


async def test_after_a_restart_what_was_given_is_still_known(office: Office, standin: StandIn) -> None:
    await office.turn("How is my dog?")
    await office.move(standin.url)
    office.clock.move(hours=1)
    account = await office.account(*DOG)
    assert ["Rex" in one.text for one in account.new] == [True]


def test_a_block_that_stands_at_a_greeting_was_given_to_the_first_answer() -> None:
    said = [Message(role=Role.ASSISTANT, text="Hello!"), Message(role=Role.USER, text="How is my dog?")]
    path = tuple(
        PathMessage(message=message, chain=chain) for message, chain in zip(said, chains(said), strict=True)
    )
    block = Injection(
        id="inj-1",
        kind=InjectionKind.WAKE_BLOCK,
        thread_id="thr-1",
        chain=path[0].chain,
        text="Rex",
        tokens=1,
        created_at=EPOCH,
    )
    place = Place(scope="default", thread_id="thr-1", thread_key="", path=path, given=(block,))
    account = Accounts().of(place)
    assert (account.new, account.earlier) == ((block,), ())


def test_of_many_reasons_the_oldest_go() -> None:
    accounts = Accounts(entries_max=2)
    said = [Message(role=Role.USER, text=f"question {number}") for number in range(3)]
    places = []
    for message in said:
        [chain] = chains([message])
        path = (PathMessage(message=message, chain=chain),)
        places.append(Place(scope="default", thread_id="thr-1", thread_key="", path=path))
        accounts.keep("default", chain, Silence.FULL)
    assert [accounts.of(place).silence for place in places] == [None, Silence.FULL, Silence.FULL]


async def test_asking_why_between_turns_changes_nothing(office: Office) -> None:
    await office.turn("How is my dog?")
    await office.account(*DOG)
    again = await office.account(*DOG, "/ltm why", "because")
    assert ["Rex" in one.text for one in again.new] == [True]


async def silence_of(office: Office, *said: str, **more: Any) -> Silence | None:
    await office.turn(*said, **more)
    more.pop("x_ltmld_memory", None)
    return (await office.account(*said, "Well.", **more)).silence


async def test_the_reasons_for_nothing_are_known(office: Office) -> None:
    assert await silence_of(office, "hi", model="big:cloud") is Silence.CLOUD
    assert await silence_of(office, "hello", model="mystery") is Silence.MODEL_UNKNOWN
    assert await silence_of(office, "a word " * 9000) is Silence.FULL
    assert await silence_of(office, "wordless", x_ltmld_memory="write") is Silence.SWITCHED_OFF
    office.shelf.lines.clear()
    assert await silence_of(office, "unheard of") is Silence.NOTHING_FOUND
    office.ledger.pauses.pause("default")
    assert await silence_of(office, "hush") is Silence.PAUSED
    assert (await office.account()).answered is False


# --- off ---


async def test_a_pause_records_and_replays_nothing(office: Office) -> None:
    await office.turn("How is my dog?")
    office.ledger.pauses.pause("default")
    sent = await office.turn(*DOG, "My pin is 1234.")
    assert sent == [
        {"role": ("user", "assistant")[at % 2], "content": text}
        for at, text in enumerate((*DOG, "My pin is 1234."))
    ]
    assert office.words() == list(DOG)


async def test_another_scope_is_not_paused_by_it(office: Office) -> None:
    office.ledger.pauses.pause("ann")
    await office.turn("How is my dog?", x_ltmld_scope="bob")
    assert office.words() == list(DOG)


async def test_what_was_said_in_a_pause_is_not_recorded_after_it(office: Office) -> None:
    said = [*DOG]
    await office.turn(*said[:1])
    office.ledger.pauses.pause("default")
    said += ["My pin is 1234.", "Well."]
    await office.turn(*said[:3])
    office.ledger.pauses.resume("default")
    said += ["And now?", "Well."]
    await office.turn(*said[:5])
    await office.turn(*said, "Good.")
    assert office.words() == [*DOG, "And now?", "Well.", "Good.", "Well."]
    assert len(office.ledger.threads()[0]) == 1


async def test_a_conversation_that_began_in_a_pause_is_recorded_from_its_end_on(office: Office) -> None:
    office.ledger.pauses.pause("default")
    await office.turn("My pin is 1234.")
    office.ledger.pauses.resume("default")
    await office.turn("My pin is 1234.", "Well.", "And now?")
    await office.turn("My pin is 1234.", "Well.", "And now?", "Well.", "Good.")
    assert office.words() == ["And now?", "Well.", "Good.", "Well."]
    assert len(office.ledger.threads()[0]) == 1


async def test_the_same_words_said_again_with_memory_on_are_recorded(office: Office) -> None:
    office.ledger.pauses.pause("default")
    await office.turn("hi")
    office.ledger.pauses.resume("default")
    await office.turn("hi")
    await office.turn("hi", "Well.", "And now?")
    assert office.words() == ["hi", "Well.", "And now?", "Well."]
