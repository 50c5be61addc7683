"""A reverse proxy such as people put before Ollama: https, a path of its own, and virtual hosts."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BASE_PATH = "/team/ollama"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """One request as the front saw it."""

    path: str
    host: str
    agent: str


class Front(ThreadingHTTPServer):
    """Serves what lies under ``BASE_PATH`` from the Ollama at *port*."""

    daemon_threads = True

    def __init__(self, port: int, identity: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.socket = identity.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.upstream_port = port
        self.passed: list[Passed] = []
        self.url = f"https://localhost:{self.server_port}{BASE_PATH}"


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def do_GET(self) -> None:
        """Pass one request on, and its answer back."""
        seen = Passed(
            path=self.path, host=self.headers.get("Host", ""), agent=self.headers.get("User-Agent", "")
        )
        self.server.passed.append(seen)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.startswith(f"{BASE_PATH}/"):
            self._answer(404, "text/plain", b"not mine")
            return
        behind = http.client.HTTPConnection("127.0.0.1", self.server.upstream_port, timeout=30)
        try:
            path = self.path.removeprefix(BASE_PATH)
            behind.request(self.command, path, body, {"Content-Type": "application/json"})
            answer = behind.getresponse()
            self._answer(answer.status, answer.getheader("Content-Type", ""), answer.read())
        finally:
            behind.close()

    def do_POST(self) -> None:
        """Pass it on likewise."""
        self.do_GET()

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Write nothing."""


@contextmanager
def running_front(port: int, identity: ssl.SSLContext) -> Iterator[Front]:
    """Run a front for the time of a ``with`` block."""
    with Front(port, identity) as front:
        thread = threading.Thread(target=front.serve_forever, daemon=True)
        thread.start()
        try:
            yield front
        finally:
            front.shutdown()
            thread.join()
