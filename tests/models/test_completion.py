"""Promise: sleep asks Ollama properly, disturbs nothing that is loaded, and fails in ltmld's words."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from ltmld.errors import CompletionError, UpstreamError
from ltmld.models.completion import OllamaCompleter, list_models
from ltmld.sleep.replies import EXTRACT_SCHEMA, SUMMARIZE_SCHEMA, read_drafts
from ltmld.standin.catalog import CONTEXT_TOKENS
from ltmld.standin.faults import Fault
from ltmld.standin.server import StandIn, running_standin

TALK = "[2026-03-01 09:00] User: I live in Lisbon."


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with running_standin() as running:
        yield running


def ask(
    url: str, *, model: str = "stand-in:latest", timeout_s: float = 30.0, system: str = "Take notes."
) -> str:
    completer = OllamaCompleter(url, model, timeout_s)
    return completer.complete(system=system, prompt=TALK, schema=EXTRACT_SCHEMA).text


def sent(standin: StandIn) -> dict[str, object]:
    body = next(one.body for one in standin.requests if one.path == "/api/chat")
    found = json.loads(body)
    assert isinstance(found, dict)
    return found


def test_the_whole_schema_is_asked_for_and_the_answer_can_be_read(standin: StandIn) -> None:
    drafts = read_drafts(ask(standin.url))
    assert [draft.quote for draft in drafts.items] == ["I live in Lisbon."]
    body = sent(standin)
    assert body["format"] == EXTRACT_SCHEMA
    assert body["stream"] is False
    assert body["messages"] == [
        {"role": "system", "content": "Take notes."},
        {"role": "user", "content": TALK},
    ]


def test_the_loaded_model_stays_as_it_is(standin: StandIn) -> None:
    ask(standin.url)
    body = sent(standin)
    options = body["options"]
    assert "keep_alive" not in body
    assert isinstance(options, dict)
    assert options["temperature"] == 0
    assert "think" not in body


def test_the_context_length_is_the_one_that_is_loaded(standin: StandIn) -> None:
    ask(standin.url)
    standin.requests.clear()
    ask(standin.url)
    options = sent(standin)["options"]
    assert isinstance(options, dict)
    assert options["num_ctx"] == CONTEXT_TOKENS


def test_tokens_and_time_are_counted(standin: StandIn) -> None:
    answer = OllamaCompleter(standin.url, "stand-in:latest", 30).complete(
        system="", prompt="- one note\n- two notes", schema=SUMMARIZE_SCHEMA
    )
    assert answer.prompt_tokens > 0
    assert answer.reply_tokens > 0
    assert answer.took_ms > 0


def test_models_are_listed(standin: StandIn) -> None:
    assert list_models(standin.url) == ["stand-in:latest"]


def test_a_model_that_is_not_there_counts_as_absent_and_the_remedy_is_named(standin: StandIn) -> None:
    with pytest.raises(UpstreamError, match="ollama pull missing"):
        ask(standin.url, model="missing:latest")


def test_ollama_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for call in (lambda: ask(url), lambda: list_models(url)):
            with pytest.raises(UpstreamError, match="cannot be reached"):
                call()
    # A proxy of the environment is for the internet, never for Ollama.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with running_standin() as running:
        assert list_models(running.url)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault.ERROR_500, CompletionError, "refused the question"),
        (Fault.HANG, CompletionError, "did not answer within"),
        (Fault.CUT, UpstreamError, "cannot be reached"),
    ],
)
def test_what_goes_wrong_is_told_in_our_words(fault: Fault, error: type[Exception], words: str) -> None:
    with running_standin(faults=[fault]) as running, pytest.raises(error, match=words):
        ask(running.url, timeout_s=0.5)


def test_broken_json_is_the_readers_to_judge() -> None:
    with running_standin(faults=[Fault.BROKEN_JSON]) as running:
        text = ask(running.url)
    with pytest.raises(CompletionError):
        read_drafts(text)
