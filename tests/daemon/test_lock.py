"""One ltmld at a time owns a data folder, and a message says who and what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ltmld.daemon.lock import FolderLock
from ltmld.errors import FolderInUseError, LedgerError

HOLD = "import sys; from pathlib import Path; from ltmld.daemon.lock import FolderLock\n\
lock = FolderLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(FolderInUseError, match=f"process {os.getpid()}.*LTMLD_DATA_DIR"):
        FolderLock(tmp_path)
    lock.release()
    FolderLock(tmp_path).release()


def test_the_lock_goes_with_a_killed_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(FolderInUseError):
            FolderLock(tmp_path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    FolderLock(tmp_path).release()


def test_a_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LedgerError, match=r"file.* cannot be written .*LTMLD_DATA_DIR"):
        FolderLock(tmp_path / "file" / "data")


def test_a_daemon_waits_for_a_command_that_only_looks(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    looking = threading.Timer(0.2, lock.release)
    looking.start()
    FolderLock(tmp_path, wait_s=30).release()
    looking.join()
