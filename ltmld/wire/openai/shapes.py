"""What the OpenAI dialects have in common: the shape of an error, and of a wish for JSON."""

from __future__ import annotations

import orjson

from ltmld.wire.fields import Tree, said

_JSON_FORMATS = frozenset({"json_object", "json_schema"})


def error(message: str) -> bytes:
    """Return an error body."""
    body = {"message": message, "type": "api_error", "param": None, "code": None}
    return orjson.dumps({"error": body}) + b"\n"


def wants_json(form: Tree) -> bool:
    """Tell whether the form that a client asks for is JSON."""
    return said(form, "type") in _JSON_FORMATS
