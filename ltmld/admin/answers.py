"""How the control plane says no: every error is ``{"error": sentence, "code": word}`` with a status by its class.

Rules:
1. The sentence is the one the error was raised with; what was not raised on purpose stays inside ("Internal error").
2. ``code`` is the error class in words (``not_found``): programs, ltmld's own command line among them, go by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ltmld.admin.codes import code_of
from ltmld.errors import (
    AbsentError,
    BadInputError,
    LedgerBusyError,
    LtmldError,
    NotFoundError,
    RefusedError,
    SettingsError,
    UsageError,
)

# The first class that fits decides: a subclass stands above its base.
STATUS_BY_ERROR: tuple[tuple[type[LtmldError], int], ...] = (
    (NotFoundError, 404),
    (RefusedError, 409),
    (BadInputError, 400),
    (SettingsError, 400),
    (UsageError, 400),
    (AbsentError, 503),
    (LedgerBusyError, 503),
    (LtmldError, 500),
)

CODE_BY_STATUS = {401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that is answered without being looked at."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> JSONResponse:
        """Return the answer."""
        code = CODE_BY_STATUS.get(self.status, "bad_input")
        return _answer(self.status, self.message, code, headers=self.headers)


def status_of(error: LtmldError) -> int:
    """Return the HTTP status of an error."""
    return next(status for kind, status in STATUS_BY_ERROR if isinstance(error, kind))


async def on_ltmld_error(_request: Request, error: Exception) -> JSONResponse:
    """Answer with what was raised on purpose."""
    assert isinstance(error, LtmldError)  # noqa: S101 - registered for this class only
    return _answer(status_of(error), str(error), code_of(type(error)))


async def on_invalid_body(_request: Request, error: Exception) -> JSONResponse:
    """Name the field that is missing or wrong."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    return _answer(400, "; ".join(_fault(item) for item in error.errors()) + ".", "bad_input")


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer an unknown route or method in the same shape."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    message = {
        404: f"There is no {request.method} {request.url.path} here. The routes are in /api/openapi.json.",
        405: f"{request.url.path} does not take {request.method}. The routes are in /api/openapi.json.",
    }.get(error.status_code, str(error.detail))
    code = CODE_BY_STATUS.get(error.status_code, "bad_input")
    return _answer(error.status_code, message, code, headers=error.headers or {})


async def on_surprise(_request: Request, _error: Exception) -> JSONResponse:
    """Answer without telling what only the log should know."""
    return _answer(500, "Internal error. The log of `ltmld serve` has the reason.", "internal")


def _fault(item: Mapping[str, Any]) -> str:
    # The first part says where it stood (body, query, path); the rest names the field.
    where = [str(part) for part in item["loc"][1:]]
    if item["type"] == "json_invalid":
        reason = item.get("ctx", {}).get("error", "malformed")
        return f"The body is not valid JSON ({reason} at character {item['loc'][-1]})"
    name = ".".join(where) or "the body"
    return f"{name}: {item['msg']}"


def _answer(
    status: int, message: str, code: str, *, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"error": message, "code": code}, status, headers=dict(headers or {}))
