"""The stand-in behaves as a server does: in order, at its own pace, and aware of a client that leaves."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ollama
import openai
import pytest

from ltmld.errors import PortInUseError
from ltmld.standin.faults import Fault
from ltmld.standin.server import StandIn, running_standin
from tests.standin.wires import post, wire_to

HI = json.dumps({"model": "stand-in", "messages": [{"role": "user", "content": "Who am I?"}]}).encode()


def wait_until(happened: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    """Look often at what nobody announces."""
    end = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.001)


def asked(words: str, **more: Any) -> dict[str, Any]:
    return {"model": "stand-in", "messages": [{"role": "user", "content": words}]} | more


def test_the_official_clients_are_at_home() -> None:
    with (
        running_standin(script={"Hello": "Hello yourself, Zoë & co."}) as standin,
        ollama.Client(host=standin.url) as client,
    ):
        whole = client.chat(**asked("Hello"))
        streamed = "".join(part.message.content or "" for part in client.chat(**asked("Hello", stream=True)))
        assert whole.message.content == streamed == "Hello yourself, Zoë & co."
        assert client.generate(model="stand-in", prompt="Hello").response == streamed
        assert [model.model for model in client.list().models] == ["stand-in:latest"]
        messages: Any = asked("Hello")["messages"]
        with openai.OpenAI(base_url=standin.url + "/v1", api_key="x") as talk:
            pieces = talk.chat.completions.create(model="stand-in", messages=messages, stream=True)
            assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == streamed


def test_requests_sent_at_once_are_answered_in_order_on_one_connection() -> None:
    with running_standin(token_delay_s=0.001) as standin, wire_to(standin.port) as wire:
        wire.send(
            post("/api/chat", HI)
            + b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n"
            + post("/api/chat", HI)
        )
        medias = [wire.read_answer().header("Content-Type") for _ in range(3)]
        assert medias == ["application/x-ndjson", "application/json; charset=utf-8", "application/x-ndjson"]


def test_what_arrived_can_be_looked_at() -> None:
    marked = {"X-Mark": "7"}
    with running_standin() as standin, ollama.Client(host=standin.url, headers=marked) as client:
        client.generate(model="stand-in", system="Be brief", prompt="Why?")
        (seen,) = standin.requests
        assert (seen.method, seen.path, seen.header("x-mark")) == ("POST", "/api/generate", "7")
        assert seen.prompt == "Be brief\n\nWhy?"


def test_a_modelfiles_system_is_replaced_by_the_clients() -> None:
    with (
        running_standin(system={"stand-in": "You live in Oslo."}) as standin,
        ollama.Client(host=standin.url) as client,
    ):
        assert "SYSTEM You live in Oslo." in (client.show("stand-in").modelfile or "")
        question = {"role": "user", "content": "Where do you live?"}
        own = client.chat(model="stand-in", messages=[question])
        replaced = client.chat(
            model="stand-in", messages=[{"role": "system", "content": "Be kind."}, question]
        )
        assert own.message.content == "You told me: You live in Oslo."
        assert replaced.message.content == "I do not know that yet."


def test_a_client_that_leaves_in_mid_stream_stops_the_answer() -> None:
    with (
        running_standin(token_delay_s=0.01, script=lambda _: "word " * 10_000) as standin,
        wire_to(standin.port) as wire,
    ):
        wire.send(post("/api/chat", HI))
        wire.read_head()
        wire.leave()
        assert standin.wait_for(lambda: standin.aborted == 1 and standin.connections == 0)


def test_a_client_that_leaves_before_the_first_byte_counts_too() -> None:
    with running_standin(faults=["hang"]) as standin, wire_to(standin.port) as wire:
        wire.send(post("/api/chat", HI))
        assert standin.wait_for(lambda: len(standin.requests) == 1)
        wire.leave()
        assert standin.wait_for(lambda: standin.aborted == 1)


def test_an_answer_that_was_finished_is_no_abort() -> None:
    with running_standin() as standin, wire_to(standin.port) as wire:
        wire.send(post("/api/chat", HI))
        wire.read_answer()
        wire.leave()
        assert standin.wait_for(lambda: standin.connections == 0)
        assert standin.aborted == 0


def test_a_slow_reader_slows_the_answer_instead_of_filling_memory() -> None:
    words = 60_000  # 8 MB on the wire: more than the sockets' own buffers
    with running_standin(script=lambda _: "word " * words) as standin, wire_to(standin.port) as wire:
        wire.send(post("/api/chat", HI))
        wire.read_head()
        (connection,) = standin._connections
        wait_until(lambda: not connection._may_write.is_set())
        with wire_to(standin.port) as other:
            for _ in range(1000):  # the server's loop goes round, and could go on writing
                other.send(b"GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n")
                other.read_answer()
        assert connection._transport.get_write_buffer_size() < 1 << 17
        assert b"".join(wire.pieces()).count(b'"done":false') == words


def test_faults_are_used_up_in_order() -> None:
    with (
        running_standin(script={"Who am I?": '{"a": [1, 2, 3]}'}, faults=[*Fault][1:3]) as standin,
        ollama.Client(host=standin.url) as client,
    ):
        broken = client.chat(**asked("Who am I?")).message.content
        with pytest.raises(json.JSONDecodeError):
            json.loads(broken or "")
        with pytest.raises(ollama.ResponseError, match="told to fail"):
            client.chat(**asked("Who am I?"))
        assert json.loads(client.chat(**asked("Who am I?")).message.content or "") == {"a": [1, 2, 3]}


@pytest.mark.parametrize(
    ("path", "mark"), [("/api/chat", b'{"error":'), ("/v1/chat/completions", b'"model":""')]
)
def test_a_runner_that_dies_is_told_as_ollama_tells_it(path: str, mark: bytes) -> None:
    with running_standin(faults=["midstream-error"]) as standin, wire_to(standin.port) as wire:
        wire.send(post(path, HI[:-1] + b',"stream":true}'))
        answer = wire.read_answer()
        assert (answer.status, answer.chunked) == (200, True)
        assert mark in answer.pieces[-1]
        assert b"[DONE]" not in answer.body
        assert b'"done":true' not in answer.body


def test_a_connection_can_break_in_mid_stream() -> None:
    with running_standin(faults=["cut"]) as standin, wire_to(standin.port) as wire:
        wire.send(post("/api/chat", HI))
        wire.read_head()
        with pytest.raises(ConnectionError):
            wire.until(b"0\r\n\r\n")
        assert standin.wait_for(lambda: standin.connections == 0)
        assert standin.aborted == 0


def test_what_is_no_http_is_refused() -> None:
    with running_standin() as standin, wire_to(standin.port) as wire:
        wire.send(b"NOT HTTP\r\n\r\n")
        assert wire.until_closed().startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_a_client_that_asks_first_may_send_its_body() -> None:
    with running_standin() as standin, wire_to(standin.port) as wire:
        head, body = post("/api/chat", HI).split(b"\r\n\r\n")
        wire.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert wire.read_head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(body)
        assert wire.read_answer().status == 200


def test_texts_that_share_words_have_near_vectors() -> None:
    texts = ["my dog Bruno", "the dog called Bruno", "quantum physics"]
    with running_standin() as standin, ollama.Client(host=standin.url) as client:
        near, same, far = client.embed(model="stand-in", input=texts)["embeddings"]
        assert sum(a * b for a, b in zip(near, same, strict=True)) > sum(
            a * b for a, b in zip(near, far, strict=True)
        )
        assert sum(value * value for value in near) == pytest.approx(1)


def test_a_port_in_use_is_said_plainly() -> None:
    async def twice() -> None:
        async with StandIn() as first:
            await StandIn(port=first.port).start()

    with pytest.raises(PortInUseError, match="cannot listen on"):
        asyncio.run(twice())


def test_it_runs_as_a_module_and_says_what_it_is(tmp_path: Path) -> None:
    facts = tmp_path / "some.facts.jsonl"
    facts.write_text('{"text": "Ann has a cat.", "kind": "fact", "quote": "I have a cat"}\n')
    command = [
        sys.executable,
        "-m",
        "ltmld.standin",
        "--port",
        "0",
        "--models",
        "tiny",
        "--facts",
        str(facts),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        said = running.stdout.readline()
        assert said.startswith("A stand-in for Ollama (no model) listens on http://127.0.0.1:")
        with ollama.Client(host=said.split()[-1]) as client:
            assert client.list().models[0].model == "tiny:latest"
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=10) == 0


def test_facts_that_are_none_are_refused_with_their_file(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"no": "quote"}\n')
    command = [sys.executable, "-m", "ltmld.standin", "--port", "0", "--facts", str(tmp_path / "bad.jsonl")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert ended.returncode == 2
    assert "bad.jsonl is not a facts file" in ended.stderr
