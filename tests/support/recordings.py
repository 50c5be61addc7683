"""Read the recorded bytes of a real Ollama server: ``tests/recordings/<case>/{request,response}.http``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[1] / "recordings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """A request or a response: first line, headers in order as they were written, body pieces as they were framed."""

    first_line: str
    headers: tuple[tuple[str, str], ...]
    pieces: tuple[bytes, ...]
    chunked: bool

    @property
    def body(self) -> bytes:
        """The body without its framing."""
        return b"".join(self.pieces)

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.first_line.split(" ")[1])

    def header(self, name: str) -> str:
        """Return a header's value, empty when it is not there."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One recorded exchange."""

    name: str
    request_bytes: bytes
    request: Half
    response: Half

    @property
    def method(self) -> str:
        """The request's method."""
        return self.request.first_line.split(" ")[0]

    @property
    def target(self) -> str:
        """The request's target."""
        return self.request.first_line.split(" ")[1]


def recorded(name: str) -> Case:
    """Return the case called *name*."""
    folder = _FOLDER / name
    sent = (folder / "request.http").read_bytes()
    return Case(
        name=name,
        request_bytes=sent,
        request=half(sent),
        response=half((folder / "response.http").read_bytes()),
    )


def half(data: bytes) -> Half:
    """Take one message of HTTP/1.1 apart."""
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    chunked = any(name.lower() == "transfer-encoding" for name, _ in headers)
    return Half(
        first_line=first,
        headers=headers,
        pieces=tuple(_chunks(rest)) if chunked else ((rest,) if rest else ()),
        chunked=chunked,
    )


def _chunks(data: bytes) -> list[bytes]:
    pieces: list[bytes] = []
    while data:
        size_line, _, data = data.partition(b"\r\n")
        size = int(size_line, 16)
        if size == 0:
            break
        pieces.append(data[:size])
        data = data[size + 2 :]
    return pieces
