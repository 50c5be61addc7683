"""The daemon answers at once, remembers for good, and says plainly what keeps it from either."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ltmld.standin.faults import Fault
from ltmld.standin.server import StandIn, running_standin
from tests.support.daemon import Daemon, free_port, running_daemon


def chat(daemon: Daemon, *messages: str, **headers: str) -> str:
    """Talk through the data plane; *messages* take turns, the user first."""
    roles = ("user", "assistant")
    listed = [{"role": roles[place % 2], "content": text} for place, text in enumerate(messages)]
    body = json.dumps({"model": "stand-in:latest", "messages": listed})
    status, answer = ask(daemon, "POST", "/api/chat", body, **headers)
    assert status == 200, answer
    return "".join(json.loads(line)["message"]["content"] for line in answer.splitlines())


def ask(daemon: Daemon, method: str, path: str, body: str = "", **headers: str) -> tuple[int, bytes]:
    """Send one request to the data plane."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    try:
        connection.request(
            method, path, body, {name.replace("_", "-"): text for name, text in headers.items()}
        )
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def counts(daemon: Daemon, scope: str = "default") -> dict[str, Any]:
    """Return the ledger's counts."""
    return dict(daemon.call("GET", "/api/status")[1]["scopes"].get(scope, {}))


def test_what_was_said_before_a_kill_is_known_after_it(
    standin: StandIn, models_folder: Path, tmp_path: Path
) -> None:
    with running_daemon(tmp_path, upstream=standin.url, models=models_folder) as daemon:
        chat(daemon, "My parrot Kiwi speaks Finnish.")
        daemon.stop(signal.SIGKILL)
    with running_daemon(tmp_path, upstream=standin.url, models=models_folder) as daemon:
        daemon.settle()
        assert "Finnish" in chat(daemon, "Which language does my parrot Kiwi speak?")


def test_the_modelfiles_system_text_stays_in_front_of_the_block(daemon: Daemon, standin: StandIn) -> None:
    chat(daemon, "I keep bees on the roof.", X_LTMLD_Scope="bees")
    daemon.settle()
    chat(daemon, "Where do I keep my bees?", X_LTMLD_Scope="bees")
    system = standin.requests[-1].tree["messages"][0]
    assert system["role"] == "system"
    assert system["content"].startswith("You answer in one sentence.\n\n<ltmld-memory>")
    assert "bees on the roof" in system["content"]


def test_the_block_is_the_same_bytes_after_a_restart(
    standin: StandIn, models_folder: Path, tmp_path: Path
) -> None:
    with running_daemon(tmp_path, upstream=standin.url, models=models_folder) as daemon:
        chat(daemon, "My boat is called Albatros.")
        daemon.settle()
        answer = chat(daemon, "What is my boat called?")
        first = standin.requests[-1].tree["messages"][0]["content"]
    assert "Albatros" in first
    with running_daemon(tmp_path, upstream=standin.url, models=models_folder) as daemon:
        chat(daemon, "What is my boat called?", answer, "Thank you. Is it big?")
        assert standin.requests[-1].tree["messages"][0]["content"] == first


def test_sleep_learns_and_the_next_conversation_is_told(daemon: Daemon, standin: StandIn) -> None:
    chat(daemon, "I am allergic to penicillin.", X_LTMLD_Scope="night")
    cycle = daemon.sleep(scope="night", depth="light")
    assert cycle["state"] == "completed", cycle
    listed = daemon.call("GET", "/api/memories?scope=night")[1]["memories"]
    assert any("penicillin" in memory["text"] for memory in listed)
    chat(daemon, "Which medicine must I avoid, penicillin or aspirin?", X_LTMLD_Scope="night")
    assert "allergic to penicillin" in standin.requests[-1].tree["messages"][0]["content"]


def test_a_generate_that_continues_by_context_stays_in_its_thread(daemon: Daemon) -> None:
    def generate(prompt: str, **more: Any) -> dict[str, Any]:
        body = json.dumps({"model": "stand-in:latest", "prompt": prompt, "stream": False, **more})
        return dict(json.loads(ask(daemon, "POST", "/api/generate", body, X_LTMLD_Scope="generate")[1]))

    first = generate("My canoe is red.")
    generate("Which color has my canoe?", context=first["context"])
    assert counts(daemon, "generate")["threads"] == 1
    assert counts(daemon, "generate")["messages"] == 4


