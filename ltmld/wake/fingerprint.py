"""One fingerprint: the words, the place and the shape by which a background request of a client is told.

Rules:
1. All conditions of a fingerprint hold together, and one at least is about words or a header.
2. Reading never half succeeds: an entry is a fingerprint, or a sentence that names it and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ltmld.errors import SettingsError

USER, SYSTEM, HEADER = "user", "system", "header:"
_WORDS = ("is", "starts", "ends")
_KEYS = {"name", "where", "contains", "alone", *_WORDS}
# Shorter words stand in anybody's talk; "Warmup" is the shortest that a client sends.
_CHARS_MIN = 4
# Longer than any prompt's opening that is worth comparing.
_CHARS_MAX = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What of a request fingerprints look at."""

    user: str
    system: str
    alone: bool
    header: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """One way to know a background request."""

    name: str
    where: str = USER
    exact: str = ""
    starts: str = ""
    ends: str = ""
    contains: tuple[tuple[str, ...], ...] = ()
    alone: bool = False

    def matches(self, said: Said) -> bool:
        """Tell whether a request is what this fingerprint is of."""
        if self.alone and not said.alone:
            return False
        text = self._text(said)
        return (
            bool(text)
            and text.startswith(self.starts)
            and text.endswith(self.ends)
            and self.exact in ("", text)
            and all(any(words in text for words in choice) for choice in self.contains)
        )

    def _text(self, said: Said) -> str:
        if self.where == USER:
            return said.user
        return said.system if self.where == SYSTEM else said.header(self.where.removeprefix(HEADER))


def read(entry: object, *, number: int) -> Fingerprint:
    """Return the fingerprint that an entry of the file describes.

    Raises:
        SettingsError: it describes none.
    """
    if not isinstance(entry, Mapping):
        raise SettingsError(f"fingerprint {number} is no table. Begin it with [[fingerprint]].")
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        raise SettingsError(f'fingerprint {number} has no name. Add name = "...".')
    where = _where(name, entry)
    words = {key: _words(name, key, entry[key]) for key in _WORDS if key in entry}
    contains = _choices(name, entry.get("contains", []))
    if not words and not contains and not where.startswith(HEADER):
        raise SettingsError(f"fingerprint {name!r} looks for nothing. Give it is, starts, ends or contains.")
    return Fingerprint(
        name=name.strip(),
        where=where,
        exact=words.get("is", ""),
        starts=words.get("starts", ""),
        ends=words.get("ends", ""),
        contains=contains,
        alone=_alone(name, entry),
    )


def _where(name: str, entry: Mapping[str, Any]) -> str:
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise SettingsError(
            f"fingerprint {name!r} has {unknown[0]!r}, which is no condition. Known are {', '.join(sorted(_KEYS))}."
        )
    where = entry.get("where", USER)
    if where in (USER, SYSTEM):
        return str(where)
    if isinstance(where, str) and where.startswith(HEADER) and where.removeprefix(HEADER).strip():
        return where.lower()
    raise SettingsError(
        f'fingerprint {name!r}: where is {where!r}. Write "user", "system" or "header:name-of-the-header".'
    )


def _alone(name: str, entry: Mapping[str, Any]) -> bool:
    alone = entry.get("alone", False)
    if not isinstance(alone, bool):
        raise SettingsError(f"fingerprint {name!r}: alone is {alone!r}. Write true or false.")
    return alone


def _choices(name: str, value: object) -> tuple[tuple[str, ...], ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(
        tuple(_words(name, "contains", one) for one in (item if isinstance(item, list) else [item]))
        for item in listed
    )


def _words(name: str, key: str, value: object) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"fingerprint {name!r}: {key} is {value!r}, and no text. Put it in quotes.")
    words = value if key == "contains" else value.strip() if key == "is" else _trimmed(key, value)
    if len(words.strip()) < _CHARS_MIN or len(words) > _CHARS_MAX:
        raise SettingsError(
            f"fingerprint {name!r}: {key} has {len(words.strip())} characters; "
            f"it must have {_CHARS_MIN} to {_CHARS_MAX}, or it would be found in anybody's talk."
        )
    return words


def _trimmed(key: str, value: str) -> str:
    """Return *value* without the blanks at the end that is compared: the words are compared without theirs."""
    return value.lstrip() if key == "starts" else value.rstrip()
