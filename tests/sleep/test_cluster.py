"""Promise: memories that belong together are found in another process, and this one never loads scikit-learn."""

from __future__ import annotations

import sys
from multiprocessing import active_children
from threading import Event

import numpy as np
import pytest

from ltmld.core.memory import MemoryKind, MemoryState
from ltmld.sleep.asking import Halted
from ltmld.sleep.cluster import clusterable, clusters, labels, vectors
from tests.support.ledgers import a_memory
from tests.support.nights import WordEmbedder

THEMES = {
    "pottery": ["makes pottery bowls", "makes pottery cups", "makes pottery plates", "makes pottery vases"],
    "running": ["runs marathon races", "runs charity races", "runs hill races", "runs short races"],
}


def test_themes_are_found_and_scikit_learn_stays_out_of_this_process() -> None:
    memories = clusterable(
        [
            a_memory(text, id=f"mem-{theme}-{place}")
            for theme, texts in THEMES.items()
            for place, text in enumerate(texts)
        ]
        + [a_memory("Quite another thing altogether", id="mem-alone")]
    )
    numbers = labels(vectors(memories, WordEmbedder()))
    assert numbers is not None
    found = clusters(memories, numbers)
    assert [{memory_id.split("-")[1] for memory_id in ids} for ids in found] == [{"pottery"}, {"running"}]
    assert "sklearn" not in sys.modules


def test_lessons_and_what_has_left_recall_are_not_clustered() -> None:
    lesson = a_memory(id="mem-1", kind=MemoryKind.LESSON)
    faded = a_memory(id="mem-2", state=MemoryState.FADED)
    assert clusterable([lesson, faded, a_memory(id="mem-3")]) == [a_memory(id="mem-3")]


def test_too_few_memories_need_no_process() -> None:
    assert labels(np.zeros((3, 4), dtype=np.float32)) == [-1, -1, -1]
    assert clusters([a_memory()], [-1]) == []
    assert vectors([], WordEmbedder()).shape == (0, WordEmbedder.dimension)


def test_a_process_that_is_not_done_in_time_costs_the_clusters_and_no_more() -> None:
    assert labels(np.eye(9, dtype=np.float32), timeout_s=0.0) is None


def test_a_stop_does_not_wait_for_the_process_and_leaves_none_behind() -> None:
    before = set(active_children())
    with pytest.raises(Halted):
        labels(np.eye(9, dtype=np.float32), halted=lambda: True)
    rounds, tick = 0, Event()
    while set(active_children()) - before and rounds < 100:
        tick.wait(0.1)
        rounds += 1
    assert set(active_children()) <= before
