"""Measure what memory costs: the daemon's start and size, and the first chunk of a stream with recall on.

    python benchmarks/daemon.py [--memories 10000] [--requests 300] [--pause-ms 250] [--json FILE]

Fills a data folder with made-up memories, starts ``ltmld serve`` on it as a person would, and talks through it to an
upstream that answers at once, so that what is left is ltmld's own time. Rows of one run compare with each other: each
request is made directly and through ltmld in turn. Every conversation is new, so each request recalls from scratch.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ltmld.admin.token import read
from ltmld.cli.client import RemoteControl
from ltmld.config import Settings
from ltmld.core.memory import Memory, MemoryKind, Source
from ltmld.core.proposal import Learn
from ltmld.daemon.clock import new_id
from ltmld.daemon.house import House
from ltmld.errors import DaemonAbsentError
from ltmld.ledger.imports import ImportLine

NAMES = ("Ana", "Ben", "Carla", "Deniz", "Emil", "Fatma", "Goran", "Hana", "Ivo", "Jana")
THINGS = (
    "violin",
    "bicycle",
    "garden",
    "novel",
    "bakery",
    "kitchen",
    "telescope",
    "canoe",
    "orchard",
    "workshop",
)
DEEDS = (
    "bought",
    "repaired",
    "sold",
    "painted",
    "lent",
    "inherited",
    "photographed",
    "lost",
    "found",
    "admired",
)
PLACES = ("Lisbon", "Trieste", "Ankara", "Oslo", "Zagreb", "Porto", "Leeds", "Bergen", "Graz", "Lyon")
READY_WITHIN_S = 120.0
SEED = 7


def main() -> None:
    """Run everything and print the tables."""
    options = _options()
    if options.upstream:
        asyncio.run(_upstream())
        return
    with tempfile.TemporaryDirectory(prefix="ltmld-bench-") as folder, _upstream_apart() as upstream:
        data_dir = Path(folder) / "data"
        filled_s = fill(data_dir, count=options.memories)
        print(f"{options.memories:,} memories written and indexed in {filled_s:.0f} s\n", flush=True)
        with serving(data_dir, upstream=upstream) as (port, start):
            rows = measure(upstream, port, requests=options.requests, pause_s=options.pause_ms / 1000)
            start["resident after talking, MB"] = resident_mb(start.pop("pid"))
    print(_start_table(start))
    print(_latency_table(rows))
    if options.json:
        Path(options.json).write_text(json.dumps({"start": start, "first_chunk_ms": rows}, indent=2))


def fill(data_dir: Path, *, count: int) -> float:
    """Put *count* memories, and a message for every ten, into a new ledger and its index; return the seconds."""
    began = time.perf_counter()
    sentences = list(_sentences(count))
    start = datetime(2025, 1, 1, tzinfo=UTC)
    house = House.open(Settings(data_dir=data_dir))
    try:
        house.ledger.import_messages(
            [
                ImportLine(
                    scope="default",
                    thread=f"thread-{number // 50}",
                    at=start + timedelta(minutes=number),
                    role="user",
                    text=sentence,
                    ref=f"m{number}",
                )
                for number, sentence in enumerate(sentences[::10])
            ]
        )
        _learn(house, sentences)
        while house.feeder.drain():
            pass
    finally:
        house.close()
    return time.perf_counter() - began


def _learn(house: House, sentences: Sequence[str]) -> None:
    cycle = house.ledger.begin_cycle(
        scope="default", depth="nap", trigger="benchmark", model="", dry_run=False
    )
    messages = house.ledger.ungathered("default", limit=len(sentences))
    memories = (
        Memory(
            id=new_id("mem"),
            scope="default",
            kind=MemoryKind.FACT,
            text=sentence,
            sources=(Source(message_id=messages[number // 10].id, quote=messages[number // 10].text),),
            recorded_at=messages[number // 10].at,
        )
        for number, sentence in enumerate(sentences)
    )
    house.ledger.apply(cycle, "extract", [Learn(memory=memory) for memory in memories], {})
    house.ledger.end_cycle(cycle, state="completed", report={})


def _sentences(count: int) -> Iterator[str]:
    draw = random.Random(SEED)
    for number in range(count):
        name, thing, deed, place = (draw.choice(words) for words in (NAMES, THINGS, DEEDS, PLACES))
        yield f"{name} {deed} a {thing} in {place} in {1990 + number % 36}, number {number}."


@contextmanager
def serving(data_dir: Path, *, upstream: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Run ``ltmld serve`` and yield its port and what its start took."""
    port, admin = _free_port(), _free_port()
    began = time.perf_counter()
    daemon = subprocess.Popen(
        [sys.executable, "-m", "ltmld", "serve"],
        env={
            **os.environ,
            "LTMLD_DATA_DIR": str(data_dir),
            "LTMLD_LISTEN": f"127.0.0.1:{port}",
            "LTMLD_ADMIN_LISTEN": f"127.0.0.1:{admin}",
            "LTMLD_UPSTREAM": f"http://127.0.0.1:{upstream}",
            "LTMLD_LOG_LEVEL": "error",
        },
    )
    try:
        _until_answers(port, "/api/version", daemon)
        answered_s = time.perf_counter() - began
        _until_ready(admin, data_dir, daemon)
        ready_s = time.perf_counter() - began
        time.sleep(2)  # what the start left over is put away; nothing is waited for
        start: dict[str, float] = {
            "first pass-through answer, s": answered_s,
            "memory ready, s": ready_s,
            "resident when idle, MB": resident_mb(daemon.pid),
            "pid": daemon.pid,
        }
        yield port, start
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)


