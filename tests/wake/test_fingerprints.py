"""What a client asks for itself is nobody's talk; what a person says about it, in words like it, is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ltmld.config import WakeSettings
from ltmld.core.message import Role
from ltmld.core.ports import RequestHead
from ltmld.wake.boilerplate import turns
from ltmld.wake.fingerprint import Said
from ltmld.wake.fingerprints import FRESH_S, Fingerprints, shipped
from ltmld.wake.policy import Decision, decide
from ltmld.wire.dialects import dialect_for
from tests.support.client_tasks import ANTHROPIC, CHAT, DIALOGUE, OPENAI, RESPONSES, SAID, TASKS, a_body


def decided(path: str, body: bytes, **headers: str) -> Decision:
    """Return what policy says to a request."""
    dialect = dialect_for("POST", path)
    assert dialect is not None
    named = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    head = RequestHead(method="POST", target=path, headers=named, peer="10.0.0.1")
    return decide(dialect.parse(body), mode="", settings=WakeSettings(), head=head)


def heard_of(path: str, body: bytes) -> Said:
    """Return what a fingerprint looks at of a request."""
    dialect = dialect_for("POST", path)
    assert dialect is not None
    request = dialect.parse(body)
    spoken = [message for _, message in turns(request.messages)]
    return Said(
        user=[message.text for message in spoken if message.role is Role.USER][-1].strip(),
        system=(request.system or "").strip(),
        alone=len(spoken) == 1,
        header=lambda _: "",
    )


IDS = [f"{task[0]} {number}" for number, task in enumerate(TASKS)]


@pytest.mark.parametrize(("name", "path", "asked", "system", "before"), TASKS, ids=IDS)
def test_a_task_of_a_client_passes_and_nothing_of_it_is_learned(
    name: str, path: str, asked: str, system: str, before: tuple[tuple[str, str], ...]
) -> None:
    decision = decided(path, a_body(path, *before, ("user", asked), system=system))
    assert decision.hands_off
    assert decision.why == name


@pytest.mark.parametrize(("name", "path", "asked", "system", "before"), TASKS, ids=IDS)
def test_a_person_who_asks_about_such_a_task_is_learned_from(
    name: str, path: str, asked: str, system: str, before: tuple[tuple[str, str], ...]
) -> None:
    quoted = f"My client sends this ({name}), and I wonder why:\n\n> {system or asked}\n\n{asked}\n\nWhat is it for?"
    decision = decided(path, a_body(path, *before, ("user", quoted), system="You are helpful."))
    assert decision.record
    assert decision.inject


@pytest.mark.parametrize(
    "words",
    [
        "### Task:\nGenerate a concise summary of my trip to Lisbon.",
        "### Task:\nSummarize the conversation between Anna and me.\nAnna: hello",
        "### Task:\nHow do I fill <chat_history> in my own template?",
        "### Task: is a heading that I put over all my prompts. ### Output: is another.",
        "Warmup exercises for my back, please.",
        "Please write a brief title for the following request: a new roof.",
        "Create a comprehensive summary of this conversation for my boss.",
        "Summarize this coding conversation for my boss, please.",
        "Here is the conversation:\n\nAnna said that she will come.",
        "Your task is to create a poem.",
    ],
)
def test_a_person_who_writes_like_a_client_is_learned_from(words: str) -> None:
    assert decided(CHAT, a_body(CHAT, ("user", words))).record
    assert decided(CHAT, a_body(CHAT, *DIALOGUE, ("user", words))).record


def test_every_shipped_fingerprint_is_held_against_a_task_of_its_client() -> None:
    heard = [
        heard_of(path, a_body(path, *before, ("user", asked), system=system))
        for _, path, asked, system, before in TASKS
    ]
    untested = [mark.name for mark in shipped() if not any(mark.matches(one) for one in heard)]
    assert untested == ["Codex: an agent of its own"], "which is a header"


@pytest.mark.parametrize(
    "words", ["Warmup", "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history"]
)
def test_words_of_a_task_in_the_middle_of_a_conversation_are_talk(words: str) -> None:
    assert decided(CHAT, a_body(CHAT, ("user", words))).hands_off
    assert decided(CHAT, a_body(CHAT, *DIALOGUE, ("user", words))).record


@pytest.mark.parametrize(
    ("headers", "talk"),
    [
        ({"x_openai_subagent": "review"}, False),
        ({"x_openai_subagent": "compact"}, False),
        ({"x_openai_subagent": "memory_consolidation"}, False),
        ({"x_openai_subagent": ""}, True),
        ({"x_ltmld_task": "title_generation"}, False),
        ({"x_ltmld_task": "of my own"}, False),
        ({"x_ltmld_task": ""}, True),
        ({"x_ltmld_task": "{{TASK}}"}, True),
        ({}, True),
    ],
)
def test_a_header_names_a_task(headers: dict[str, str], *, talk: bool) -> None:
    assert decided(RESPONSES, a_body(RESPONSES, ("user", SAID)), **headers).record is talk


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": []}),
        (CHAT, {"messages": [], "keep_alive": 0}),
        ("/api/generate", {"prompt": ""}),
        ("/api/generate", {"prompt": "", "keep_alive": -1}),
        ("/api/generate", {"prompt": "<fim_prefix>a<fim_suffix>", "raw": True}),
        ("/api/generate", {"prompt": "def a(", "suffix": "return 1"}),
        ("/api/generate", {"prompt": "a", "template": "{{ .Prompt }}"}),
        (ANTHROPIC, {"messages": [{"role": "user", "content": "quota"}], "max_tokens": 1}),
        (OPENAI, {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 16}),
        (CHAT, {"messages": [{"role": "user", "content": "hi"}], "options": {"num_predict": 20}}),
        (CHAT, {"messages": [{"role": "user", "content": "hi"}], "format": {"type": "object"}}),
        (
            CHAT,
            {
                "messages": [
                    {"role": "system", "content": "You are a Home Assistant expert."},
                    {"role": "user", "content": "Name the rooms."},
                ],
                "format": {"type": "object"},
            },
        ),
        (
            CHAT,
            {"messages": [{"role": "user", "content": "<environment_details>\nx\n</environment_details>"}]},
        ),
    ],
)
def test_loads_probes_and_completions_of_code_are_no_talk(path: str, body: dict[str, Any]) -> None:
    assert decided(path, json.dumps({"model": "m", **body}).encode()).hands_off


def test_home_assistant_is_talked_to_by_a_person() -> None:
    system = (
        "Current time is 10:31:00. Today's date is 2026-03-01.\nYou are a voice assistant for Home Assistant."
    )
    body = a_body(
        CHAT, ("user", "Turn on the lamp."), system=system, keep_alive=-1, options={"num_ctx": 8192}
    )
    assert decided(CHAT, body).record


# --- a user's own -------------------------------------------------------------------------------------------


class Desk:
    """A user's file, and a clock that is moved."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "fingerprints.toml"
        self.now = 0.0
        self.marks = Fingerprints(self.file, seconds=lambda: self.now)

    def write(self, text: str) -> None:
        """Write the file, and let time pass until it is looked at."""
        self.file.write_text(text, encoding="utf-8")
        self.now += FRESH_S

    def names(self, user: str) -> str:
        """Return what policy calls a request with these words."""
        dialect = dialect_for("POST", CHAT)
        assert dialect is not None
        request = dialect.parse(a_body(CHAT, ("user", user)))
        return decide(request, mode="", settings=WakeSettings(), fingerprints=self.marks.current()).why


