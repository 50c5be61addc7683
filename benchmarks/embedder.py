"""Measure what int8 weights cost and bring: cosine to float32, recall lost, time a query, memory resident.

    python -m benchmarks.embedder [FILE...] [--json OUT]

Compares the embedder that serves (ONNX, int8) with the sentence-transformers model (PyTorch, float32): on one query,
and, where FILEs of conversations are given (see ``recall.py``), on their messages and questions, by the evidence among
the ten messages nearest by cosine alone. Each side runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recall import MODELS
from benchmarks.talks import ADVERSARIAL, read
from ltmld.models.embedder import MiniLmEmbedder
from ltmld.models.export import weights_folder

QUERY = "When did Caroline go to the support group?"
ROUNDS = 50
NEAREST = 10


def main() -> None:
    """Run both sides, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="*", type=Path)
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side", choices=("int8", "float32"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        json.dump(one_side(options.side, options.file, options.models), sys.stdout)
        return
    MiniLmEmbedder(options.models).load()
    sides = {side: apart(side, options.file, options.models) for side in ("int8", "float32")}
    one, other = (np.array(sides[side].pop("vectors")) for side in ("int8", "float32"))
    cosines = (one * other).sum(axis=1)
    sides["both"] = {
        "texts": len(cosines),
        "cosine_mean": round(float(cosines.mean()), 4),
        "cosine_least": round(float(cosines.min()), 4),
    }
    for side, values in sides.items():
        print(f"{side:8}", "  ".join(f"{name} {value}" for name, value in values.items()))
    if options.json:
        options.json.write_text(json.dumps(sides, indent=1), "utf-8")


def apart(side: str, files: Sequence[Path], models: Path) -> dict[str, Any]:
    """Run one side in a process of its own and return what it measured."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.embedder",
            "--side",
            side,
            "--models",
            str(models),
            *map(str, files),
        ],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def one_side(side: str, files: Sequence[Path], models: Path) -> dict[str, Any]:
    """Measure one side in this process."""
    started = time.perf_counter()
    embed = _int8(models) if side == "int8" else _float32()
    embed([QUERY])
    result: dict[str, Any] = {"start_s": round(time.perf_counter() - started, 2)}
    result["query_ms_p50"] = round(statistics.median(_times_ms(embed, [QUERY])), 1)
    result["resident_mb"] = _resident_mb()
    result["texts_32_ms_p50"] = round(statistics.median(_times_ms(embed, [QUERY * 2] * 32, rounds=10)), 1)
    vectors, found = [embed([QUERY])], []
    for conversation in (item for path in files for item in read(path)):
        messages = embed([line.text for line in conversation.lines])
        asked = [question for question in conversation.questions if question.category != ADVERSARIAL]
        nearest = np.argsort(-(embed([question.text for question in asked]) @ messages.T), axis=1)[
            :, :NEAREST
        ]
        for question, places in zip(asked, nearest, strict=True):
            refs = {conversation.lines[int(place)].ref for place in places}
            found.append(len(refs & question.evidence) / len(question.evidence))
        vectors.append(messages)
    if found:
        result[f"recall@{NEAREST}"] = round(statistics.mean(found), 4)
    return {**result, "vectors": np.concatenate(vectors).round(5).tolist()}


def _times_ms(
    embed: Callable[[Sequence[str]], Any], texts: Sequence[str], *, rounds: int = ROUNDS
) -> list[float]:
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        embed(texts)
        took.append(1000 * (time.perf_counter() - started))
    return took


def _int8(models: Path) -> Callable[[Sequence[str]], Any]:
    return MiniLmEmbedder(models).embed


def _float32() -> Callable[[Sequence[str]], Any]:
    import torch  # noqa: PLC0415 - only on this side
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - only on this side

    torch.set_num_threads(2)
    model = SentenceTransformer(str(weights_folder()), device="cpu")
    return lambda texts: model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)


def _resident_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


if __name__ == "__main__":
    main()
