"""A Chroma server as people run it: ``chroma run``, on a free port, with its own folder."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.daemon import free_port

READY_WITHIN_S = 60.0


class ChromaRun:
    """The program, which can be stopped and started again on the same port and folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._program: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        chroma = Path(sys.executable).with_name("chroma")
        self._program = subprocess.Popen(
            [chroma, "run", "--path", self.folder, "--host", "127.0.0.1", "--port", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < end:
            try:
                if httpx.get(f"{self.url}/api/v2/heartbeat", timeout=1.0).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.02)
        raise TimeoutError("chroma run does not answer")

    def stop(self) -> None:
        """Stop it."""
        if self._program is not None:
            self._program.kill()
            self._program.wait(10)
            self._program = None


@contextmanager
def running_chroma(folder: Path) -> Iterator[ChromaRun]:
    """Run a server for the time of a test."""
    chroma = ChromaRun(folder)
    chroma.start()
    try:
        yield chroma
    finally:
        chroma.stop()


@contextmanager
def deaf_port() -> Iterator[int]:
    """Yield a port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
