"""The few answers that ltmld gives itself: refusals, and "Ollama is away"."""

from __future__ import annotations

import json

from ltmld.core.ports import Attendant, RequestHead
from ltmld.proxy.head import HeadRefusedError

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

NOT_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"400 Bad Request"
)
"""What Ollama itself answers to a first line that is none of HTTP, byte for byte."""

NOT_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"Client sent a TLS hello to an HTTP server: ask for http://, not https://\n"
)
"""Told to who speaks TLS to a plain port; Go says the reverse in the same words."""

TLS_HELLO = b"\x16\x03"
"""How a TLS connection begins (RFC 8446 5.1: a handshake record, version 3.x); no method of HTTP begins so."""

BUSY = "all connections are taken (LTMLD_PROXY__CONNECTIONS_MAX); close some, or ask again later"

_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


def own_answer(status: int, body: bytes, *, close: bool, with_body: bool = True) -> bytes:
    """Return a whole answer with a JSON *body*."""
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        "Content-Type: application/json; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n" + ("Connection: close\r\n" if close else "") + "\r\n"
    )
    return head.encode() + (body if with_body else b"")


def refused(message: str) -> bytes:
    """Return the body of a refusal; nobody's dialect is known when a head cannot be read."""
    return _json({"error": f"ltmld: {message}."})


def refusal(error: HeadRefusedError) -> bytes:
    """Return the whole answer to a head that must not go on."""
    return NOT_HTTP if error.foreign else own_answer(error.status, refused(str(error)), close=True)


def late(part: str, limit_s: float, setting: str) -> bytes:
    """Return the whole answer to a client whose request comes too slowly."""
    told = f"the {part} did not come within {limit_s:g} s (LTMLD_PROXY__{setting}_TIMEOUT_S)"
    return own_answer(408, refused(told), close=True)


def too_large(partial: bytes, bytes_max: int) -> HeadRefusedError:
    """Return the refusal of a head that has outgrown *bytes_max*: it names the part that did."""
    if b"\r\n" in partial[:bytes_max]:
        told, status = f"the request's head is larger than {bytes_max} bytes", 431
    else:
        told, status = f"the request's target is larger than {bytes_max} bytes", 414
    return HeadRefusedError(f"{told} (LTMLD_PROXY__HEAD_BYTES_MAX)", status=status)


def unavailable(attendant: Attendant | None, head: RequestHead, message: str) -> bytes:
    """Return the body of a 502, in the shape that the client of this path understands."""
    if attendant is not None:
        return attendant.unavailable(head, message)
    if head.path.startswith("/v1/"):
        error = {"message": f"ltmld: {message}", "type": "api_error", "param": None, "code": None}
        return _json({"error": error})
    return _json({"error": f"ltmld: {message}"})


def _json(tree: object) -> bytes:
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
