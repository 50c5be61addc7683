"""One ltmld at a time owns a data folder; the lock goes with the process, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from ltmld.errors import FolderInUseError, LedgerError

_LOOK_AGAIN_S = 0.05


class FolderLock:
    """An advisory lock on ``<data>/ltmld.lock``, taken at once, within *wait_s* seconds, or not at all."""

    def __init__(self, folder: Path, *, wait_s: float = 0) -> None:
        """Take the lock, making the folder if need be.

        Raises:
            LedgerError: the folder cannot be made or written.
            FolderInUseError: another process holds it.
        """
        self.path = folder / "ltmld.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerError(
                f"The data folder {folder} cannot be written ({error.strerror}). "
                "Give yourself the right to it, or choose another with LTMLD_DATA_DIR."
            ) from error
        try:
            self._take(time.monotonic() + wait_s)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise FolderInUseError(
                f"Another ltmld (process {holder}) works on {folder}. "
                "Stop it first, or choose another folder with LTMLD_DATA_DIR."
            ) from error
        # Naming the holder is a courtesy: a full disk must not keep the daemon from serving.
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def _take(self, until: float) -> None:
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_LOOK_AGAIN_S)
            else:
                return

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
