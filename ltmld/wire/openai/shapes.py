"""What the OpenAI dialects have in common: the shape of an error."""

from __future__ import annotations

import orjson


def error(message: str) -> bytes:
    """Return an error body."""
    body = {"message": message, "type": "api_error", "param": None, "code": None}
    return orjson.dumps({"error": body}) + b"\n"
