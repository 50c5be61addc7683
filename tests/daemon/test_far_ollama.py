"""Ollama behind https and a path, ltmld behind https: memory works as at home, in every call that ltmld makes."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ltmld.standin.server import StandIn, running_standin
from tests.support.certificates import Authority
from tests.support.daemon import Daemon, running_daemon
from tests.support.front import BASE_PATH, Front, running_front


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return who has signed both certificates."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def standin() -> Iterator[StandIn]:
    """Run a stand-in whose model has a SYSTEM of its own."""
    with running_standin(system="You answer in one sentence.") as standin:
        yield standin


@pytest.fixture(scope="module")
def front(standin: StandIn, authority: Authority) -> Iterator[Front]:
    """Run a reverse proxy before it."""
    with running_front(standin.port, authority.server("localhost")) as front:
        yield front


@pytest.fixture(scope="module")
def daemon(
    front: Front, authority: Authority, models_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """Run a daemon between https and https."""
    certificate, key = authority.issue("127.0.0.1")
    with running_daemon(
        tmp_path_factory.mktemp("data"),
        upstream=front.url,
        models=models_folder,
        LTMLD_PROXY__CA_FILE=str(authority.ca_file),
        LTMLD_PROXY__TLS_CERTIFICATE=str(certificate),
        LTMLD_PROXY__TLS_KEY=str(key),
    ) as daemon:
        yield daemon


def chat(daemon: Daemon, authority: Authority, text: str) -> str:
    """Say *text* in a new conversation, by https."""
    body = json.dumps({"model": "stand-in:latest", "messages": [{"role": "user", "content": text}]})
    connection = http.client.HTTPSConnection("127.0.0.1", daemon.port, timeout=30, context=authority.client())
    try:
        connection.request("POST", "/api/chat", body)
        answer = connection.getresponse()
        assert answer.status == 200
        return "".join(json.loads(line)["message"]["content"] for line in answer.read().splitlines())
    finally:
        connection.close()


def test_what_is_said_is_remembered_and_put_in_behind_the_models_own_words(
    daemon: Daemon, authority: Authority, standin: StandIn
) -> None:
    chat(daemon, authority, "My parrot Kiwi speaks Finnish.")
    daemon.settle()
    assert "Finnish" in chat(daemon, authority, "Which language does my parrot Kiwi speak?")
    asked = [request for request in standin.requests if request.path == "/api/chat"][-1]
    assert b"You answer in one sentence." in asked.body, "the card was asked for, and came"


def test_the_nights_model_is_reached(daemon: Daemon, authority: Authority, front: Front) -> None:
    chat(daemon, authority, "My neighbor Ada plays the cello in a quartet every Thursday.")
    daemon.settle()
    cycle = daemon.sleep(model="stand-in:latest")
    assert cycle["state"] == "completed"
    asked = [passed for passed in front.passed if passed.agent.startswith("ollama-python")]
    assert {f"{BASE_PATH}/api/tags", f"{BASE_PATH}/api/chat"} <= {passed.path for passed in asked}


def test_every_call_has_the_path_and_the_name_of_where_ollama_is(
    daemon: Daemon, authority: Authority, front: Front
) -> None:
    chat(daemon, authority, "Good morning.")
    assert {passed.host for passed in front.passed} == {f"localhost:{front.server_port}"}
    assert [passed.path for passed in front.passed if not passed.path.startswith(f"{BASE_PATH}/api/")] == []


def test_status_and_card_say_https_on_both_sides(daemon: Daemon, front: Front) -> None:
    card = json.loads((daemon.data_dir / "daemon.json").read_text())
    facts = daemon.call("GET", "/api/status")[1]
    shown = subprocess.run(
        [sys.executable, "-m", "ltmld", "status"],
        env={**daemon.env, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout

    own = f"https://127.0.0.1:{daemon.port}"
    assert (card["url"], card["upstream"]) == (own, front.url)
    assert facts["addresses"]["url"] == own
    assert (facts["upstream"]["url"], facts["upstream"]["source"]) == (front.url, "settings")
    assert facts["upstream"]["version"]
    assert own in shown
    assert f"{front.url} (version" in shown


def test_a_certificate_that_is_not_believed_is_said_in_status_too(
    front: Front, models_folder: Path, tmp_path: Path
) -> None:
    with running_daemon(tmp_path, upstream=front.url, models=models_folder) as daemon:
        told = daemon.call("GET", "/api/status")[1]["upstream"]
    assert "certificate is not to be trusted" in told["error"]


def test_ollama_host_is_taken_and_said(standin: StandIn, models_folder: Path, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, upstream="", models=models_folder, OLLAMA_HOST=f"localhost:{standin.port}")
    del daemon.env["LTMLD_UPSTREAM"]
    with daemon:
        upstream = daemon.call("GET", "/api/status")[1]["upstream"]
    assert (upstream["source"], upstream["error"]) == ("OLLAMA_HOST", "")
    listening = next(line for line in daemon.lines if "proxy.listening" in line)
    assert f"http://localhost:{standin.port}" in listening
    assert "OLLAMA_HOST" in listening