def measure(direct: int, through: int, *, requests: int, pause_s: float) -> dict[str, list[float]]:
    """Return milliseconds to the first chunk for each way, request by request in turn."""
    draw = random.Random(SEED + 1)
    rows: dict[str, list[float]] = {
        "direct": [],
        "through ltmld, first turn": [],
        "through ltmld, second turn": [],
    }
    with closing(Line(direct)) as plain, closing(Line(through)) as proxied:
        for number in range(requests + 20):
            name, thing, place = draw.choice(NAMES), draw.choice(THINGS), draw.choice(PLACES)
            first = f"Question {number}: what did {name} do with the {thing} in {place}?"
            said = [{"role": "user", "content": first}]
            again = [
                *said,
                {"role": "assistant", "content": "Yes."},
                {
                    "role": "user",
                    "content": f"And {number}: what about {draw.choice(NAMES)}'s {draw.choice(THINGS)}?",
                },
            ]
            taken = []
            for line, asked in ((plain, said), (proxied, said), (proxied, again)):
                time.sleep(pause_s)  # people pause; what was just said is indexed meanwhile
                taken.append(line.first_chunk_ms(asked))
            if number >= 20:  # the first ones warm caches on both ways
                for row, value in zip(rows.values(), taken, strict=True):
                    row.append(value)
    return rows


class Line:
    """One kept-alive connection that asks and times the first chunk of each answer."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def first_chunk_ms(self, messages: list[dict[str, str]]) -> float:
        """Ask, and return the milliseconds to the first byte of the answer's body."""
        body = json.dumps({"model": "instant", "messages": messages}).encode()
        head = f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        began = time.perf_counter()
        self._socket.sendall(head + body)
        seen, first = b"", 0.0
        while not seen.endswith(b"0\r\n\r\n"):
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionError(f"the answer ended early: {seen[-200:]!r}")
            seen += piece
            if not first and b'"content"' in seen:
                first = time.perf_counter()
        return (first - began) * 1000


async def _upstream() -> None:
    """Answer at once: a streamed chat of two chunks, and enough of the rest for ltmld to know the model."""
    server = await asyncio.start_server(_answer_all, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    said = b'{"model":"instant","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"Yes."},'
    stream = b"".join(
        b"%x\r\n%s\r\n" % (len(line), line)
        for line in (said + b'"done":false}\n', said + b'"done":true,"done_reason":"stop"}\n')
    )
    chat = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    known = b'{"version":"0.0.0","models":[],"capabilities":["completion"],"model_info":{},"details":{}}'
    plain = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(known),
        known,
    )
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if lengths:
                await reader.readexactly(int(lengths[0].split(b":")[1]))
            writer.write(chat + stream + b"0\r\n\r\n" if b"/api/chat " in head else plain)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@contextmanager
def _upstream_apart() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, __file__, "--upstream"], stdout=subprocess.PIPE, text=True
    ) as upstream:
        if upstream.stdout is None:
            raise AssertionError("it was opened as a pipe")
        try:
            yield int(upstream.stdout.readline())
        finally:
            upstream.terminate()


def _until_answers(port: int, path: str, daemon: subprocess.Popen[bytes]) -> None:
    ends = time.perf_counter() + READY_WITHIN_S
    while time.perf_counter() < ends and daemon.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=READY_WITHIN_S) as line:
                line.sendall(
                    f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
                )
                if line.recv(65536).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.005)  # a poll, and the resolution of the number
    raise SystemExit(f"nothing answers on port {port}")


def _until_ready(port: int, data_dir: Path, daemon: subprocess.Popen[bytes]) -> None:
    """Wait until the daemon says that memory is ready."""
    ends = time.perf_counter() + READY_WITHIN_S
    while time.perf_counter() < ends and daemon.poll() is None:
        try:
            if RemoteControl("127.0.0.1", port, token=read(data_dir)).status()["memory"] == "ready":
                return
        except DaemonAbsentError:
            pass
        time.sleep(0.005)  # a poll, and the resolution of the number
    raise SystemExit("memory did not get ready")


def resident_mb(pid: float) -> float:
    """Return the resident memory of a process in MB, 0 where the system does not tell (Linux does)."""
    status = Path(f"/proc/{pid:.0f}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS:")), 0.0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start_table(start: dict[str, float]) -> str:
    return "\n".join(
        ("| daemon | |", "|---|---|", *(f"| {name} | {value:.2f} |" for name, value in start.items()), "")
    )


def _latency_table(rows: dict[str, list[float]]) -> str:
    base = statistics.median(rows["direct"])
    lines = ["| first chunk, ms | p50 | p95 | p99 | added p50 |", "|---|---|---|---|---|"]
    for name, values in rows.items():
        cuts = statistics.quantiles(values, n=100)
        lines.append(
            f"| {name} | {cuts[49]:.2f} | {cuts[94]:.2f} | {cuts[98]:.2f} | {cuts[49] - base:+.2f} |"
        )
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what memory costs.")
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--pause-ms", type=float, default=250.0, help="pause before each request")
    parser.add_argument("--json", default="", help="write the numbers here as well")
    parser.add_argument("--upstream", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
