"""What is looked for in the messages of one role: the rules of ``boilerplate.toml``, read once.

Rules:
1. Every pattern is bounded in length, or has one way to match a text: no text makes it slow.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ltmld.core.message import Role

FILE = "boilerplate.toml"
_ELEMENTS = ("cut", "keep", "echo", "alone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Documents and what introduces them: from a line that opens so to where the documents end."""

    opens: str
    within: str
    sources: re.Pattern[str]
    sources_end: re.Pattern[str]
    closes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Everything that is looked for in the messages of one role; ``boilerplate.toml`` says what each is."""

    names: frozenset[str]
    cut: frozenset[str]
    given: frozenset[str]
    alone: frozenset[str]
    keep: frozenset[str]
    echo: frozenset[str]
    unclosed: frozenset[str]
    beside: dict[str, frozenset[str]]
    frames: tuple[Frame, ...]
    lines: frozenset[str]
    whole: tuple[str, ...]
    heads: tuple[re.Pattern[str], ...]
    asks: dict[str, str]
    remarks: tuple[str, ...]
    first: tuple[str, ...]
    closing: tuple[str, ...]
    last: tuple[str, ...]
    behind: tuple[str, ...]
    around: frozenset[str]
    tails: tuple[str, ...]
    fenced: bool
    persons: bool
    """Whether these are a person's messages: documents stand in them that may forge every mark."""
    starts: tuple[str, ...]
    """How a message begins that needs a closer look."""


@cache
def marks_of(role: Role) -> Marks | None:
    """Return what is looked for in the messages of *role*, ``None`` when that is nothing."""
    if role not in (Role.USER, Role.ASSISTANT, Role.TOOL):
        return None
    tree = tomllib.loads(resources.files("ltmld.wake").joinpath(FILE).read_text("utf-8"))
    rules: list[dict[str, Any]] = tree["boilerplate"]
    return _of(
        [rule for rule in rules if role.value in rule.get("roles", ["user"])], persons=role is Role.USER
    )


def _of(rules: Sequence[dict[str, Any]], *, persons: bool) -> Marks:
    def all_of(*keys: str) -> list[str]:
        return [text for rule in rules for key in keys for text in rule.get(key, [])]

    fenced = any(rule.get("fenced") for rule in rules)
    lines, whole = all_of("lines"), tuple(all_of("whole"))
    return Marks(
        names=frozenset(all_of(*_ELEMENTS, "beside", "unclosed", "first", "last", "behind"))
        | {rule["closes"].strip("</>") for rule in rules if "closes" in rule},
        cut=frozenset(all_of("cut")),
        given=frozenset(all_of("given")),
        alone=frozenset(all_of("alone")),
        keep=frozenset(all_of("keep")),
        echo=frozenset(all_of("echo")),
        unclosed=frozenset(all_of("unclosed")),
        beside=_beside(rules),
        frames=tuple(_frame(rule) for rule in rules if "opens" in rule),
        lines=frozenset(lines),
        whole=whole,
        heads=tuple(re.compile(head, re.DOTALL) for head in all_of("heads")),
        asks={head: name for rule in rules for head, name in rule.get("asks", {}).items()},
        remarks=tuple(all_of("remarks")),
        first=tuple(all_of("first")),
        closing=tuple(all_of("closing")),
        last=tuple(all_of("last")),
        behind=tuple(all_of("behind")),
        around=frozenset(name for rule in rules if "last" in rule for name in rule["cut"]),
        tails=tuple(all_of("tails")),
        fenced=fenced,
        persons=persons,
        starts=(*whole, *lines, *(["```"] if fenced else []), *(["[", "# AGENTS.md"] if persons else [])),
    )


def _beside(rules: Sequence[dict[str, Any]]) -> dict[str, frozenset[str]]:
    """Return the elements that count only beside others, each with these."""

    def elements(rule: dict[str, Any]) -> list[str]:
        return [name for key in _ELEMENTS for name in rule.get(key, [])]

    free = {name for rule in rules if "beside" not in rule for name in elements(rule)}
    beside: dict[str, frozenset[str]] = {}
    for rule in rules:
        for name in elements(rule):
            if name not in free:
                beside[name] = beside.get(name, frozenset()) | frozenset(rule["beside"])
    return beside


def _frame(rule: dict[str, Any]) -> Frame:
    return Frame(
        opens=rule["opens"],
        within=rule["within"],
        sources=re.compile(r"\s*" + re.escape(rule["before"]) + r"[ >]"),
        sources_end=re.compile(re.escape(rule["after"]) + r"\s*" + re.escape(rule["closes"])),
        closes=rule["closes"],
    )
