"""Tools that a request offers, and the calls that the stand-in makes of them.

Rules:
1. A tool is called when the user's last words hold its name, once a turn; a tool's result is never followed by a call.
2. Arguments are the plainest instance of the tool's parameters; a text argument is the last name in the question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ltmld.standin.extraction import plain
from ltmld.wire.fields import said, told

_NAME = re.compile(r"\b[A-Z][\w-]*\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool: its name, and the JSON schema of its arguments."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a tool."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def function_tools(items: Sequence[Any]) -> tuple[Tool, ...]:
    """Read tools as ``/api/chat`` and ``/v1/chat/completions`` write them."""
    functions = [told(item, "function") for item in items]
    return tuple(Tool(name=said(each, "name"), parameters=told(each, "parameters")) for each in functions)


def flat_tools(items: Sequence[Any], *, schema: str) -> tuple[Tool, ...]:
    """Read tools as ``/v1/responses`` and ``/v1/messages`` write them; *schema* names the member."""
    return tuple(Tool(name=said(item, "name"), parameters=told(item, schema)) for item in items)


def calls(question: str, tools: Sequence[Tool]) -> tuple[Call, ...]:
    """Return a call of each tool that *question* names."""
    asked = question.casefold()
    named = [tool for tool in tools if tool.name and tool.name.casefold() in asked]
    return tuple(Call(name=tool.name, arguments=_arguments(tool, question)) for tool in named)


def _arguments(tool: Tool, question: str) -> Mapping[str, Any]:
    names = _NAME.findall(question.replace(tool.name, ""))
    text = names[-1] if names else question.rsplit(maxsplit=1)[-1].strip(".,;:!?")
    filled = plain({"type": "object", **tool.parameters}, text)
    return filled if isinstance(filled, dict) else {}
