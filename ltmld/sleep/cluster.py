"""Cluster: find the memories of one scope that belong together.

The numbers are worked out in a spawned process (``labels``), one at a time, gone when it is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as LabelsTimeoutError
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from ltmld.core.memory import Memory, MemoryKind, MemoryState
from ltmld.core.ports import Embedder
from ltmld.sleep.labels import label, yield_to_others

SIZE_MIN = 3
TIMEOUT_S = 300.0
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


def labels(rows: Any, *, size_min: int = SIZE_MIN, timeout_s: float = TIMEOUT_S) -> list[int] | None:
    """Return a cluster label for each row, worked out in another process; ``None`` when that process failed."""
    if len(rows) < size_min + 1:
        return [-1] * len(rows)
    pool = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"), initializer=yield_to_others)
    found: list[int] | None = None
    try:
        found = pool.submit(label, rows, size_min).result(timeout=timeout_s)
    except (BrokenProcessPool, LabelsTimeoutError, MemoryError):
        found = None
    finally:
        # A process that hangs is not waited for: it runs at low priority and ends with its work.
        pool.shutdown(wait=found is not None, cancel_futures=True)
    return found


def clusters(
    memories: Sequence[Memory], numbers: Sequence[int], *, size_min: int = SIZE_MIN
) -> list[tuple[str, ...]]:
    """Return the memory ids of each cluster of at least *size_min*, in a fixed order."""
    groups: dict[int, list[str]] = {}
    for memory, number in zip(memories, numbers, strict=True):
        if number >= 0:
            groups.setdefault(number, []).append(memory.id)
    return sorted(tuple(sorted(ids)) for ids in groups.values() if len(ids) >= size_min)
