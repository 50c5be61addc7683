"""An import is read line by line; one bad line refuses all of it and is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltmld.daemon.lines import LINE_BYTES_MAX, import_lines, rfc3339
from ltmld.errors import BadInputError
from ltmld.ledger.imports import ImportLine

GOOD = {
    "scope": "ann",
    "thread": "t/1",
    "at": "2026-01-31T18:00:00+01:00",
    "role": "user",
    "name": "Ann",
    "text": "I moved to Bergen.",
    "ref": "D1:1",
}


def line(**changes: object) -> bytes:
    """Return a good line but for *changes*; ``None`` leaves the field out."""
    fields = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return json.dumps(fields).encode() + b"\n"


def test_a_line_becomes_a_message_with_its_time_in_utc() -> None:
    assert list(import_lines([line()])) == [
        ImportLine(
            scope="ann",
            thread="t/1",
            at=datetime(2026, 1, 31, 17, tzinfo=UTC),
            role="user",
            name="Ann",
            text="I moved to Bergen.",
            ref="D1:1",
        )
    ]


def test_what_may_be_left_out_may_be_left_out() -> None:
    (read,) = import_lines([line(scope=None, name=None, ref=None)])
    assert (read.scope, read.name, read.ref) == ("default", "", "")


def test_blank_lines_a_byte_order_mark_and_unknown_fields_do_no_harm() -> None:
    lines = [b"\xef\xbb\xbf" + line(mood="good"), b"\n", b"   \r\n", line(ref="D1:2").rstrip()]
    assert [read.ref for read in import_lines(lines)] == ["D1:1", "D1:2"]


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (b"{nonsense\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b"[1]\n", "not a JSON object"),
        (line(text=None), "'text'"),
        (line(text="  "), "'text'"),
        (line(text=7), "'text'"),
        (line(thread=None), "'thread'"),
        (line(role="system"), "'system'"),
        (line(at=None), "'at'"),
        (line(at="yesterday"), "yesterday"),
        (line(at="0001-01-01T00:00:00+23:00"), "RFC 3339"),
        (line(scope="../etc"), "../etc"),
        (line(name="n" * 300), "'name'"),
        (b"x" * LINE_BYTES_MAX, "longer"),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_its_fault(bad: bytes, named: str) -> None:
    with pytest.raises(BadInputError, match=r"^line 2 ") as refusal:
        list(import_lines([line(), bad]))
    assert named in str(refusal.value)
    assert "Nothing was imported" in str(refusal.value)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading(garbage: bytes) -> None:
    try:
        list(import_lines([garbage]))
    except BadInputError as refusal:
        assert str(refusal).startswith("line 1 ")  # noqa: PT017 - either outcome is right


def test_a_time_without_a_zone_is_utc() -> None:
    assert rfc3339("2026-01-31T18:00:00") == datetime(2026, 1, 31, 18, tzinfo=UTC)
