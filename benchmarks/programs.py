"""The programs of a benchmark: started on cores of their own, awaited, stopped.

Where a machine has two cores or more, what is measured runs on the first of them, and load and upstream on the others.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LOAD_SOURCES = ("upstream.c", "sload.c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Which cores the measured programs run on, and which everything else."""

    mine: frozenset[int]
    others: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Cores:
        """Split the cores that this process may use."""
        available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
        mine = frozenset(available[:1])
        return cls(mine=mine, others=frozenset(available[1:]) or mine)


def pin(pid: int, cores: frozenset[int]) -> None:
    """Let a process run on *cores* only, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, cores)


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: list[str],
    *,
    port: int,
    cores: frozenset[int],
    wait_s: float = 10.0,
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Run a server on *cores* until it is no longer needed; give its process id."""
    served = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=None if os.environ.get("BENCH_DEBUG") else subprocess.DEVNULL,
    )
    pin(served.pid, cores)
    try:
        _wait_for(port, served, seconds=wait_s)
        yield served.pid
    finally:
        served.terminate()
        try:
            served.wait(20)
        except subprocess.TimeoutExpired:
            served.kill()
            served.wait()


def python_part(module: str, role: str, *values: object) -> list[str]:
    """Return the command that plays one part of a benchmark in a process of its own."""
    return [sys.executable, "-m", module, "--play", role, *map(str, values)]


def found(program: str) -> str | None:
    """Return where a program is; servers often live outside a user's path."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


def built_load_tools(sources: Path, folder: Path) -> dict[str, str]:
    """Compile the load tools; empty when there is no compiler or no source.

    The tools are small C programs, so that neither end of the proxy is what is measured.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not all((sources / name).is_file() for name in LOAD_SOURCES):
        return {}
    tools = {}
    for name in LOAD_SOURCES:
        tool = folder / Path(name).stem
        subprocess.run([compiler, "-O2", "-o", str(tool), str(sources / name)], check=True)
        tools[tool.name] = str(tool)
    return tools


def _wait_for(port: int, served: subprocess.Popen[bytes], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if served.poll() is not None:
                raise SystemExit(f"{served.args!r} ended at once: it cannot be measured") from None
            if time.monotonic() > deadline:
                raise SystemExit(f"{served.args!r} did not listen within {seconds:g} s") from None
            time.sleep(0.02)
        else:
            return
