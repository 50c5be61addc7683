"""Nobody gets into the control plane but programs of this machine that hold the token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ltmld.admin.app import make_app
from ltmld.errors import RefusedError
from tests.support.control_plane import TOKEN, Caller, serving
from tests.support.refusing_control import refusing_control

# What the control answers to whoever was let in.
INSIDE = 409


@pytest.fixture(scope="module")
def call() -> Iterator[Caller]:
    app = make_app(refusing_control([RefusedError("inside")]), token=TOKEN)
    with serving(app) as port:
        yield Caller(port)


def test_health_needs_no_token_and_names_the_process(call: Caller) -> None:
    answer = call("GET", "/healthz", authorized=False)
    assert answer.status == 200
    assert answer.json["status"] == "ok"
    assert isinstance(answer.json["pid"], int)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/status"),
        ("POST", "/api/import"),
        ("POST", "/api/recall"),
        ("GET", "/api/memories"),
        ("POST", "/api/memories"),
        ("GET", "/api/memories/mem-1"),
        ("PATCH", "/api/memories/mem-1"),
        ("DELETE", "/api/memories/mem-1"),
        ("GET", "/api/memories/mem-1/history"),
        ("POST", "/api/sleep"),
        ("GET", "/api/sleeps"),
        ("GET", "/api/sleeps/slp-1"),
        ("GET", "/api/threads"),
        ("GET", "/api/exchanges/exc-1"),
        ("POST", "/api/reindex"),
        ("GET", "/api/openapi.json"),
        ("GET", "/nowhere"),
    ],
)
def test_every_call_but_health_needs_the_token(call: Caller, method: str, path: str) -> None:
    answer = call(method, path, authorized=False)
    assert answer.status == 401
    assert "admin.token" in answer.json["error"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "given", ["Bearer ", "Bearer wrong", f"bearer{TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer é"]
)
def test_a_wrong_token_is_no_token(call: Caller, given: str) -> None:
    assert call("GET", "/api/status", headers={"Authorization": given}).status == 401


def test_the_right_token_gets_in(call: Caller) -> None:
    answer = call("GET", "/api/status")
    assert (answer.status, answer.json["error"]) == (INSIDE, "inside")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1:1",
        "127.0.0.1.evil.example",
        "192.168.1.4",
        "",
        "a@127.0.0.1",
    ],
)
@pytest.mark.parametrize("path", ["/healthz", "/api/status"])
def test_a_host_that_is_not_this_machine_is_forbidden(call: Caller, host: str, path: str) -> None:
    answer = call("GET", path, headers={"Host": host.format(port=call.port)})
    assert answer.status == 403
    assert "Host" in answer.json["error"]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:{port}", "127.0.0.1", "LOCALHOST:{port}", "[::1]:{port}", "127.0.0.2"]
)
def test_every_name_of_this_machine_is_let_in(call: Caller, host: str) -> None:
    assert call("GET", "/api/status", headers={"Host": host.format(port=call.port)}).status == INSIDE


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:1",
        "http://localhost.evil.example",
    ],
)
def test_a_page_of_another_origin_is_forbidden(call: Caller, origin: str) -> None:
    answer = call("POST", "/api/recall", {"query": "x"}, headers={"Origin": origin.format(port=call.port)})
    assert answer.status == 403
    assert "Origin" in answer.json["error"]


def test_our_own_page_is_let_in(call: Caller) -> None:
    assert call("GET", "/api/status", headers={"Origin": f"http://localhost:{call.port}"}).status == INSIDE


def test_a_body_over_the_limit_is_refused_before_it_is_read(call: Caller) -> None:
    answer = call("POST", "/api/recall", {"query": "x" * 2_000_000})
    assert answer.status == 413
    assert "1048576 bytes" in answer.json["error"]
