"""The body of a request as a JSON object, and Ollama's words for what is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ltmld.errors import WireError
from ltmld.standin.seen import UNPACKED_BYTES_MAX, SeenRequest
from ltmld.wire.encoding import decoded
from ltmld.wire.json_text import scan
from ltmld.wire.structs import Struct

Tree = Mapping[str, Any]

# Keys inside messages are found in any case too.
_STRUCT = Struct(members={"messages": Struct()})
_WORDS = ("null", "true", "false")


def tree_of(request: SeenRequest) -> Tree:
    """Return the JSON object of a body; ``/v1`` takes it packed by zstd.

    Raises:
        WireError: there is none, in Go's words.
    """
    body = request.body
    if request.path.startswith("/v1/") and request.header("Content-Encoding") == "zstd":
        body = decoded(body, "zstd", UNPACKED_BYTES_MAX)
    if not body:
        raise WireError("missing request body" if request.path.startswith("/api/") else "EOF")
    text = body.decode("utf-8", "replace")
    try:
        value = scan(text, struct=_STRUCT).value
    except WireError as error:
        raise WireError(_complaint(text.lstrip(" \t\n\r"))) from error
    if not isinstance(value, dict):
        raise WireError("json: cannot unmarshal into Go value of type api.ChatRequest")
    return value


def _complaint(text: str) -> str:
    if text.startswith(("{", "[")):
        return "unexpected EOF"
    if word := next((word for word in _WORDS if word[0] == text[:1]), ""):
        return _misspelt(text, word)
    return f"invalid character {_quoted(text[:1])} looking for beginning of value"


def _misspelt(text: str, word: str) -> str:
    wrong = next((at for at, mark in enumerate(word) if text[at : at + 1] != mark), 0)
    if len(text) <= wrong:
        return "unexpected EOF"
    return f"invalid character {_quoted(text[wrong])} in literal {word} (expecting '{word[wrong]}')"


def _quoted(mark: str) -> str:
    return f"'\\x{ord(mark):02x}'" if re.fullmatch(r"[\x00-\x1f]", mark) else f"'{mark}'"
