"""The loads on the data plane: requests, streams, first chunks, a crowd of streams, large bodies, clients that leave.

Each takes the port of one way and returns plain figures; times in milliseconds unless a name says otherwise.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import shutil
import socket
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.programs import pin

CONNECTIONS = 64
TOKEN = re.compile(rb'"T(\d{16})"')
MEBIBYTE = 1024 * 1024

CHAT = '{"model":"f-%d-%d-%d","messages":[{"role":"user","content":"Hello there"}],"stream":%s}'
WHOLE_CHAT = CHAT % (1, 0, 0, "false")

VARIED = """
local n = 0
request = function()
  n = n + 1
  return "GET /api/version HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nX-Request-Id: " .. n .. "\\r\\n\\r\\n"
end
"""
POSTED = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '%s'
"""


# --- requests a second ---


def requests_a_second(
    port: int, path: str, *, seconds: int, cores: frozenset[int], script: Path | None = None
) -> float:
    """Return the rate of ``wrk`` at 64 kept-alive connections; errors end the run."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://127.0.0.1:{port}{path}"]
    if script is not None:
        command += ["-s", str(script)]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    pin(load.pid, cores)
    said, _ = load.communicate()
    if re.search(r"Non-2xx|Socket errors", said):
        raise SystemExit(f"the load on {path} met errors:\n{said}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if rate is None:
        raise SystemExit(f"the load on {path} said nothing:\n{said}")
    return float(rate[1])


def has_wrk() -> bool:
    """Tell whether the tool for requests is installed."""
    return shutil.which("wrk") is not None


# --- streams ---


def streams(
    sload: str, port: int, *, path: str, tokens: int, delay_us: int, count: int, cores: frozenset[int]
) -> Mapping[str, float]:
    """Return what ``sload`` says about *count* streams, 64 at a time; microseconds, as its names say."""
    body = CHAT % (tokens, delay_us, 0, "true")
    command = [sload, str(port), path, str(CONNECTIONS), str(count), body, str(tokens), "120"]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    pin(load.pid, cores)
    said, _ = load.communicate()
    figures: dict[str, float] = json.loads(said)
    if figures["errs"]:
        raise SystemExit(f"the load on {path} met errors:\n{said}")
    return figures


def first_chunks(ports: Mapping[str, int], *, path: str, count: int) -> dict[str, list[float]]:
    """Return the times to the first token, *count* of each way; the ways take turns request by request."""
    body = (CHAT % (2, 1000, 0, "true")).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    ways = {name: socket.create_connection(("127.0.0.1", port)) for name, port in ports.items()}
    for way in ways.values():
        way.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    times: dict[str, list[float]] = {name: [] for name in ports}
    for turn in range(count + 20):
        for name, way in ways.items():
            took = _first_chunk(way, head.encode() + body)
            if turn >= 20:  # the first ones warm up connections and code
                times[name].append(took * 1000)
    for way in ways.values():
        way.close()
    return times


def _first_chunk(way: socket.socket, request: bytes) -> float:
    started = time.perf_counter()
    way.sendall(request)
    received = way.recv(65536)
    while b'"T' not in received:
        received += way.recv(65536)
    took = time.perf_counter() - started
    while not received.endswith(b"0\r\n\r\n"):
        received += way.recv(65536)
    return took


# --- a crowd ---


async def crowd(port: int, *, count: int, seconds: float, delay_ms: int) -> dict[str, int]:
    """Hold *count* streams at once; return how many ended whole, were lost, were out of order."""
    tokens = round(seconds * 1000 / delay_ms)
    body = (CHAT % (tokens, delay_ms * 1000, 0, "true")).encode()
    streams_held = [_held(port, body, tokens, index) for index in range(count)]
    outcomes = await asyncio.gather(*streams_held)
    return {name: outcomes.count(name) for name in ("whole", "lost", "reordered")} | {
        "tokens": tokens * count
    }


async def _held(port: int, body: bytes, tokens: int, index: int) -> str:
    await asyncio.sleep(index * 0.002)  # a listener's backlog is not what is measured
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /api/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    count, last, ordered, tail = 0, 0, True, b""
    try:
        while not tail.endswith(b"0\r\n\r\n"):
            data = await reader.read(65536)
            if not data:
                return "lost"
            received = tail + data
            seen = [int(stamp) for stamp in TOKEN.findall(received)]
            cut = max(received.rfind(b'"T'), len(received) - 24)
            ended = [match.end() for match in TOKEN.finditer(received)]
            tail = received[max([cut, *ended]) :] if not received.endswith(b"0\r\n\r\n") else b"0\r\n\r\n"
            ordered = ordered and seen == sorted(seen) and (not seen or seen[0] >= last)
            count, last = count + len(seen), seen[-1] if seen else last
    except OSError:
        return "lost"
    finally:
        writer.close()
    if count != tokens:
        return "lost"
    return "whole" if ordered else "reordered"


# --- large bodies ---


def resident_bytes(pid: int) -> int:
    """Return how much memory a process holds now."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def download_growth(port: int, pid: int, *, mebibytes: int, stall_s: float) -> int:
    """Return by how many bytes the proxy grew while a client read a large answer; *stall_s*: after resting once."""
    before = resident_bytes(pid)
    peak = before
    with _asked(port, f"GET /blob/{mebibytes} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()) as client:
        received = len(client.recv(65536))
        if stall_s:
            time.sleep(stall_s)  # all buffers between the two ends fill up meanwhile
            peak = max(peak, resident_bytes(pid))
        while received < mebibytes * MEBIBYTE:
            received += len(client.recv(MEBIBYTE))
            peak = max(peak, resident_bytes(pid)) if received % 7 == 0 else peak
    return max(peak, resident_bytes(pid)) - before


def upload_growth(port: int, pid: int, *, mebibytes: int) -> int:
    """Return by how many bytes the proxy grew while a client sent a large body."""
    before = resident_bytes(pid)
    peak, piece = before, bytes(MEBIBYTE)
    head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {mebibytes * MEBIBYTE}\r\n\r\n"
    with _asked(port, head.encode()) as client:
        for _ in range(mebibytes):
            client.sendall(piece)
            peak = max(peak, resident_bytes(pid))
        client.recv(65536)
    return max(peak, resident_bytes(pid)) - before


@contextmanager
def _asked(port: int, request: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(request)
        yield client


# --- clients that leave ---


def leaving(port: int, stats_port: int, *, path: str, before_first_byte: bool) -> float:
    """Return how long after a client's leaving its connection to the upstream was closed; infinite: it was not."""
    wait_ms = 60_000 if before_first_byte else 0
    body = (CHAT % (10_000, 20_000, wait_ms, "true")).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    gone_before = int(stats(stats_port)["last_gone_ns"])
    with _asked(port, head + body) as client:
        if before_first_byte:
            _until(lambda: int(stats(stats_port)["open"]) > 0)
        else:
            client.recv(1024)
        left_at = time.monotonic_ns()
    try:
        _until(lambda: int(stats(stats_port)["last_gone_ns"]) > gone_before, seconds=5.0)
    except SystemExit:
        return math.inf
    return (int(stats(stats_port)["last_gone_ns"]) - left_at) / 1e6


def stats(port: int) -> dict[str, int]:
    """Ask the played upstream what it has seen."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats") as answer:
        counted: dict[str, int] = json.load(answer)
        return counted


def _until(condition: object, seconds: float = 10.0) -> None:
    assert callable(condition)  # noqa: S101 - a plain callable; typing it costs more lines than it says
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the upstream never saw what it waited for")
        time.sleep(0.001)


def percentile(values: list[float], share: float) -> float:
    """Return one percentile by linear interpolation."""
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]
