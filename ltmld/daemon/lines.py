"""NDJSON lines of old conversations, read one by one into what the ledger imports.

Rules:
1. One malformed line refuses the whole import, and the message names the line: a file is imported whole or not.
2. What the contract does not name is ignored; what it names is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from ltmld.core.scope import DEFAULT_SCOPE, is_scope
from ltmld.errors import BadInputError
from ltmld.ledger.imports import ImportLine

# One message; a longer one is no speech, and every line is held until the whole import has been checked.
LINE_BYTES_MAX = 8 * 1024 * 1024
LINES_MAX = 1_000_000
NAME_CHARACTERS_MAX = 256

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def import_lines(lines: Iterable[bytes]) -> Iterator[ImportLine]:
    """Yield one value for every line that is not blank.

    Raises:
        BadInputError: a line is malformed; the message begins with ``line N``.
    """
    for number, line in enumerate(lines, 1):
        if number > LINES_MAX:
            raise BadInputError(f"line {number}: an import takes at most {LINES_MAX} lines. Split the file.")
        words = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        if words.strip():
            yield _Fields(number, words).line()


class _Fields:
    """The fields of one line, each fetched with its own complaint."""

    def __init__(self, number: int, line: bytes) -> None:
        self._number = number
        if len(line) >= LINE_BYTES_MAX:
            raise self._bad(f"is longer than {LINE_BYTES_MAX} bytes")
        try:
            value: Any = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise self._bad(f"is not JSON ({error.msg} at character {error.colno})") from error
        if not isinstance(value, dict):
            raise self._bad("is not a JSON object")
        self._value: dict[str, Any] = value

    def line(self) -> ImportLine:
        """Return what the line says."""
        return ImportLine(
            scope=self._scope(),
            thread=self._text("thread", required=True, characters_max=NAME_CHARACTERS_MAX),
            at=self._at(),
            role=self._role(),
            name=self._text("name", characters_max=NAME_CHARACTERS_MAX),
            text=self._text("text", required=True),
            ref=self._text("ref", characters_max=NAME_CHARACTERS_MAX),
        )

    def _text(self, name: str, *, required: bool = False, characters_max: int = LINE_BYTES_MAX) -> str:
        value = self._value.get(name)
        if value is None and not required:
            return ""
        if not isinstance(value, str):
            raise self._bad(
                f"needs {name!r} as a string" if required else f"has a {name!r} that is no string"
            )
        if required and not value.strip():
            raise self._bad(f"has an empty {name!r}")
        if len(value) > characters_max:
            raise self._bad(f"has a {name!r} of more than {characters_max} characters")
        return value

    def _scope(self) -> str:
        scope = self._text("scope") or DEFAULT_SCOPE
        if not is_scope(scope):
            raise self._bad(f"names a scope {scope[:40]!r} that cannot be one (letters, digits and ._:@+/-)")
        return scope

    def _role(self) -> str:
        role = self._text("role", required=True)
        if role not in ("user", "assistant"):
            raise self._bad(f"has role {role[:40]!r}; it must be 'user' or 'assistant'")
        return role

    def _at(self) -> datetime:
        text = self._text("at", required=True)
        try:
            return rfc3339(text)
        except ValueError as error:
            raise self._bad(
                f"has a time {text[:40]!r} that is not RFC 3339 (2026-01-31T18:00:00Z)"
            ) from error

    def _bad(self, complaint: str) -> BadInputError:
        return BadInputError(f"line {self._number} {complaint}. Nothing was imported; correct the line.")


def rfc3339(text: str) -> datetime:
    """Return an RFC 3339 time in UTC; a time without a zone counts as UTC.

    Raises:
        ValueError: it is no time, or beyond what a calendar holds.
    """
    try:
        value = datetime.fromisoformat(text)
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text} is out of range") from error
