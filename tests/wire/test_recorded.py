"""Every recorded exchange of a real Ollama: what it understood is understood, what it finished is read to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltmld.core.ports import RequestHead
from ltmld.wire.dialects import Dialect, dialect_for
from ltmld.wire.encoding import decoded
from tests.support.recordings import Case, recorded
from tests.wire.relaying import relayed

FOLDER = Path(__file__).resolve().parents[1] / "recordings"


def spoken(case: Case) -> Dialect | None:
    """Return the dialect of a recorded request, none where it is not looked into or was not recorded whole."""
    length = case.request.header("Content-Length")
    if len(case.request.first_line.split(" ")) < 3 or (length and int(length) != len(case.request.body)):
        return None
    head = RequestHead(method=case.method, target=case.target, headers=(), peer="127.0.0.1")
    return dialect_for(head.method, head.path)


def cases() -> list[Case]:
    """Return the recorded cases of routes that are looked into, with an answer."""
    names = sorted(file.parent.name for file in FOLDER.glob("*/response.http") if file.stat().st_size)
    return [case for case in map(recorded, names) if spoken(case) is not None]


ANSWERED = [case for case in cases() if case.response.status == 200]


@pytest.mark.parametrize("case", ANSWERED, ids=lambda case: case.name)
def test_what_ollama_understood_is_understood(case: Case) -> None:
    dialect = spoken(case)
    assert dialect is not None
    coding = case.request.header("Content-Encoding")
    request = dialect.parse(decoded(case.request.body, coding, 1 << 25, takes_zstd=dialect.takes_zstd))
    assert request.model
    assert request.empty == (b'"load"' in case.response.body or b'"unload"' in case.response.body)


@pytest.mark.parametrize("case", ANSWERED, ids=lambda case: case.name)
def test_what_ollama_finished_is_read_to_its_end_and_what_it_broke_off_is_not(case: Case) -> None:
    dialect = spoken(case)
    assert dialect is not None
    capture = dialect.capture(bytes_max=1 << 23)
    capture.begin(status=200, content_type=case.response.header("Content-Type"))
    before, after, reply = relayed(capture, case.response.pieces)
    assert before + after == case.response.body
    broken = case.name.startswith("midstream-error")
    assert (capture.complete, capture.unfinished) == (not broken, broken)
    assert reply.model or broken


@pytest.mark.parametrize(
    "case", [case for case in cases() if case.response.status >= 400], ids=lambda case: case.name
)
def test_of_what_ollama_refused_the_reason_is_kept_and_nothing_held(case: Case) -> None:
    dialect = spoken(case)
    assert dialect is not None
    capture = dialect.capture(bytes_max=1 << 23)
    capture.begin(status=case.response.status, content_type=case.response.header("Content-Type"))
    before, after, reply = relayed(capture, case.response.pieces)
    assert (before, after) == (case.response.body, b"")
    assert reply.error
    assert not reply.error.startswith(("{", "HTTP "))
