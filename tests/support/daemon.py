"""A real ``ltmld serve`` in a process of its own, on free ports and a folder of the test."""

from __future__ import annotations

import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# Generous: a cold start on a loaded machine; the measured times are in docs/benchmarks.md.
PATIENCE_S = 60.0


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Daemon:
    """One daemon; ``with`` starts it and stops it with SIGTERM."""

    def __init__(self, data_dir: Path, *, upstream: str, models: Path | None = None, **env: str) -> None:
        self.data_dir = data_dir
        self.port, self.admin_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin_url = f"http://127.0.0.1:{self.admin_port}"
        self.env = {
            **os.environ,
            "LTMLD_DATA_DIR": str(data_dir),
            "LTMLD_CONFIG_DIR": str(data_dir / "config"),
            "LTMLD_LISTEN": f"127.0.0.1:{self.port}",
            "LTMLD_ADMIN_LISTEN": f"127.0.0.1:{self.admin_port}",
            "LTMLD_UPSTREAM": upstream,
            **env,
        }
        if models is not None and not (data_dir / "models").exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            (data_dir / "models").symlink_to(models)
        self.lines: list[str] = []
        self._events: queue.Queue[str | None] = queue.Queue()
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start it without waiting for anything."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ltmld", "serve"], env=self.env, stderr=subprocess.PIPE, text=True
        )
        self._listener = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self._listener.start()
        return self

    def wait_for(self, event: str) -> str:
        """Return the next log line that names *event*; fail when the daemon ends before."""
        while True:
            line = self._events.get(timeout=PATIENCE_S)
            if line is None:
                raise AssertionError(f"the daemon ended before {event!r}:\n" + "".join(self.lines))
            if event in line:
                return line

    def __enter__(self) -> Self:
        """Start it and wait until memory is warm and the control plane answers."""
        self.start()
        try:
            self.wait_for("control.listening")
            self._until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it as a service would."""
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it and return its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        self._listener.join(PATIENCE_S)
        return status

    def said(self) -> str:
        """Wait for the daemon's own end and return everything it wrote."""
        assert self.process is not None
        self.process.wait(PATIENCE_S)
        self._listener.join(PATIENCE_S)
        return "".join(self.lines)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Call the control plane; *body* may be bytes (NDJSON) or anything that JSON can say."""
        token = (self.data_dir / "admin.token").read_text().strip()
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=PATIENCE_S)
        try:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def sleep(self, **request: Any) -> dict[str, Any]:
        """Run a sleep cycle to its end and return what ``/api/sleeps/{id}`` says of it."""
        status, started = self.call("POST", "/api/sleep", request)
        assert status == 202, started
        while True:
            _, cycle = self.call("GET", f"/api/sleeps/{started['id']}")
            if cycle["state"] not in ("queued", "waiting", "running"):
                return dict(cycle)
            threading.Event().wait(0.05)

    def _until_ready(self) -> None:
        pause = threading.Event()
        for _ in range(int(PATIENCE_S / 0.05)):
            if self.call("GET", "/api/status")[1]["memory"] != "preparing":
                return
            pause.wait(0.05)
        raise AssertionError("memory did not get ready")

    def settle(self) -> None:
        """Wait until the index has taken everything that the ledger holds."""
        pause = threading.Event()
        for _ in range(int(PATIENCE_S / 0.05)):
            if not self.call("GET", "/api/status")[1]["ledger"]["outbox_depth"]:
                return
            pause.wait(0.05)
        raise AssertionError("the index did not catch up with the ledger")

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self.lines.append(line)
                self._events.put(line)
        self._events.put(None)


@contextmanager
def running_daemon(data_dir: Path, *, upstream: str, **more: Any) -> Iterator[Daemon]:
    """Run a daemon for the time of a ``with`` block."""
    with Daemon(data_dir, upstream=upstream, **more) as daemon:
        yield daemon
