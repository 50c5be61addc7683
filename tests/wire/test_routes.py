"""Only where people talk is a body looked into: every other route of Ollama passes without being read."""

from __future__ import annotations

import orjson
import pytest

from ltmld.core.ports import RequestHead
from ltmld.wire.dialects import dialect_for, error_body
from tests.support.recordings import recorded

# Every route of Ollama 0.33 and of its recent past, and which of them is looked into.
ROUTES = {
    "HEAD /": False,
    "GET /": False,
    "HEAD /api/version": False,
    "GET /api/version": False,
    "GET /api/status": False,
    "HEAD /api/tags": False,
    "GET /api/tags": False,
    "GET /api/ps": False,
    "POST /api/show": False,
    "POST /api/generate": True,
    "POST /api/chat": True,
    "POST /api/embed": False,
    "POST /api/embeddings": False,
    "POST /api/pull": False,
    "POST /api/push": False,
    "POST /api/create": False,
    "POST /api/blobs/sha256:0": False,
    "HEAD /api/blobs/sha256:0": False,
    "POST /api/copy": False,
    "DELETE /api/delete": False,
    "POST /api/me": False,
    "POST /api/signout": False,
    "DELETE /api/user/keys/x": False,
    "POST /api/experimental/web_search": False,
    "POST /api/experimental/web_fetch": False,
    "GET /api/experimental/model-recommendations": False,
    "GET /api/experimental/aliases": False,
    "POST /v1/chat/completions": True,
    "POST /v1/completions": False,
    "POST /v1/embeddings": False,
    "POST /v1/responses": True,
    "POST /v1/messages": True,
    "POST /v1/messages/count_tokens": False,
    "POST /v1/responses/compact": False,
    "GET /v1/models": False,
    "GET /v1/models/tiny": False,
    "POST /v1/audio/transcriptions": False,
    "POST /v1/images/generations": False,
    "POST /v1/images/edits": False,
}


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_is_looked_into_or_left_alone_as_listed(route: str) -> None:
    method, path = route.split(" ")
    assert (dialect_for(method, path) is not None) is ROUTES[route]


@pytest.mark.parametrize(
    "route",
    [
        "GET /api/chat",
        "POST /api/chat/",
        "POST /API/chat",
        "POST //api/chat",
        "post /api/chat",
        "PUT /v1/messages",
    ],
)
def test_a_route_is_matched_as_ollama_matches_it(route: str) -> None:
    method, path = route.split(" ")
    assert dialect_for(method, path) is None


@pytest.mark.parametrize(
    "target",
    [
        "/v1/messages?beta=true",
        "http://127.0.0.1:11435/v1/messages",
        "HTTP://localhost/v1/messages?beta=true",
        "/v1/%6dessages",
        "/v1%2Fmessages",
    ],
)
def test_a_target_is_understood_as_ollama_understands_it(target: str) -> None:
    head = RequestHead(method="POST", target=target, headers=(), peer="127.0.0.1")
    assert dialect_for(head.method, head.path) is dialect_for("POST", "/v1/messages")


@pytest.mark.parametrize(
    "target", ["*", "/", "http://x", "/v1/messages%3Fbeta", "/v1/messages%2F", "ftp://x/v1/messages"]
)
def test_a_target_that_only_looks_like_a_route_is_none(target: str) -> None:
    head = RequestHead(method="POST", target=target, headers=(), peer="127.0.0.1")
    assert dialect_for(head.method, head.path) is None


@pytest.mark.parametrize(
    ("path", "case"),
    [
        ("/api/chat", "chat-unknown-model"),
        ("/api/generate", "chat-unknown-model"),
        ("/api/tags", "chat-unknown-model"),
        ("/somewhere", "chat-unknown-model"),
        ("/v1/chat/completions", "v1-chat-unknown-model"),
        ("/v1/responses", "v1-responses-unknown-model"),
        ("/v1/embeddings", "v1-chat-unknown-model"),
        ("/v1/a/route/of/tomorrow", "v1-chat-unknown-model"),
        ("/v1/messages", "queue-messages-2"),
        ("/v1/messages/batches", "queue-messages-2"),
    ],
)
def test_an_error_has_the_shape_of_ollamas_own_on_that_path(path: str, case: str) -> None:
    sentence = 'ltmld: "away"'
    made = error_body(path, sentence)
    recorded_body = recorded(case).response.body
    ours, theirs = orjson.loads(made), orjson.loads(recorded_body)
    assert shape(ours) == shape(theirs)
    assert made.endswith(b"\n") == recorded_body.endswith(b"\n")
    assert sentence in (ours["error"] if isinstance(ours["error"], str) else ours["error"]["message"])
    assert len(ours.get("request_id", "")) == len(theirs.get("request_id", ""))
    found = dialect_for("POST", path)
    assert found is None or shape(orjson.loads(found.error(sentence))) == shape(theirs)


def shape(value: object) -> object:
    """Return the keys of an object in order, and so on inwards."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    return type(value).__name__
