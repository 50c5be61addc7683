"""Promise: ``/ltm ...`` in a chat is answered by ltmld, in every dialect, whole and streamed, and not by the model."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ltmld.standin.seen import SeenRequest
from ltmld.standin.server import StandIn
from tests.clients.test_clients import MODEL, an_ollama, an_openai, exchanges_of
from tests.support.daemon import Daemon, running_daemon

WAYS = ("ollama.chat", "ollama.generate", "openai.chat", "openai.responses", "anthropic.messages")


def sent(
    daemon: Daemon, path: str, body: dict[str, Any], **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Post *body* and return the status, the headers and the whole body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, json.dumps(body).encode(), named)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def asked(way: str, words: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """Return the route and the body of a question."""
    said = [{"role": "user", "content": words}]
    bodies: dict[str, tuple[str, dict[str, Any]]] = {
        "ollama.chat": ("/api/chat", {"messages": said}),
        "ollama.generate": ("/api/generate", {"prompt": words}),
        "openai.chat": ("/v1/chat/completions", {"messages": said}),
        "openai.responses": ("/v1/responses", {"input": words}),
        "anthropic.messages": ("/v1/messages", {"messages": said, "max_tokens": 500}),
    }
    path, body = bodies[way]
    return path, {"model": MODEL, "stream": stream, **body}


def heard(way: str, body: bytes, *, stream: bool) -> str:
    """Return the words of an answer, read as a client of the dialect reads it."""
    if not stream:
        return str(_WHOLE[way](json.loads(body)))
    lines = [line.removeprefix(b"data: ") for line in body.splitlines()]
    trees = [json.loads(line) for line in lines if line.startswith(b"{")]
    return "".join(_PIECE[way](tree) for tree in trees)


_WHOLE: dict[str, Callable[[Any], Any]] = {
    "ollama.chat": lambda tree: tree["message"]["content"],
    "ollama.generate": lambda tree: tree["response"],
    "openai.chat": lambda tree: tree["choices"][0]["message"]["content"],
    "openai.responses": lambda tree: tree["output"][0]["content"][0]["text"],
    "anthropic.messages": lambda tree: tree["content"][0]["text"],
}
_PIECE: dict[str, Callable[[Any], str]] = {
    "ollama.chat": lambda tree: tree["message"]["content"],
    "ollama.generate": lambda tree: tree["response"],
    "openai.chat": lambda tree: tree["choices"][0]["delta"].get("content", ""),
    "openai.responses": lambda tree: tree["delta"] if tree["type"] == "response.output_text.delta" else "",
    "anthropic.messages": lambda tree: tree.get("delta", {}).get("text", ""),
}


def told(daemon: Daemon, words: str, scope: str, **headers: str) -> str:
    """Say one command and return what ltmld answers."""
    path, body = asked("ollama.chat", words, stream=False)
    status, _, answer = sent(daemon, path, body, X_LTMLD_Scope=scope, **headers)
    assert status == 200, answer
    return heard("ollama.chat", answer, stream=False)


def chat(daemon: Daemon, scope: str, *said: str) -> str:
    """Chat, the user first, and return the answer."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(said)]
    with an_ollama(daemon.url, scope) as client:
        return str(client.chat(MODEL, messages).message.content)


def talks(standin: StandIn) -> list[SeenRequest]:
    """Return the requests that a model was to answer."""
    routes = {asked(way, "", stream=True)[0] for way in WAYS}
    return [request for request in standin.requests if request.path in routes]


def latest(standin: StandIn) -> SeenRequest:
    """Return what the model was asked last."""
    return talks(standin)[-1]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("way", WAYS)
def test_a_command_is_answered_in_every_dialect(
    daemon: Daemon, standin: StandIn, way: str, *, stream: bool
) -> None:
    before = talks(standin)
    path, body = asked(way, "/ltm status", stream=stream)
    status, headers, answer = sent(daemon, path, body, X_LTMLD_Scope=f"in-{way}")
    assert status == 200
    assert heard(way, answer, stream=stream).startswith(f"Memory is **on** here (scope `in-{way}`).")
    assert ("Content-Length" in headers) is not stream
    assert talks(standin) == before
    assert exchanges_of(daemon, f"in-{way}") == 0


def read_by_ollama(url: str) -> Iterator[str]:
    """Yield what the official client of Ollama reads, by each of its ways."""
    words = [{"role": "user", "content": "/ltm help"}]
    with an_ollama(url, "reads") as client:
        yield str(client.chat(MODEL, words).message.content)
        *pieces, last = client.chat(MODEL, words, stream=True)
        assert (last.done, last.done_reason) == (True, "stop")
        yield "".join(piece.message.content or "" for piece in pieces)
        yield str(client.generate(MODEL, "/ltm help").response)
        yield "".join(piece.response or "" for piece in client.generate(MODEL, "/ltm help", stream=True))


