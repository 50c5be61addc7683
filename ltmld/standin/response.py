"""One answer before it is written: status, headers in Ollama's order, and a body in one piece or in many."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

# Go sends a length for what fits its buffer, and one chunk for what does not.
LENGTH_BYTES_MAX = 2048

Pieces = AsyncIterator[bytes | None]
"""Pieces of a stream, one HTTP chunk each; ``None`` breaks the connection off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer. ``wait_s`` is how long a whole body is thought about; ``before`` are headers above the rest."""

    status: int = 200
    media: str = ""
    body: bytes | Pieces = b""
    before: tuple[tuple[str, str], ...] = ()
    wait_s: float = 0.0
    inference: bool = False

    @property
    def instant(self) -> bytes | None:
        """The body when it can be written at once."""
        return self.body if isinstance(self.body, bytes) and not self.wait_s else None


def head(response: Response, *, version: str, keep_alive: bool, without_body: bool) -> bytes:
    """Return the head as Ollama writes it; *version* is ``1.0`` or ``1.1``."""
    lines = [f"HTTP/{version} {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in response.before]
    if response.media:
        lines.append(f"Content-Type: {response.media}")
    lines.append(f"Date: {formatdate(usegmt=True)}")
    if isinstance(response.body, bytes) and len(response.body) <= LENGTH_BYTES_MAX:
        lines.append(f"Content-Length: {len(response.body)}")
    elif version == "1.1" and not without_body:
        lines.append("Transfer-Encoding: chunked")
    if version == "1.1" and not keep_alive:
        lines.append("Connection: close")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def is_chunked(response: Response, *, version: str) -> bool:
    """Tell whether the body is framed in chunks."""
    sized = isinstance(response.body, bytes) and len(response.body) <= LENGTH_BYTES_MAX
    return version == "1.1" and not sized


def chunk(data: bytes) -> bytes:
    """Return one HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
