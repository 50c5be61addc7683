"""The official clients of Ollama and OpenAI notice nothing, and are remembered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ollama
import openai
import pytest

from ltmld.standin.server import StandIn
from tests.support.daemon import Daemon

MODEL = "stand-in:latest"


def exchanges_of(daemon: Daemon, scope: str) -> int:
    """Return how many exchanges the ledger holds for *scope*."""
    return int(daemon.call("GET", "/api/status")[1]["scopes"].get(scope, {}).get("exchanges", 0))


@contextmanager
def an_ollama(url: str, scope: str) -> Iterator[ollama.Client]:
    """Yield an official client of Ollama."""
    client = ollama.Client(host=url, headers={"X-LTMLD-Scope": scope})
    with client._client:  # the only way to close its sockets
        yield client


@contextmanager
def an_openai(url: str, scope: str) -> Iterator[openai.OpenAI]:
    """Yield an official client of OpenAI."""
    headers = {"X-LTMLD-Scope": scope}
    with openai.OpenAI(
        base_url=f"{url}/v1", api_key="none", default_headers=headers, max_retries=0
    ) as client:
        yield client


def said_by_ollama_chat(url: str, scope: str, words: str, *, stream: bool) -> str:
    """Ask by ``Client.chat``."""
    asked = [{"role": "user", "content": words}]
    with an_ollama(url, scope) as client:
        if not stream:
            return str(client.chat(MODEL, asked).message.content)
        return "".join(piece.message.content or "" for piece in client.chat(MODEL, asked, stream=True))


def said_by_ollama_generate(url: str, scope: str, words: str, *, stream: bool) -> str:
    """Ask by ``Client.generate``."""
    with an_ollama(url, scope) as client:
        if not stream:
            return str(client.generate(MODEL, words).response)
        return "".join(piece.response or "" for piece in client.generate(MODEL, words, stream=True))


def said_by_openai(url: str, scope: str, words: str, *, stream: bool) -> str:
    """Ask by ``chat.completions.create``."""
    asked: list[Any] = [{"role": "user", "content": words}]
    with an_openai(url, scope) as client:
        completions = client.chat.completions
        if not stream:
            return str(completions.create(model=MODEL, messages=asked).choices[0].message.content)
        pieces = completions.create(model=MODEL, messages=asked, stream=True)
        return "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)


WAYS = [said_by_ollama_chat, said_by_ollama_generate, said_by_openai]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("say", WAYS, ids=lambda say: say.__name__)
def test_an_official_client_hears_what_it_would_hear_from_ollama(
    daemon: Daemon, standin: StandIn, say: Any, *, stream: bool
) -> None:
    scope = f"hears-{say.__name__}-{stream}"
    words = "Which colors are in a rainbow?"
    assert say(daemon.url, scope, words, stream=stream) == say(standin.url, scope, words, stream=stream)
    assert exchanges_of(daemon, scope) == 1


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("say", WAYS, ids=lambda say: say.__name__)
def test_what_was_said_in_one_conversation_is_known_in_the_next(
    daemon: Daemon, say: Any, *, stream: bool
) -> None:
    scope = f"knows-{say.__name__}-{stream}"
    say(daemon.url, scope, "My sister Marta plays the cello in Porto.", stream=stream)
    daemon.settle()
    assert "cello" in say(daemon.url, scope, "What instrument does my sister Marta play?", stream=stream)


def test_errors_of_ollama_reach_the_official_clients_as_their_own(daemon: Daemon) -> None:
    asked: list[Any] = [{"role": "user", "content": "hi"}]
    with an_ollama(daemon.url, "errors") as client, pytest.raises(ollama.ResponseError, match="not found"):
        client.chat("absent-model", asked)
    with an_openai(daemon.url, "errors") as other, pytest.raises(openai.NotFoundError, match="not found"):
        other.chat.completions.create(model="absent-model", messages=asked)


def test_management_calls_of_the_official_client_pass(daemon: Daemon, standin: StandIn) -> None:
    with an_ollama(daemon.url, "x") as through, an_ollama(standin.url, "x") as direct:
        assert [model.digest for model in through.list().models] == [
            model.digest for model in direct.list().models
        ]
        assert through.show(MODEL).template == direct.show(MODEL).template
        assert through.embed(MODEL, "words").embeddings == direct.embed(MODEL, "words").embeddings