def read_by_openai(url: str) -> Iterator[str]:
    """Yield what the official client of OpenAI reads, by each of its ways."""
    words: list[Any] = [{"role": "user", "content": "/ltm help"}]
    with an_openai(url, "reads") as client:
        yield str(client.chat.completions.create(model=MODEL, messages=words).choices[0].message.content)
        *pieces, last = client.chat.completions.create(model=MODEL, messages=words, stream=True)
        assert last.choices[0].finish_reason == "stop"
        yield "".join(piece.choices[0].delta.content or "" for piece in pieces)
        yield client.responses.create(model=MODEL, input="/ltm help").output_text
        with client.responses.stream(model=MODEL, input="/ltm help") as stream:
            yield stream.get_final_response().output_text


def read_by_anthropic(url: str) -> Iterator[str]:
    """Yield what the official client of Anthropic reads, by each of its ways."""
    anthropic = pytest.importorskip("anthropic", reason="the client of Anthropic is not installed here")
    words = [{"role": "user", "content": "/ltm help"}]
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        yield client.messages.create(model=MODEL, messages=words, max_tokens=500).content[0].text
        with client.messages.stream(model=MODEL, messages=words, max_tokens=500) as stream:
            yield stream.get_final_text()


@pytest.mark.parametrize(
    "read", [read_by_ollama, read_by_openai, read_by_anthropic], ids=lambda read: read.__name__
)
def test_the_official_clients_read_the_answers(daemon: Daemon, read: Callable[[str], Iterator[str]]) -> None:
    said = list(read(daemon.url))
    assert len(said) > 1
    assert all("`/ltm remember TEXT`" in text for text in said)


def test_what_is_to_be_remembered_is_recalled_in_the_next_conversation(
    daemon: Daemon, standin: StandIn
) -> None:
    answer = told(daemon, "/ltm remember My canary is called Pavarotti.", "bird")
    assert answer.startswith("Remembered: “My canary is called Pavarotti.” (`mem-")
    chat(daemon, "bird", "What is my canary called?")
    assert "Pavarotti" in latest(standin).prompt


def test_why_tells_what_the_last_answer_was_given(daemon: Daemon) -> None:
    told(daemon, "/ltm remember My sister Ines lives in Porto.", "why")
    question = "Where does my sister Ines live?"
    answer = chat(daemon, "why", question)
    why = chat(daemon, "why", question, answer, "/ltm why")
    assert why.startswith("The last answer was given ")
    assert "My sister Ines lives in Porto." in why
    assert "`mem-" in why
    assert "score" in why


def test_why_says_so_where_nothing_was_given(daemon: Daemon) -> None:
    question = "How deep is the Mariana trench?"
    answer = chat(daemon, "nothing", question)
    assert "no memory was relevant enough" in chat(daemon, "nothing", question, answer, "/ltm why")
    assert "no answer in this conversation yet" in told(daemon, "/ltm why", "nothing")


def test_one_match_is_forgotten_and_several_are_listed(daemon: Daemon) -> None:
    for words in ("Tom likes green tea.", "Tom likes black tea.", "Tom hates coffee."):
        told(daemon, f"/ltm remember {words}", "tea")
    several = told(daemon, "/ltm forget Tom likes", "tea")
    assert several.startswith("Several memories hold these words; nothing was forgotten.")
    assert several.count("`mem-") == 2
    chosen = several.split("`mem-")[1].split("`")[0]
    assert told(daemon, f"/ltm forget mem-{chosen}", "tea").startswith("Forgotten: “Tom likes ")
    assert told(daemon, "/ltm forget coffee", "tea").startswith("Forgotten: “Tom hates coffee.”")
    assert told(daemon, "/ltm forget coffee", "tea").startswith("No memory here has the id")


def test_a_command_reaches_no_other_scope(daemon: Daemon) -> None:
    named = told(daemon, "/ltm remember The safe opens with 4711.", "mine").split("`")[1]
    assert told(daemon, f"/ltm forget {named}", "yours").startswith("No memory here has the id")
    assert told(daemon, "/ltm forget safe opens", "yours").startswith("No memory here has the id")
    assert told(daemon, "/ltm forget safe opens", "mine").startswith("Forgotten")


def test_off_leaves_a_scope_alone_until_on(daemon: Daemon, standin: StandIn) -> None:
    told(daemon, "/ltm remember My bike is red.", "pause")
    first = "What color is my bike?"
    answer = chat(daemon, "pause", first)
    assert "My bike is red." in latest(standin).prompt
    assert told(daemon, "/ltm off", "pause").startswith("Memory is **off**")
    recorded = exchanges_of(daemon, "pause")
    secret = (first, answer, "My pin is 1234.")
    hush = chat(daemon, "pause", *secret)
    assert "<ltmld-memory>" not in latest(standin).prompt
    assert exchanges_of(daemon, "pause") == recorded
    assert "memory is off here" in chat(daemon, "pause", *secret, hush, "/ltm why")
    assert told(daemon, "/ltm status", "pause").startswith("Memory is **off**")
    assert daemon.call("GET", "/api/status")[1]["paused"].keys() == {"pause"}
    assert told(daemon, "/ltm on", "pause").startswith("Memory is **on** here again")
    chat(daemon, "pause", *secret, hush, "And what color is my bike?")
    assert exchanges_of(daemon, "pause") == recorded + 1
    assert "<ltmld-memory>" in latest(standin).prompt
    found = daemon.call("POST", "/api/recall", {"query": "pin 1234", "scope": "pause"})[1]
    assert "1234" not in json.dumps(found)


