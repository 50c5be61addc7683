"""Speak to a server in raw bytes, and read what comes to the end of one answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.recordings import Half, half


@dataclass(slots=True)
class Wire:
    """One connection."""

    connection: socket.socket
    spare: bytes = b""

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def read_head(self) -> bytes:
        while b"\r\n\r\n" not in self.spare:
            self._more()
        head, _, self.spare = self.spare.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def read_answer(self, *, method: str = "GET") -> Half:
        """Read one answer to its end, and not a byte further."""
        head = self.read_head()
        parsed = half(head)
        if parsed.chunked:
            return half(head + self.until(b"0\r\n\r\n"))
        if not parsed.header("Content-Length"):
            nothing = method == "HEAD" or parsed.status == 204
            return half(head + (b"" if nothing else self.until_closed()))
        length = 0 if method == "HEAD" else int(parsed.header("Content-Length"))
        while len(self.spare) < length:
            self._more()
        body, self.spare = self.spare[:length], self.spare[length:]
        return half(head + body)

    def pieces(self) -> Iterator[bytes]:
        """Yield what comes until the last chunk."""
        tail = b""
        piece, self.spare = self.spare, b""
        while not (tail + piece).endswith(b"0\r\n\r\n"):
            yield piece
            tail = (tail + piece)[-8:]
            piece = self.connection.recv(1 << 20)
        yield piece

    def leave(self) -> None:
        self.connection.close()

    def until(self, mark: bytes) -> bytes:
        while not self.spare.startswith(mark) and b"\r\n" + mark not in self.spare:
            self._more()
        end = self.spare.index(mark) if self.spare.startswith(mark) else self.spare.index(b"\r\n" + mark) + 2
        body, self.spare = self.spare[: end + len(mark)], self.spare[end + len(mark) :]
        return body

    def until_closed(self) -> bytes:
        while data := self.connection.recv(65_536):
            self.spare += data
        body, self.spare = self.spare, b""
        return body

    def _more(self) -> None:
        data = self.connection.recv(65_536)
        if not data:
            raise ConnectionError(f"closed after {self.spare!r}")
        self.spare += data


@contextmanager
def wire_to(port: int) -> Iterator[Wire]:
    """Open a connection to a server on this machine while the block lasts."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", port))
        yield Wire(connection=connection)


def post(path: str, body: bytes) -> bytes:
    """Return the bytes of a POST."""
    return b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (
        path.encode(),
        len(body),
        body,
    )
