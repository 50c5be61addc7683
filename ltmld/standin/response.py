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
    """One answer. ``wait_s`` is how long a whole body is thought about; ``chunked`` takes no length even if it fits."""

    status: int = 200
    media: str = ""
    body: bytes | Pieces = b""
    headers: tuple[tuple[str, str], ...] = ()
    wait_s: float = 0.0
    chunked: bool = False
    inference: bool = False

    @property
    def instant(self) -> bytes | None:
        """The body when it can be written at once."""
        return self.body if isinstance(self.body, bytes) and not self.wait_s else None

    @property
    def sized(self) -> bool:
        """Whether a length tells where the body ends."""
        return isinstance(self.body, bytes) and len(self.body) <= LENGTH_BYTES_MAX and not self.chunked


def head(response: Response, *, version: str, keep_alive: bool, without_body: bool) -> bytes:
    """Return the head as Ollama writes it; *version* is ``1.0`` or ``1.1``."""
    named = [*response.headers, *((("Content-Type", response.media),) if response.media else ())]
    lines = [f"HTTP/{version} {response.status} {HTTPStatus(response.status).phrase}"]
    # Go writes a handler's headers in alphabetical order, and its own after them.
    lines += [f"{name}: {value}" for name, value in sorted(named, key=lambda header: header[0])]
    lines.append(f"Date: {formatdate(usegmt=True)}")
    lines += _framing(response, version=version, without_body=without_body)
    if version == "1.1" and not keep_alive and ("Connection", "close") not in named:
        lines.append("Connection: close")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def is_chunked(response: Response, *, version: str) -> bool:
    """Tell whether the body is framed in chunks."""
    return version == "1.1" and not response.sized and response.status != HTTPStatus.NO_CONTENT


def chunk(data: bytes) -> bytes:
    """Return one HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def _framing(response: Response, *, version: str, without_body: bool) -> list[str]:
    nothing = without_body and not response.body
    if response.status == HTTPStatus.NO_CONTENT or nothing:
        return []
    if response.sized:
        assert isinstance(response.body, bytes)  # noqa: S101 - only bytes are sized
        return [f"Content-Length: {len(response.body)}"]
    return ["Transfer-Encoding: chunked"] if version == "1.1" and not without_body else []