def test_a_users_own_fingerprint_is_added_to_the_shipped_ones(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.names("[diary-bot] name this day") == ""
    desk.write('[[fingerprint]]\nname = "diary bot"\nstarts = "[diary-bot]"\n')
    assert desk.names("[diary-bot] name this day") == "diary bot"
    assert desk.names("Warmup") == "Claude Code: warm-up"
    assert desk.marks.standing()["own"] == 1


def test_an_entry_that_is_removed_no_longer_holds(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.write('[[fingerprint]]\nname = "diary bot"\nstarts = "[diary-bot]"\n')
    desk.names("x")
    desk.file.unlink()
    desk.now += FRESH_S
    assert desk.names("[diary-bot] name this day") == ""


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('starts = "[bot]"', "fingerprint 1 has no name"),
        ('name = "bot"', "'bot' looks for nothing"),
        ('name = "bot"\nalone = true', "'bot' looks for nothing"),
        ('name = "bot"\nbegins = "[bot]"', "'bot' has 'begins', which is no condition"),
        ('name = "bot"\nstarts = 3', "'bot': starts is 3"),
        ('name = "bot"\nstarts = ""', "'bot': starts has 0 characters"),
        ('name = "bot"\ncontains = ["long enough", "a"]', "'bot': contains has 1 characters"),
        ('name = "bot"\nstarts = "[bot]"\nalone = "yes"', "'bot': alone is 'yes'"),
        ('name = "bot"\nstarts = "[bot]"\nwhere = "tool"', "'bot': where is 'tool'"),
        ('name = "bot"\nstarts = "unclosed', "is not read"),
    ],
)
def test_a_wrong_entry_is_named_and_left_out_and_the_others_hold(
    tmp_path: Path, entry: str, said: str
) -> None:
    desk = Desk(tmp_path)
    desk.write(f'[[fingerprint]]\n{entry}\n[[fingerprint]]\nname = "right"\nis = "ping"\n')
    assert desk.names("Warmup") == "Claude Code: warm-up"
    assert said in " ".join(desk.marks.problems)
    assert desk.names("ping") == ("" if "unclosed" in entry else "right")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"fingerprint = 3", b"x = 1", b"#" * (1024 * 1024 + 1)])
def test_a_file_that_makes_no_sense_costs_nothing_but_itself(tmp_path: Path, content: bytes) -> None:
    desk = Desk(tmp_path)
    desk.file.write_bytes(content)
    desk.now += FRESH_S
    assert desk.names("Warmup") == "Claude Code: warm-up"
    assert desk.marks.problems
