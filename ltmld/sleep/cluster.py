"""Cluster: find the memories of one scope that belong together.

The numbers are worked out in a spawned process (``labels``), one at a time, gone when it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as LabelsTimeoutError
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from time import monotonic
from typing import Any

from ltmld.core.memory import Memory, MemoryKind, MemoryState
from ltmld.core.ports import Embedder
from ltmld.sleep.asking import Halted
from ltmld.sleep.labels import label, yield_to_others

SIZE_MIN = 3
TIMEOUT_S = 300.0
GLANCE_S = 0.25
BATCH = 64


def clusterable(memories: Sequence[Memory]) -> list[Memory]:
    """Return the memories that may be clustered: active ones that are no lessons, in a fixed order."""
    fit = (
        memory
        for memory in memories
        if memory.kind is not MemoryKind.LESSON and memory.state is MemoryState.ACTIVE
    )
    return sorted(fit, key=lambda memory: memory.id)


def vectors(memories: Sequence[Memory], embedder: Embedder) -> Any:
    """Return the vectors of *memories* as one float32 array of shape ``(len(memories), dimension)``.

    Raises:
        EmbedderError: the model cannot be loaded or run.
    """
    import numpy as np  # noqa: PLC0415 - the daemon starts without it

    parts = [
        embedder.embed([memory.text for memory in memories[start : start + BATCH]])
        for start in range(0, len(memories), BATCH)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, embedder.dimension), dtype=np.float32)


def labels(
    rows: Any,
    *,
    size_min: int = SIZE_MIN,
    timeout_s: float = TIMEOUT_S,
    halted: Callable[[], bool] = lambda: False,
) -> list[int] | None:
    """Return a cluster label for each row, worked out in another process; ``None`` when that process failed.

    Raises:
        Halted: *halted* said so while the process worked.
    """
    if len(rows) < size_min + 1:
        return [-1] * len(rows)
    pool = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"), initializer=yield_to_others)
    others = set(active_children())
    found: list[int] | None = None
    try:
        found = _awaited(pool.submit(label, rows, size_min), timeout_s, halted)
    except (BrokenProcessPool, LabelsTimeoutError, MemoryError):
        found = None
    finally:
        if found is None:
            # Nobody wants its answer any more, and this process could not end before it.
            for child in set(active_children()) - others:
                child.kill()
        pool.shutdown(wait=found is not None, cancel_futures=True)
    return found


def _awaited(future: Future[list[int]], timeout_s: float, halted: Callable[[], bool]) -> list[int]:
    end = monotonic() + timeout_s
    while True:
        try:
            return future.result(timeout=min(GLANCE_S, max(0.0, end - monotonic())))
        except LabelsTimeoutError:
            if halted():
                raise Halted from None
            if monotonic() >= end:
                raise


def clusters(
    memories: Sequence[Memory], numbers: Sequence[int], *, size_min: int = SIZE_MIN
) -> list[tuple[str, ...]]:
    """Return the memory ids of each cluster of at least *size_min*, in a fixed order."""
    groups: dict[int, list[str]] = {}
    for memory, number in zip(memories, numbers, strict=True):
        if number >= 0:
            groups.setdefault(number, []).append(memory.id)
    return sorted(tuple(sorted(ids)) for ids in groups.values() if len(ids) >= size_min)
