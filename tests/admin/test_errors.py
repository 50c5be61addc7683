"""Every no of the control plane is one JSON shape with a status by its class, and says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ltmld import errors
from ltmld.admin.app import make_app
from ltmld.cli.client import RemoteControl
from ltmld.config import AdminSettings
from tests.support.control_plane import TOKEN, Answer, Caller, serving
from tests.support.refusing_control import refusing_control

Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def asked() -> Iterator[Ask]:
    """Return a call that is met with the given error."""
    met: list[Exception] = []
    with serving(make_app(refusing_control(met), token=TOKEN)) as port:

        def ask(
            error: Exception, method: str = "GET", path: str = "/api/status", body: object = None
        ) -> Answer:
            met[:] = [error]
            return Caller(port)(method, path, body)

        yield ask


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.NotFoundError("gone"), 404, "not_found"),
        (errors.BadInputError("odd"), 400, "bad_input"),
        (errors.SettingsError("odd"), 400, "settings"),
        (errors.RefusedError("no"), 409, "refused"),
        (errors.UpstreamError("away"), 503, "upstream"),
        (errors.LedgerBusyError("full"), 503, "ledger_busy"),
        (errors.LedgerError("broken"), 500, "ledger"),
        (errors.EmbedderError("broken"), 500, "embedder"),
    ],
)
def test_an_error_has_the_status_of_its_class_and_keeps_its_sentence(
    asked: Ask, error: errors.LtmldError, status: int, code: str
) -> None:
    answer = asked(error)
    assert answer.status == status
    assert answer.json == {"error": str(error), "code": code}


def test_an_error_crosses_the_wire_as_the_class_it_was_raised_with() -> None:
    for error in (errors.NotFoundError("gone"), errors.LedgerBusyError("full"), errors.UpstreamError("away")):
        with (
            serving(make_app(refusing_control([error]), token=TOKEN)) as port,
            pytest.raises(type(error), match=str(error)),
        ):
            RemoteControl("127.0.0.1", port, token=TOKEN).status()


def test_what_nobody_foresaw_tells_nothing_of_the_inside(asked: Ask) -> None:
    answer = asked(ZeroDivisionError("secret words"))
    assert answer.status == 500
    assert "secret" not in answer.json["error"]
    assert "log" in answer.json["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("POST", "/api/recall", b"{nonsense", "JSON"),
        ("POST", "/api/recall", b"", "body"),
        ("POST", "/api/recall", {}, "query"),
        ("POST", "/api/recall", {"query": ""}, "query"),
        ("POST", "/api/recall", {"query": "x", "k": 0}, "k"),
        ("POST", "/api/recall", {"query": "x", "budget_tokens": -1}, "budget_tokens"),
        ("POST", "/api/recall", {"query": "x", "at": "yesterday"}, "at"),
        ("POST", "/api/recall", {"query": "x", "colour": "red"}, "colour"),
        ("POST", "/api/memories", {"text": "x", "kind": "rumor"}, "kind"),
        ("POST", "/api/sleep", {"depth": "coma"}, "depth"),
        ("GET", "/api/memories?state=asleep", None, "state"),
        ("GET", "/api/memories?limit=1000000", None, "limit"),
    ],
)
def test_a_malformed_call_is_answered_with_the_name_of_the_field(
    asked: Ask, method: str, path: str, body: object, named: str
) -> None:
    answer = asked(errors.RefusedError("was asked"), method, path, body)
    assert answer.status == 400
    assert named in answer.json["error"]


def test_an_unknown_route_and_method_are_answered_in_the_same_shape(asked: Ask) -> None:
    unknown = asked(errors.RefusedError("x"), "GET", "/api/dreams")
    wrong = asked(errors.RefusedError("x"), "DELETE", "/api/status")
    assert (unknown.status, unknown.json["code"]) == (404, "not_found")
    assert "/api/dreams" in unknown.json["error"]
    assert (wrong.status, wrong.json["code"]) == (405, "method_not_allowed")


def test_an_import_over_the_limit_reaches_nobody() -> None:
    imported: list[bytes] = []
    control = refusing_control([errors.RefusedError("x")], imported)
    app = make_app(control, token=TOKEN, settings=AdminSettings(import_bytes_max=100))
    with serving(app) as port:
        answer = Caller(port)("POST", "/api/import", b"x" * 101)
    assert answer.status == 400
    assert "100 bytes" in answer.json["error"]
    assert imported == []
