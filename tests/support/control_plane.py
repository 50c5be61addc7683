"""A control plane on a free port, served by uvicorn in a thread, and a client that speaks plain HTTP to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI

TOKEN = "a-token-for-tests-0123456789-abcdefghij"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; *json* is its body where that is JSON."""

    status: int
    headers: Mapping[str, str]
    json: Any


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls one control plane, with its token unless told otherwise."""

    port: int
    token: str = TOKEN

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
    ) -> Answer:
        """Send one request; *body* is JSON unless it is bytes already."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {self.token}"} if authorized else {}),
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, data, sent | dict(headers or {}))
            reply = connection.getresponse()
            content = reply.read()
            return Answer(reply.status, dict(reply.getheaders()), json.loads(content) if content else None)
        finally:
            connection.close()


@contextlib.contextmanager
def serving(app: FastAPI) -> Iterator[int]:
    """Serve *app* on a free port and yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        # The socket listens already: the first connection waits in its queue until the server takes it.
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
