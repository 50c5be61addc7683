"""Measure recall as memory grows: the real ledger, index and ranking, at 10,000 to 1,000,000 messages in one scope.

    python -m benchmarks.index [--counts 10000 100000 1000000] [--folder DIR] [--queries 300] [--json FILE]

The text is made by a word-frequency model: pseudo-words by Zipf's law among English function words, so that queries
meet frequent and rare words as real ones do. Vectors are not embedded, which would take hours: each text has a seeded
random unit vector near one of 2,000 centers. Embedding a real query takes 2 to 4 ms more. With ``--folder`` what was
built is kept and measured again; a folder that was left half built is finished.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from ltmld.config import WakeSettings
from ltmld.daemon.clock import new_id, utc_now
from ltmld.index.index import LocalIndex
from ltmld.index.words import STOP_WORDS
from ltmld.ledger.imports import ImportLine
from ltmld.ledger.ledger import Ledger
from ltmld.wake.feeder import Feeder
from ltmld.wake.recall import HybridRecall

WORDS = 60_000
# Zipf and Mandelbrot: the most frequent word of all that are no function words is in a quarter of the messages.
FLATNESS = 8.0
CENTERS = 2_000
DIMENSION = 384
NAMES = 200
THREAD = 50
CHUNK = 5_000
SCOPE = "s"
BARS = {10_000: None, 100_000: (8.0, 25.0), 1_000_000: (30.0, 120.0)}


class Clustered:
    """An embedder that costs nothing: texts have places of their own, near one of many centers."""

    name, dimension = "clustered/1", DIMENSION

    def __init__(self) -> None:
        self._centers = np.random.default_rng(1).standard_normal((CENTERS, DIMENSION)).astype(np.float32)

    def embed(self, texts: Sequence[str]) -> Any:
        """Return unit vectors."""
        rows = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            seed = crc32(text.encode())
            noise = np.random.default_rng(seed).standard_normal(DIMENSION, dtype=np.float32)
            row[:] = self._centers[seed % CENTERS] + 0.8 * noise
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Language:
    """Words and how often they come."""

    def __init__(self) -> None:
        draw = random.Random(7)
        syllables = [first + then for first in "bdfgklmnprstvz" for then in "aeiou"]
        words: dict[str, None] = {}
        while len(words) < WORDS:
            middle = "".join(draw.choice(syllables) for _ in range(draw.randint(2, 4)))
            words[middle + draw.choice(["", "n", "r", "s", "t", "k"])] = None
        self._words = np.array(list(words))
        self._stops = np.array(sorted(STOP_WORDS))
        weights = 1.0 / (np.arange(WORDS) + FLATNESS)
        self._reach = (weights / weights.sum()).cumsum()

    def telling(self, draw: np.random.Generator, count: int) -> list[str]:
        """Return *count* words that tell something."""
        places = np.searchsorted(self._reach, draw.random(count)).clip(max=WORDS - 1)
        return [str(word) for word in self._words[places]]

    def sentence(self, draw: np.random.Generator, *, least: int, most: int) -> str:
        """Return a sentence: one function word for every two that tell."""
        words = self.telling(draw, int(draw.integers(least, most)))
        words += [str(word) for word in draw.choice(self._stops, len(words) // 2)]
        draw.shuffle(words)
        return " ".join(words) + "..?!"[int(draw.integers(4))]


def main() -> None:
    """Build each size and measure it."""
    options = _options()
    rows = []
    with tempfile.TemporaryDirectory(prefix="ltmld-bench-") as scratch:
        for count in options.counts:
            folder = Path(options.folder or scratch) / str(count)
            rows.append(measured(folder, count=count, queries=options.queries))
            print(json.dumps(rows[-1]), flush=True)
    print(_table(rows))
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2))


def measured(folder: Path, *, count: int, queries: int) -> dict[str, Any]:
    """Build a scope of *count* messages, unless it is there, and return what recall takes."""
    language = Language()
    began = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    ledger = Ledger.open(folder, clock=utc_now, new_id=new_id, queue_max=64)
    index = LocalIndex(folder / "index", Clustered())
    feeder = Feeder(ledger, index)
    try:
        _fill(ledger, feeder, language, have=index.count(SCOPE), count=count)
        built_s = time.perf_counter() - began
        recall = HybridRecall(
            ledger=ledger, index=index, settings=WakeSettings(), candidates=100, clock=utc_now
        )
        row = {"items": index.count(SCOPE), "built_s": round(built_s)} | _timed(
            recall, index, language, queries
        )
        recall.close()
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        return row | {"resident_mb": round(_resident_mb())}
    finally:
        index.close()
        ledger.close()


def _fill(ledger: Ledger, feeder: Feeder, language: Language, *, have: int, count: int) -> None:
    for start in range(have - have % CHUNK, count, CHUNK):
        draw = np.random.default_rng(start)
        ledger.import_messages(list(_lines(language, draw, start, min(CHUNK, count - start))))
        while feeder.drain(1024):
            pass
        if start % 50_000 == 0:
            print(f"  {start:,} of {count:,}", flush=True)


def _lines(language: Language, draw: np.random.Generator, start: int, count: int) -> Iterator[ImportLine]:
    first = datetime(2020, 1, 1, tzinfo=UTC)
    for number in range(start, start + count):
        yield ImportLine(
            scope=SCOPE,
            thread=f"thread-{number // THREAD}",
            at=first + timedelta(minutes=number),
            role="user" if number % 2 else "assistant",
            text=language.sentence(draw, least=6, most=40),
            name=f"Person{number // THREAD % NAMES}" if number % 2 else "",
            ref=f"m{number}",
        )


def _timed(recall: HybridRecall, index: LocalIndex, language: Language, queries: int) -> dict[str, float]:
    draw = np.random.default_rng(11)
    asked = [language.sentence(draw, least=2, most=9) for _ in range(queries + 20)]
    took: dict[str, list[float]] = {"recall": [], "lexical": [], "semantic": []}
    for query in asked:
        for name, ask in (
            ("recall", lambda: recall.recall(query, scope=SCOPE)),  # noqa: B023 - asked at once
            ("lexical", lambda: index.lexical(query, scope=SCOPE, limit=30)),  # noqa: B023 - as above
            ("semantic", lambda: index.semantic(query, scope=SCOPE, limit=30)),  # noqa: B023 - as above
        ):
            began = time.perf_counter()
            ask()
            took[name].append(1000 * (time.perf_counter() - began))
    found: dict[str, float] = {}
    for name, times in took.items():
        # The first twenty warm the caches.
        hundredths = statistics.quantiles(times[20:], n=100)
        found |= {f"{name}_p50": round(hundredths[49], 2), f"{name}_p99": round(hundredths[98], 2)}
    return found


def _resident_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def _table(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["| items | recall p50 | p99 | asked | lexical p50 | p99 | semantic p50 | p99 | resident |"]
    lines.append("|---" * 9 + "|")
    for row in rows:
        bar = BARS.get(row["items"])
        asked = f"{bar[0]:.0f} / {bar[1]:.0f} ms" if bar else ""
        times = [
            f"{row[f'{name}_{part}']:.1f} ms"
            for name in ("recall", "lexical", "semantic")
            for part in ("p50", "p99")
        ]
        first, rest = " | ".join(times[:2]), " | ".join(times[2:])
        lines.append(f"| {row['items']:,} | {first} | {asked} | {rest} | {row['resident_mb']} MB |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", nargs="+", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", help="keep what is built here")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