def test_a_picture_does_not_double_a_generate_that_continues_by_context(daemon: Daemon) -> None:
    def generate(prompt: str, **more: Any) -> dict[str, Any]:
        body = json.dumps({"model": "stand-in:latest", "prompt": prompt, "stream": False, **more})
        return dict(json.loads(ask(daemon, "POST", "/api/generate", body, X_LTMLD_Scope="picture")[1]))

    first = generate("What is this?", images=["aGVsbG8="])
    second = generate("And what color has it?", context=first["context"])
    generate("Thank you.", context=second["context"])
    assert (counts(daemon, "picture")["threads"], counts(daemon, "picture")["messages"]) == (1, 6)


def test_one_scope_never_hears_of_another(daemon: Daemon, standin: StandIn) -> None:
    chat(daemon, "The code word is heliotrope.", X_LTMLD_Scope="anna")
    daemon.settle()
    chat(daemon, "What is the code word heliotrope about?", X_LTMLD_Scope="bert")
    assert "ltmld-memory" not in standin.requests[-1].prompt


def test_memory_off_sends_the_very_bytes_of_the_client(daemon: Daemon, standin: StandIn) -> None:
    chat(daemon, "My lamp is green.", X_LTMLD_Scope="off")
    daemon.settle()
    before = counts(daemon, "off")["exchanges"]
    body = '{ "model":"stand-in:latest",  "messages":[{"role":"user","content":"Is my lamp green?"}] }'
    ask(daemon, "POST", "/api/chat", body, X_LTMLD_Scope="off", X_LTMLD_Memory="off")
    assert standin.requests[-1].body == body.encode()
    assert counts(daemon, "off")["exchanges"] == before


@pytest.mark.parametrize("body", ["{not json", "", '{"model":"stand-in:latest"', "[]", "\x00"])
def test_malformed_json_gets_ollamas_own_answer(daemon: Daemon, standin: StandIn, body: str) -> None:
    through = ask(daemon, "POST", "/api/chat", body)
    connection = http.client.HTTPConnection("127.0.0.1", standin.port)
    connection.request("POST", "/api/chat", body)
    direct = connection.getresponse()
    assert through == (direct.status, direct.read())
    connection.close()


def test_an_unknown_route_gets_ollamas_own_answer(daemon: Daemon) -> None:
    assert ask(daemon, "GET", "/api/nothing") == (404, b"404 page not found")


def test_a_body_over_the_limit_passes_without_memory(
    standin: StandIn, models_folder: Path, tmp_path: Path
) -> None:
    limits = {"LTMLD_PROXY__LOOK_BYTES_MAX": "2000"}
    with running_daemon(tmp_path, upstream=standin.url, models=models_folder, **limits) as daemon:
        assert chat(daemon, "word " * 1000)
        status = daemon.call("GET", "/api/status")[1]
        assert status["proxy"]["unread"] == 1
        assert status["scopes"] == {}


def test_without_ollama_the_client_is_told_and_memory_recovers_with_it(
    models_folder: Path, tmp_path: Path
) -> None:
    port = free_port()
    with running_daemon(tmp_path, upstream=f"http://127.0.0.1:{port}", models=models_folder) as daemon:
        status, answer = ask(
            daemon, "POST", "/api/chat", '{"model":"m","messages":[{"role":"user","content":"x"}]}'
        )
        assert status == 502
        assert f"127.0.0.1:{port}" in json.loads(answer)["error"]
        with running_standin(port=port):
            assert chat(daemon, "Are you back?")


def test_a_second_daemon_on_the_same_folder_is_refused(daemon: Daemon, standin: StandIn) -> None:
    second = Daemon(daemon.data_dir, upstream=standin.url).start()
    assert second.process is not None
    assert second.process.wait(30) == 1
    assert daemon.process is not None
    assert f"process {daemon.process.pid}" in second.said()
    assert chat(daemon, "Still here?")


