"""A real ``ltmld serve`` for the demo: a process of its own, on free ports, in a folder that goes away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import platformdirs

from ltmld.admin.token import read
from ltmld.cli.client import RemoteControl
from ltmld.errors import DaemonAbsentError

# The first start on a machine exports the embedder, which takes most of a minute on a slow one.
_START_S_MAX = 240.0
_STOP_S_MAX = 20.0
_LOOK_S = 0.05


class DemoDaemon:
    """One ltmld on one data folder; started, stopped and started again."""

    def __init__(self, folder: Path, *, upstream: str) -> None:
        self.data_dir = folder / "data"
        self.port, self._admin_port = _free_port(), _free_port()
        self._log = folder / "ltmld.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("LTMLD_")} | {
            "LTMLD_DATA_DIR": str(self.data_dir),
            "LTMLD_CONFIG_DIR": str(folder / "config"),
            "LTMLD_LISTEN": f"127.0.0.1:{self.port}",
            "LTMLD_ADMIN_LISTEN": f"127.0.0.1:{self._admin_port}",
            "LTMLD_UPSTREAM": upstream,
        }
        self.data_dir.mkdir(mode=0o700)
        self._borrow_embedder()

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def control(self) -> RemoteControl:
        """Its control plane."""
        return RemoteControl("127.0.0.1", self._admin_port, token=read(self.data_dir))

    @property
    def embedder_ready(self) -> bool:
        """Whether the embedder was exported before."""
        return any((self.data_dir / "models").glob("*"))

    def start(self) -> float:
        """Start it, wait until memory is ready, and return the seconds that took.

        Raises:
            DaemonAbsentError: it ended, or did not get ready.
        """
        begun = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ltmld", "serve"], env=self._env, stdout=log, stderr=log
            )
        while not self._ready(self._process.pid):
            if self._process.poll() is not None or time.monotonic() - begun > _START_S_MAX:
                raise DaemonAbsentError(
                    f"The demo's ltmld did not get ready. Its last words: {self._last_words()}"
                )
            time.sleep(_LOOK_S)
        return time.monotonic() - begun

    def stop(self) -> None:
        """Stop it as systemd would, and wait for its end."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ready(self, pid: int) -> bool:
        try:
            control = self.control
            return control.pid() == pid and control.status()["memory"] == "ready"
        except DaemonAbsentError:
            return False

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "none"

    def _borrow_embedder(self) -> None:
        """Keep the exported embedder where ``ltmld serve`` will look for it, so that it is made once."""
        home = os.environ.get("LTMLD_DATA_DIR") or platformdirs.user_data_dir("ltmld", appauthor=False)
        models = Path(home).expanduser().absolute() / "models"
        try:
            models.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            models.mkdir(exist_ok=True)
            (self.data_dir / "models").symlink_to(models)
        except OSError:
            return  # a home that cannot be written: the export goes with the demo's folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
