"""Real clients, as people install them, find no difference between ltmld and Ollama, and every turn is kept once.

Each client plays its scenario (``scenarios``) twice, before the stand-in and before ltmld with memory on and an empty
store; it is stopped between two features, so that what the server saw can be looked at while the client still runs.
It runs by ``make test-clients`` only, which installs the clients and says in ``CLIENTS_ENVIRONMENT`` where they are.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ltmld.standin.conversation import Conversation
from ltmld.standin.server import StandIn, running_standin
from ltmld.wire.sentinel import strip
from tests.clients.scenarios import stage
from tests.support.daemon import Daemon, running_daemon

ENVIRONMENT = Path(os.environ.get("CLIENTS_ENVIRONMENT", ""))
SCENARIOS = Path(__file__).with_name("scenarios")
CLIENTS = (
    *("ollama_python", "ollama_js", "openai_python", "openai_responses", "anthropic_python"),
    *("langchain_chat", "litellm_chat", "llama_index_chat", "llm_plugin", "vercel_ai_sdk"),
)
FEATURES = ("chat", "stream", "tools", "structured", "embeddings", "list", "show", "errors", "cancel")
MODELS = (stage.MODEL, stage.EMBEDDER)
# Half a minute at 1 ms a token: nobody hears the end of it.
ENDLESS = "grain " * 30_000
TOKEN_DELAY_S = 0.001
STREAMED = 'Ja — whales 🐋 hum "E♭" & <sing>,\nbut not by day.'
PLAY_S = 100
# Two turns, a stream, a tool's call and its result, and what was left in the middle; one schema alone is no talk.
EXCHANGES = 2 + 1 + 2 + 1
SETTLE_S = 20
# A scenario that does not find our own files is a fault, and no reason to skip.
NOT_INSTALLED = re.compile(
    r"ModuleNotFoundError: No module named '(?!tests|ltmld)|ERR_MODULE_NOT_FOUND.*package '"
)

pytestmark = pytest.mark.skipif(
    not os.environ.get("CLIENTS_ENVIRONMENT"),
    reason="real clients are tried by `make test-clients` only: it installs half a gigabyte of them",
)


@dataclass(slots=True)
class Played:
    """What a client told of each feature, and what the server saw of it meanwhile."""

    told: dict[str, Any] = field(default_factory=dict)
    aborted: bool = False


@dataclass(slots=True)
class Kept:
    """What the ledger holds: how many exchanges, and the conversations by their first words.

    Each conversation has the number of its messages, and the texts of its last exchange.
    """

    exchanges: int
    messages: dict[str, int] = field(default_factory=dict)
    last: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Twice:
    """One client's scenario, direct and through ltmld."""

    client: str
    direct: Played
    through: Played
    kept: Kept


def answers(asked: Conversation) -> str | None:
    """Say what no rule of the stand-in's would: something endless, and something hard to carry."""
    return {stage.CANCEL: ENDLESS, stage.STREAM: STREAMED}.get(strip(asked.question).strip())


@pytest.fixture(scope="module", params=CLIENTS)
def twice(
    request: pytest.FixtureRequest, models_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Twice]:
    """Let one client play its scenario twice."""
    client = str(request.param)
    folder = tmp_path_factory.mktemp(client)
    with running_standin(models=MODELS, script=answers, token_delay_s=TOKEN_DELAY_S) as standin:
        direct = play(client, standin.url, standin, home=folder / "direct")
        with running_daemon(folder / "data", upstream=standin.url, models=models_folder) as daemon:
            through = play(client, daemon.url, standin, home=folder / "through")
            yield Twice(client=client, direct=direct, through=through, kept=kept(daemon))


def play(client: str, url: str, standin: StandIn, *, home: Path) -> Played:
    """Let a client play its scenario, and look at the stand-in after each feature."""
    played = Played()
    before = standin.aborted
    with actor(client, url, home) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            played.told[told.pop("feature")] = told
            if "cancel" in played.told:
                played.aborted = standin.wait_for(lambda: standin.aborted > before)
            process.stdin.write("\n")
            process.stdin.flush()
        process.stdin.close()
        status = process.wait(PLAY_S)
    said = (home / "stderr").read_text()
    if missing := NOT_INSTALLED.search(said):
        pytest.skip(f"{client} is not installed: {said[missing.start() :].splitlines()[0]}")
    assert status == 0, said
    return played