@pytest.mark.parametrize("setting", ["LTMLD_LISTEN", "LTMLD_ADMIN_LISTEN"])
def test_a_port_in_use_is_named_with_the_setting_that_moves_it(
    standin: StandIn, tmp_path: Path, setting: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        daemon = Daemon(tmp_path, upstream=standin.url)
        daemon.env[setting] = address
        daemon.start()
        assert daemon.process is not None
        assert daemon.process.wait(30) == 1
    assert address in daemon.said()
    assert setting in daemon.said()


def test_a_damaged_ledger_costs_memory_and_not_the_answer(
    standin: StandIn, models_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(b"this is no database at all" * 400)
    with running_daemon(tmp_path, upstream=standin.url, models=models_folder) as daemon:
        assert chat(daemon, "Do you answer?")
        status, answer = daemon.call("GET", "/api/status")
        assert status == 200
        assert answer["memory"] == "off"
        assert "ledger.sqlite3" in answer["error"]
        assert daemon.call("GET", "/api/memories")[0] == 500
    assert (tmp_path / "ledger.sqlite3").read_bytes().startswith(b"this is no database")


def test_a_damaged_index_is_rebuilt_and_nothing_is_lost(
    standin: StandIn, models_folder: Path, tmp_path: Path
) -> None:
    with running_daemon(tmp_path, upstream=standin.url, models=models_folder) as daemon:
        chat(daemon, "My tortoise Otto is ninety years old.")
        daemon.settle()
    for file in (tmp_path / "index").rglob("*"):
        if file.is_file():
            file.write_bytes(b"damaged" * 100)
    with running_daemon(tmp_path, upstream=standin.url, models=models_folder) as daemon:
        daemon.settle()
        found = daemon.call("POST", "/api/recall", {"query": "How old is the tortoise?"})[1]
        assert "ninety" in found["text"]
        assert not daemon.call("GET", "/api/status")[1]["index"]["broken"]
        assert any("index.broken" in line and "moved" in line for line in daemon.lines)
    assert not list((tmp_path / "index").glob("*broken*")), "what is made again may keep no words aside"


def test_an_ollama_that_dies_mid_stream_is_seen_and_recorded_as_what_it_is(
    daemon: Daemon, standin: StandIn
) -> None:
    standin.inference.faults.append(Fault.CUT)
    body = {"model": "stand-in:latest", "messages": [{"role": "user", "content": "Tell me of the weather."}]}
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ask(daemon, "POST", "/api/chat", json.dumps(body), X_LTMLD_Scope="cut")
    daemon.wait_for('"scope": "cut"')
    thread = daemon.call("GET", "/api/threads?scope=cut")[1]["threads"][0]
    exchange = daemon.call("GET", f"/api/exchanges/{thread['last_exchange_id']}")[1]
    assert exchange["outcome"] == "failed"
    assert exchange["error"]
    assert exchange["messages"][0]["text"] == "Tell me of the weather."
    assert chat(daemon, "Are you there again?", X_LTMLD_Scope="cut")


def test_a_client_that_vanishes_leaves_its_words(models_folder: Path, tmp_path: Path) -> None:
    with (
        running_standin(token_delay_s=0.2, script={"Tell me of the lighthouse.": "word " * 200}) as slow,
        running_daemon(tmp_path, upstream=slow.url, models=models_folder) as own,
    ):
        body = (
            '{"model":"stand-in:latest","messages":[{"role":"user","content":"Tell me of the lighthouse."}]}'
        )
        with socket.create_connection(("127.0.0.1", own.port)) as client:
            client.sendall(
                f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            client.recv(4096)
        assert slow.wait_for(lambda: slow.aborted == 1)
        own.wait_for("exchange.recorded")
        with sqlite3.connect(own.data_dir / "ledger.sqlite3") as ledger:
            assert ledger.execute("SELECT outcome FROM exchanges").fetchall() == [("cut_short",)]
        ledger.close()


def test_a_damaged_token_costs_the_control_plane_and_not_the_answer(
    standin: StandIn, models_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "admin.token").write_text("short")
    daemon = Daemon(tmp_path, upstream=standin.url, models=models_folder).start()
    try:
        assert "admin.token" in daemon.wait_for("control.off")
        daemon.wait_for("memory.records")
        assert chat(daemon, "Do you answer without a control plane?")
    finally:
        daemon.stop()


def test_whatever_is_written_is_readable_by_its_owner_alone(daemon: Daemon) -> None:
    chat(daemon, "Nobody else may read this.")
    daemon.settle()
    files = [file for file in daemon.data_dir.rglob("*") if file.is_file() and "models" not in file.parts]
    assert len(files) > 4
    assert [file.name for file in files if file.stat().st_mode & 0o077] == []
