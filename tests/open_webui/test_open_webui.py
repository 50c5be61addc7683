"""Open WebUI itself, in a browser, before ltmld: a person's session, and the memory of it in a new chat.

It takes gigabytes and minutes, so it runs by ``make test-open-webui`` only, which says in the environment where
Open WebUI is installed (``OPEN_WEBUI_ENVIRONMENT``). A Chromium must be on the path.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ltmld.standin.server import StandIn
from tests.support.daemon import Daemon, free_port

ENVIRONMENT = os.environ.get("OPEN_WEBUI_ENVIRONMENT", "")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
START_S = 300
SESSION_S = 600
SENTINEL = "<ltmld-memory>"

pytestmark = pytest.mark.skipif(
    not ENVIRONMENT,
    reason="Open WebUI is driven by `make test-open-webui` only: it takes gigabytes and minutes",
)


@pytest.fixture(scope="module")
def session(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Play the person's session once; return what was seen."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    assert browser, f"none of {', '.join(BROWSERS)} is installed: `apt-get install chromium`"
    pictures = tmp_path_factory.mktemp("pictures")
    with open_webui(daemon.url, tmp_path_factory.mktemp("open-webui")) as page:
        driver = [f"{ENVIRONMENT}/bin/python", str(Path(__file__).with_name("session.py"))]
        played = subprocess.run(
            [*driver, page, browser, str(pictures)],
            capture_output=True,
            text=True,
            timeout=SESSION_S,
            check=False,
        )
    assert played.returncode == 0, f"{played.stderr}\npictures: {pictures}"
    return dict(json.loads(played.stdout))


@contextmanager
def open_webui(ollama: str, folder: Path) -> Iterator[str]:
    """Run Open WebUI on an empty folder; give the address of its page."""
    port = free_port()
    environment = {
        **os.environ,
        "OLLAMA_BASE_URL": ollama,
        "DATA_DIR": str(folder),
        "HF_HUB_OFFLINE": "1",
        "OFFLINE_MODE": "true",
        "WEBUI_AUTH": "False",
        "RAG_EMBEDDING_ENGINE": "ollama",
        "ENABLE_OPENAI_API": "false",
        "ENABLE_FORWARD_USER_INFO_HEADERS": "true",
        "ANONYMIZED_TELEMETRY": "false",
    }
    command = [f"{ENVIRONMENT}/bin/open-webui", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            _until_listening(server, port, folder / "log")
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait(60)


def _until_listening(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(START_S):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            try:
                server.wait(1)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"Open WebUI ended:\n{log.read_text()[-4000:]}") from None
    raise AssertionError(f"Open WebUI did not start:\n{log.read_text()[-4000:]}")


def test_the_models_of_ollama_are_listed(session: dict[str, Any]) -> None:
    """The model list passes through."""
    assert session["models"] == ["stand-in:latest"]


def test_a_chat_a_regenerate_and_an_edit_are_answered(session: dict[str, Any]) -> None:
    """A person sees the answers of the model, as they would without ltmld."""
    told = "You told me: Hello, my name is Ada and my dog is called Biscuit."
    assert session["second"][-1] == told
    assert session["regenerate"][-1] == told
    assert len(session["edit"]) == 1


def test_a_new_chat_has_the_memory_of_the_first(session: dict[str, Any]) -> None:
    """The edited words are remembered, the words that were edited away are not."""
    assert session["new_chat"] == ["You told me: Hello, my name is Ada and my dog is called Waffle."]


def test_nothing_of_the_injection_shows_on_the_page(session: dict[str, Any]) -> None:
    """The client sees the answers only."""
    assert "ltmld" not in session["page"]


def test_the_ledger_holds_the_two_chats_and_no_background_task(
    session: dict[str, Any], daemon: Daemon
) -> None:
    """Each turn is there once; the old tail of the edited chat is inactive."""
    assert session
    _, listed = daemon.call("GET", "/api/threads")
    chats = {thread["title"]: thread for thread in listed["threads"]}
    assert {title: chat["messages"] for title, chat in chats.items()} == {
        "Hello, my name is Ada and my dog is called Waffle.": 2,
        "New conversation: what is the name of my dog?": 2,
    }
    assert all(chat["key"] for chat in chats.values())
    _, status = daemon.call("GET", "/api/status")
    assert status["ledger"]["exchanges"] == 5, "first, second, regenerated, edited, new chat"


def test_background_tasks_were_asked_and_got_no_memory(session: dict[str, Any], standin: StandIn) -> None:
    """Titles, tags and follow-ups reach the model as Open WebUI wrote them."""
    assert session
    chats = [request.body.decode() for request in standin.requests if request.path == "/api/chat"]
    tasks = [body for body in chats if "### Task:" in body]
    assert tasks
    assert not any(SENTINEL in body for body in tasks)
    assert any(SENTINEL in body for body in chats), "the new chat got its memory"