def actor(client: str, url: str, home: Path) -> subprocess.Popen[str]:
    """Start a client's scenario as a program of its own, with a home of its own."""
    home.mkdir(parents=True)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
        "HOME": str(home),
        "LLM_USER_PATH": str(home / "llm"),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PYTHONPATH": str(SCENARIOS.parents[2]),
    }
    with (home / "stderr").open("w") as errors:
        return subprocess.Popen(
            command(client, url),
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def command(client: str, url: str) -> list[str]:
    """Return how a scenario is started; those in JavaScript are laid beside the packages they import."""
    if (SCENARIOS / f"{client}.py").exists():
        return [str(ENVIRONMENT / "bin" / "python"), "-m", f"tests.clients.scenarios.{client}", url]
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed: clients in JavaScript cannot be tried")
    for name in (f"{client}.mjs", "stage.mjs"):
        shutil.copy(SCENARIOS / name, ENVIRONMENT / "js" / name)
    return [node, str(ENVIRONMENT / "js" / f"{client}.mjs"), url]


def kept(daemon: Daemon) -> Kept:
    """Read from the control plane what the ledger holds."""
    pause, patience = threading.Event(), time.monotonic() + SETTLE_S
    while exchanges_of(daemon) < EXCHANGES and time.monotonic() < patience:
        pause.wait(0.05)
    daemon.settle()
    threads = daemon.call("GET", "/api/threads")[1]["threads"]
    titles = [thread["title"] for thread in threads]
    assert len(set(titles)) == len(titles), f"a conversation is there twice: {titles}"
    held = Kept(exchanges=exchanges_of(daemon))
    for thread in threads:
        last = daemon.call("GET", f"/api/exchanges/{thread['last_exchange_id']}")[1]
        held.messages[thread["title"]] = thread["messages"]
        held.last[thread["title"]] = [message["text"] for message in last["messages"]]
    return held


def exchanges_of(daemon: Daemon) -> int:
    """Return how many exchanges the ledger holds."""
    return int(daemon.call("GET", "/api/status")[1]["scopes"].get("default", {}).get("exchanges", 0))


def test_a_client_finds_no_difference(twice: Twice) -> None:
    assert tuple(twice.direct.told) == FEATURES
    assert twice.through.told == twice.direct.told


def test_a_client_that_leaves_in_mid_stream_stops_ollama(twice: Twice) -> None:
    assert twice.direct.told["cancel"] == {"outcome": stage.HEARD_BEFORE_LEAVING}
    assert (twice.direct.aborted, twice.through.aborted) == (True, True)


def test_an_unknown_model_is_an_error_of_the_clients_own(twice: Twice) -> None:
    told = json.dumps(twice.through.told["errors"]["outcome"])
    assert "not found" in told.lower()


def test_each_turn_is_in_the_ledger_once(twice: Twice) -> None:
    assert twice.kept.messages == {
        stage.CHAT[0]: 4,
        stage.STREAM: 2,
        stage.CALL: 4,
        stage.CANCEL: 2,
    }
    assert twice.kept.exchanges == EXCHANGES


def test_what_is_kept_is_what_was_said(twice: Twice) -> None:
    last = twice.kept.last
    assert last[stage.CHAT[0]][0] == stage.CHAT[1]
    assert last[stage.STREAM] == [stage.STREAM, STREAMED]
    assert last[stage.CALL][-1].startswith(f"The tool says: {stage.WEATHER}")
    assert last[stage.CANCEL][0] == stage.CANCEL
    assert ENDLESS.startswith(last[stage.CANCEL][1])


def test_the_table_of_clients_says_what_each_can_do(twice: Twice, checkout: Path) -> None:
    page = (checkout / "docs" / "clients.md").read_text()
    row = next(line for line in page.splitlines() if line.endswith(f"| `{twice.client}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    told = [twice.through.told[feature] for feature in FEATURES]
    assert cells[1:-1] == ["yes" if "outcome" in each else "none" for each in told]
    assert [each["absent"] for each in told if each.get("absent", "") not in page] == []