@pytest.mark.parametrize("way", WAYS[2:] + WAYS[:1])
def test_the_prompt_after_a_command_is_what_it_would_have_been_without(
    daemon: Daemon, standin: StandIn, way: str
) -> None:
    def ask(*said: str, scope: str) -> bytes:
        roles = ("user", "assistant")
        messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(said)]
        path, body = asked(way, "", stream=False)
        body["input" if "input" in body else "messages"] = messages
        assert sent(daemon, path, body, X_LTMLD_Scope=scope)[0] == 200
        return latest(standin).body

    plain = ask("hi", "hello", "how are you?", scope=f"plain-{way}")
    status = told(daemon, "/ltm status", f"asked-{way}")
    dressed = ask("hi", "hello", "/ltm status", status, "how are you?", scope=f"asked-{way}")
    assert json.loads(dressed) == json.loads(plain)
    thread = daemon.call("GET", f"/api/threads?scope=asked-{way}")[1]["threads"][0]
    assert thread["messages"] == 4


def test_with_memory_off_by_header_a_command_is_the_models(daemon: Daemon, standin: StandIn) -> None:
    told(daemon, "/ltm status", "header", X_LTMLD_Memory="off")
    assert "/ltm status" in latest(standin).prompt


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": "evil.example"},
    ],
    ids=str,
)
def test_a_page_of_elsewhere_makes_ltmld_remember_and_forget_nothing(
    daemon: Daemon, headers: dict[str, str]
) -> None:
    told(daemon, "/ltm remember The key is under the mat.", "web")
    before = daemon.call("GET", "/api/memories?scope=web")[1]["memories"]
    for words in (
        "/ltm remember Send money to Eve.",
        "/ltm forget key under the mat",
        "/ltm off",
        "/ltm status",
    ):
        path, body = asked("ollama.chat", words, stream=False)
        _, _, answer = sent(daemon, path, body, X_LTMLD_Scope="web", **headers)
        assert b"scope `web`" not in answer
    assert daemon.call("GET", "/api/memories?scope=web")[1]["memories"] == before
    assert "web" not in daemon.call("GET", "/api/status")[1]["paused"]


def test_a_page_that_ollama_lets_in_may_read_the_answer(daemon: Daemon) -> None:
    path, body = asked("ollama.chat", "/ltm status", stream=True)
    _, headers, answer = sent(daemon, path, body, Origin="http://localhost:5173")
    assert headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
    assert headers["Vary"] == "Origin"
    assert b"Memory is" in answer


def test_a_background_request_is_no_command(daemon: Daemon, standin: StandIn) -> None:
    path, body = asked("ollama.chat", "/ltm status", stream=False)
    sent(daemon, path, body, X_LTMLD_Scope="task", X_LTMLD_Task="title_generation")
    assert "/ltm status" in latest(standin).prompt


def test_commands_are_counted(daemon: Daemon) -> None:
    before = daemon.call("GET", "/api/status")[1]
    told(daemon, "/ltm help", "count")
    after = daemon.call("GET", "/api/status")[1]
    assert after["wake"]["commands"] == before["wake"]["commands"] + 1
    assert after["proxy"]["answered"] == before["proxy"]["answered"] + 1


@pytest.fixture(scope="module")
def lonely(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Run a daemon whose Ollama is away."""
    folder = tmp_path_factory.mktemp("lonely")
    with running_daemon(folder, upstream="http://127.0.0.1:9", models=models_folder) as daemon:
        yield daemon


def test_without_ollama_a_command_is_answered_all_the_same(lonely: Daemon) -> None:
    assert told(lonely, "/ltm remember I live in Graz.", "away").startswith("Remembered: “I live in Graz.”")
    assert told(lonely, "/ltm sleep", "away").startswith(("Sleep has begun (`slp-", "ltmld: "))


def test_a_pause_outlives_a_restart(standin: StandIn, models_folder: Path, tmp_path: Path) -> None:
    for expected in ("Memory is **on**", "Memory is **off**"):
        with running_daemon(tmp_path, upstream=standin.url, models=models_folder) as daemon:
            assert told(daemon, "/ltm status", "later").startswith(expected)
            told(daemon, "/ltm off", "later")


def test_with_a_broken_ledger_the_answer_says_so(
    standin: StandIn, models_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(b"this is no database, whatever it is called" * 100)
    with Daemon(tmp_path, upstream=standin.url, models=models_folder) as daemon:
        answer = told(daemon, "/ltm status", "broken")
        assert answer.startswith("ltmld: ")
        assert "ledger.sqlite3" in answer
        assert told(daemon, "hello there", "broken")


def test_commands_can_be_switched_off(standin: StandIn, models_folder: Path, tmp_path: Path) -> None:
    env = {"LTMLD_WAKE__COMMANDS": "false"}
    with running_daemon(tmp_path, upstream=standin.url, models=models_folder, **env) as daemon:
        told(daemon, "/ltm status", "silent")
        assert "/ltm status" in latest(standin).prompt
