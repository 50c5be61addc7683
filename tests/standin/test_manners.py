"""The stand-in has the manners of the server that was recorded: who may ask, what is HTTP, and what is a blob."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from ltmld.standin.server import StandIn, running_standin
from tests.standin.test_recordings import exchanged, headers_of
from tests.standin.wires import post, wire_to
from tests.support.recordings import recorded

ASKED = (
    *(
        "cors-get-allowed",
        "cors-get-forbidden",
        "cors-preflight-allowed",
        "cors-preflight-forbidden",
        "cors-tauri",
    ),
    *("origin-extension", "origin-private-ip-host-rewritten", "origin-public-host-preserved"),
    *("host-dot-local", "host-localhost", "host-private-ip", "options-no-origin-localhost", "bearer-token"),
    *("absolute-form", "http10", "expect-unknown-417", "h2-preface"),
)
UNREADABLE = ("malformed-request", "te-gzip-chunked-501", "dup-content-length")
BLOB = b"weights" * 60_000


@pytest.fixture(scope="module")
def bare() -> Iterator[StandIn]:
    with running_standin(models=()) as standin:
        yield standin


@pytest.mark.parametrize("name", ASKED)
def test_who_may_ask_is_told_as_it_was_recorded(bare: StandIn, name: str) -> None:
    answer, real = exchanged(bare, name)
    assert answer.first_line == real.first_line
    assert headers_of(answer) == headers_of(real)
    assert answer.body == real.body


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_http_is_refused_byte_for_byte(bare: StandIn, name: str) -> None:
    case = recorded(name)
    with wire_to(bare.port) as wire:
        wire.send(case.request_bytes)
        answer = wire.read_answer()
    assert (answer.first_line, answer.headers, answer.body) == (
        case.response.first_line,
        case.response.headers,
        case.response.body,
    )


@pytest.mark.parametrize(
    ("hosts", "words"),
    [(b"", "missing required Host header"), (b"Host: a\r\nHost: b\r\n", "too many Host headers")],
)
def test_a_request_names_its_host_once(bare: StandIn, hosts: bytes, words: str) -> None:
    with wire_to(bare.port) as wire:
        wire.send(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")
        answer = wire.read_answer()
    assert (answer.first_line, answer.body.decode()) == (
        f"HTTP/1.1 400 Bad Request: {words}",
        f"400 Bad Request: {words}",
    )


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(
            ("127.0.0.1:1", 200),
            ("[::1]:11434", 200),
            ("10.1.2.3", 200),
            ("a.internal", 200),
            ("box.local", 200),
        ),
        *(("rebound.example", 403), ("8.8.8.8", 403), ("localhost.example", 403), ("192.0.2.1", 403)),
    ],
)
def test_bound_to_loopback_only_near_hosts_are_answered(bare: StandIn, host: str, status: int) -> None:
    with wire_to(bare.port) as wire:
        wire.send(b"GET /api/version HTTP/1.1\r\nHost: %b\r\n\r\n" % host.encode())
        assert wire.read_answer().status == status


def test_bound_to_every_address_any_host_is_answered() -> None:
    with running_standin(host="0.0.0.0") as standin, wire_to(standin.port) as wire:  # noqa: S104 - a test of just that
        wire.send(b"GET /api/version HTTP/1.1\r\nHost: llm.example.com\r\n\r\n")
        assert wire.read_answer().status == 200


@pytest.mark.parametrize(("origins", "named"), [(["https://*.example"], "https://a.example"), (["*"], "*")])
def test_origins_can_be_added(origins: list[str], named: str) -> None:
    with running_standin(origins=origins) as standin, wire_to(standin.port) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://a.example\r\n\r\n")
        answer = wire.read_answer()
        assert answer.status == 200
        assert answer.header("Access-Control-Allow-Origin") == named


def test_a_blob_is_taken_once_and_then_answered_before_it_comes(bare: StandIn) -> None:
    path = f"/api/blobs/sha256:{hashlib.sha256(BLOB).hexdigest()}"
    real = recorded("blob-post-expect-continue").response
    with wire_to(bare.port) as wire:
        wire.send(post(path, BLOB))
        taken = wire.read_answer()
        wire.send(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        known = wire.read_answer(method="HEAD")
    assert taken.first_line == "HTTP/1.1 201 Created"
    assert "201 Created" in real.body.decode()
    assert headers_of(known) == headers_of(recorded("blob-head").response)
    with wire_to(bare.port) as wire:
        wire.send(post(path, BLOB)[:1000])
        early = wire.read_answer()
    assert (early.first_line, headers_of(early)) == (
        "HTTP/1.1 200 OK",
        [("Date", ""), ("Content-Length", ""), ("Connection", "close")],
    )


def test_a_model_that_is_made_can_be_copied_asked_and_deleted() -> None:
    with running_standin(models=["tiny", "tiny-copy1", "tiny-copy2"]) as standin:
        for name, status in (
            ("create-nostream", 200),
            ("copy", 200),
            ("delete", 200),
            ("delete-name-field", 200),
        ):
            answer, real = exchanged(standin, name)
            assert answer.status == real.status == status
            assert headers_of(answer) == headers_of(real)
        assert exchanged(standin, "delete")[0].status == 404
