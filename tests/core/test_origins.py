"""Promise: nobody whom Ollama would turn away is answered in its place."""

from __future__ import annotations

import pytest

from ltmld.core.host_names import allowed_host
from ltmld.core.origins import allowed_origin, may_answer

HOST = "127.0.0.1:11435"


def answered(origin: str, host: str = HOST, *, on_loopback: bool = True) -> bool:
    return may_answer(origin=origin, host=host, hostname="desk", on_loopback=on_loopback)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "http://localhost",
        "http://localhost:3000",
        "https://127.0.0.1:8443",
        "http://0.0.0.0:80",
        "app://obsidian.md",
        "file://",
        "tauri://localhost",
        "vscode-webview://abc",
        "vscode-file://vscode-app",
        "http://127.0.0.1:11435",
    ],
)
def test_whom_ollama_lets_in_is_answered(origin: str) -> None:
    assert answered(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example",
        "http://localhost.evil.example",
        "http://localhost:3000.evil.example",
        "http://localhost:80@evil.example",
        "http://127.0.0.1.evil.example:80",
        "http://192.168.1.5:8080",
        "chrome-extension://abcdef",
        "ftp://localhost",
        "javascript:localhost",
        "HTTP://LOCALHOST",
    ],
)
def test_a_page_of_elsewhere_is_not_answered(origin: str) -> None:
    assert not answered(origin)


@pytest.mark.parametrize("on_loopback", [True, False])
def test_a_page_that_rebound_its_own_name_is_not_answered_as_the_same_origin(*, on_loopback: bool) -> None:
    host = "evil.example:11435"
    assert allowed_origin(f"http://{host}", host)
    assert not answered(f"http://{host}", host, on_loopback=on_loopback)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost:11435",
        "LOCALHOST",
        "desk:11435",
        "[::1]:11435",
        "::1",
        "0.0.0.0",  # noqa: S104 - recognized, not bound
        "10.0.0.7:1",
        "172.31.0.1",
        "192.168.1.5:11435",
        "[fd00::1]:1",
        "ltmld.local",
        "host.docker.internal:11435",
        "a.localhost",
    ],
)
def test_a_host_that_only_this_machine_can_have_is_let_in(host: str) -> None:
    assert allowed_host(host, hostname="desk")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:11435",
        "8.8.8.8",
        "172.32.0.1:1",
        "localhost.evil.example",
        "desks",
        "[2001:db8::1]",
    ],
)
def test_a_host_that_a_stranger_can_point_here_is_not(host: str) -> None:
    assert not allowed_host(host, hostname="desk")
    assert not answered("", host)


def test_a_container_reaches_a_listener_for_all_by_the_name_that_its_network_gave() -> None:
    assert answered("", "ltmld:11435", on_loopback=False)
    assert not answered("http://ltmld:11435", "ltmld:11435", on_loopback=False)


def test_a_browser_that_hides_the_origin_and_names_another_site_is_not_answered() -> None:
    assert not may_answer(origin="", host=HOST, fetch_site="cross-site", hostname="desk", on_loopback=True)
    assert may_answer(origin="", host=HOST, fetch_site="none", hostname="desk", on_loopback=True)
