"""Measure what passing through ltmld costs: requests a second, and the first chunk of a stream.

Three ways to the same upstream, in interleaved rounds of one run: direct, through nginx, through ltmld (the
real ``Proxy`` in a process of its own on uvloop, without memory). Printed are medians; ratios are taken round by round.

- Requests a second: ``wrk``, 64 kept-alive connections, a small JSON answer given by a second nginx; once with one
  and the same request over and over (heads that were seen before are not read again), once with a header that
  differs in every request. Without
  ``wrk`` or nginx their parts are played in Python, which is slower than what is measured: it is said so.
- First chunk: one kept-alive connection asks for a stream; the time from sending the request to having its
  first chunk. The ways take turns request by request, so that all of them meet the same noise.

Where there are two cores or more, the proxies run on one and everything else on the others.

    python benchmarks/passthrough.py [--rounds 5] [--seconds 3] [--streams 400] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from operator import truediv
from pathlib import Path
from typing import cast

import uvloop

from ltmld.config import ProxySettings
from ltmld.proxy.server import Proxy

CONNECTIONS = 64
TOKENS = 4
TARGET_OF_NGINX = 0.5
TARGET_FIRST_CHUNK_MS = 0.5
VERSION = b'{"version":"0.33.0"}'
ASK = b'POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n{"model":"x","messages":[{"a":"b"}]}    '

VARIED = """
local n = 0
request = function()
  n = n + 1
  return "GET /api/version HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nX-Request-Id: " .. n .. "\\r\\n\\r\\n"
end
"""

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; default_type application/json; keepalive_requests 100000000; server_tokens off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  {servers}
}}
"""
STATIC = "server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 200 '{body}'; }} }}"
PASSING = """
upstream up{port} {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}
server {{ listen 127.0.0.1:{port} backlog=1024; location / {{
  proxy_pass http://up{port}; proxy_http_version 1.1; proxy_set_header Connection "";
  proxy_buffering off; proxy_request_buffering off; }} }}
"""


# --- the parts played in processes of their own ---


class StreamServer(asyncio.Protocol):
    """Answers any POST with a stream of tokens at once, anything else with a small JSON."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports only look like one

    def data_received(self, data: bytes) -> None:
        """Answer; a request of these tools arrives in one piece."""
        if not data.startswith(b"POST"):
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(VERSION), VERSION))
            return
        line = b'{"message":{"content":"word"},"done":false}\n'
        chunk = b"%x\r\n%b\r\n" % (len(line), line)
        self.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)
        asyncio.get_running_loop().call_later(
            0.001, self.transport.write, chunk * (TOKENS - 1) + b"0\r\n\r\n"
        )


async def _play_upstream(port: int) -> None:
    await asyncio.get_running_loop().create_server(StreamServer, "127.0.0.1", port)
    await asyncio.Event().wait()


async def _play_ltmld(port: int, upstream: int) -> None:
    proxy = Proxy(upstream=("127.0.0.1", upstream), settings=ProxySettings())
    await proxy.start("127.0.0.1", port)
    await asyncio.Event().wait()


class LoadClient(asyncio.Protocol):
    """Asks again as soon as it is answered."""

    answered = 0
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first time."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports only look like one
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Count, and ask again."""
        if data.endswith(VERSION):
            LoadClient.answered += 1
            self._ask()

    def _ask(self) -> None:
        self.transport.write(b"GET /api/version HTTP/1.1\r\nHost: x\r\n\r\n")


async def _play_load(port: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(LoadClient, "127.0.0.1", port)
    before, started = LoadClient.answered, time.perf_counter()
    await asyncio.sleep(seconds)
    rate = (LoadClient.answered - before) / (time.perf_counter() - started)
    print(f"Requests/sec: {rate:.1f}")


# --- starting them ---


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], *, port: int, cores: set[int]) -> Iterator[None]:
    """Run a server on *cores* until it is no longer needed."""
    served = subprocess.Popen(command)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(served.pid, cores)
    try:
        _wait_for(port)
        yield
    finally:
        served.terminate()
        served.wait()


def _wait_for(port: int, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _part(role: str, *numbers: float) -> list[str]:
    return [sys.executable, __file__, "--play", role, *map(str, numbers)]


def _nginx(program: str, folder: Path, servers: str) -> list[str]:
    folder.mkdir()
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, servers=servers), encoding="utf-8")
    return [program, "-c", str(file), "-p", str(folder), "-e", str(folder / "error.log")]


# --- measuring ---


def requests_a_second(port: int, *, seconds: float, cores: set[int], varied: bool = False) -> float:
    """Return the rate at 64 connections; *varied*: every request has a head of its own (only with wrk)."""
    wrk = shutil.which("wrk")
    if wrk:
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", f"http://127.0.0.1:{port}/api/version"]
        if varied:
            with tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False) as script:
                script.write(VARIED)
            command += ["-s", script.name]
    else:
        command = _part("load", port, seconds)
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(load.pid, cores)
    said, _ = load.communicate()
    if re.search(r"Non-2xx|Socket errors", said):
        raise SystemExit(f"the load met errors:\n{said}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None:
        raise SystemExit(f"the load said nothing:\n{said}")
    return float(found[1])


def first_chunks(ports: dict[str, int], *, count: int) -> dict[str, list[float]]:
    """Return the milliseconds to the first chunk, *count* of each way, taking turns."""
    ways = {name: socket.create_connection(("127.0.0.1", port)) for name, port in ports.items()}
    for way in ways.values():
        way.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    times: dict[str, list[float]] = {name: [] for name in ports}
    for turn in range(count + 20):
        for name, way in ways.items():
            took = _one_stream(way)
            if turn >= 20:  # the first ones warm up connections and code
                times[name].append(took * 1000)
    for way in ways.values():
        way.close()
    return times


def _one_stream(way: socket.socket) -> float:
    started = time.perf_counter()
    way.sendall(ASK)
    received = way.recv(65536)
    while b"}\n" not in received:
        received += way.recv(65536)
    took = time.perf_counter() - started
    while not received.endswith(b"0\r\n\r\n"):
        received += way.recv(65536)
    return took


@contextlib.contextmanager
def serving(nginx: str | None, *, mine: set[int], others: set[int]) -> Iterator[dict[str, tuple[int, int]]]:
    """Run everything; give for each way its port for requests and its port for streams."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        small, stream = free_port(), free_port()
        static = STATIC.format(port=small, body=VERSION.decode())
        command = _nginx(nginx, folder / "upstream", static) if nginx else _part("upstream", small)
        stack.enter_context(running(command, port=small, cores=others))
        stack.enter_context(running(_part("upstream", stream), port=stream, cores=others))
        ways = {"direct": (small, stream)}
        if nginx:
            ways["nginx"] = ports = (free_port(), free_port())
            servers = "".join(
                PASSING.format(port=port, upstream=up)
                for port, up in zip(ports, (small, stream), strict=True)
            )
            stack.enter_context(running(_nginx(nginx, folder / "proxy", servers), port=ports[0], cores=mine))
        ways["ltmld"] = ports = (free_port(), free_port())
        for port, up in zip(ports, (small, stream), strict=True):
            stack.enter_context(running(_part("ltmld", port, up), port=port, cores=mine))
        yield ways


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Run everything; return the figures of each way."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    for name, found in (("nginx", nginx), ("wrk", shutil.which("wrk"))):
        if not found:
            print(f"{name} is not installed: its part is left out, or played in Python.", file=sys.stderr)
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    mine, others = {available[0]}, set(available[1:]) or {available[0]}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, others)
    with serving(nginx, mine=mine, others=others) as ways:
        rates: dict[str, list[float]] = {way: [] for way in ways}
        varied: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(arguments.rounds):
            for way, (port, _) in ways.items():
                rates[way].append(requests_a_second(port, seconds=arguments.seconds, cores=others))
                rate = requests_a_second(port, seconds=arguments.seconds, cores=others, varied=True)
                varied[way].append(rate)
        times = first_chunks({way: port for way, (_, port) in ways.items()}, count=arguments.streams)
    rows = {way: _figures(rates[way], rates["direct"], rates.get("nginx"), times[way]) for way in ways}
    for way, row in rows.items():
        row["varied_requests_per_s"] = round(statistics.median(varied[way]))
        if nginx:
            row["varied_of_nginx"] = round(statistics.median(map(truediv, varied[way], varied["nginx"])), 3)
    return rows


def _figures(
    rates: list[float], direct: list[float], nginx: list[float] | None, times: list[float]
) -> dict[str, float]:
    """Return one row; ratios are medians over rounds, each against the same round's other rate."""
    row = {
        "requests_per_s": round(statistics.median(rates)),
        "of_direct": round(statistics.median(map(truediv, rates, direct)), 3),
        "first_chunk_p50_ms": round(statistics.median(times), 3),
        "first_chunk_p99_ms": round(statistics.quantiles(times, n=100)[98], 3),
    }
    if nginx:
        row["of_nginx"] = round(statistics.median(map(truediv, rates, nginx)), 3)
    return row


def report(figures: dict[str, dict[str, float]]) -> None:
    """Print the table, and what it says about the targets."""
    print(f"{'':8} {'requests/s':>12} {'of direct':>10} {'of nginx':>10} {'first chunk p50':>16} {'p99':>10}")
    for way, row in figures.items():
        of_nginx = f"{row['of_nginx']:10.2f}" if "of_nginx" in row else f"{'-':>10}"
        print(
            f"{way:8} {row['requests_per_s']:12,.0f} {row['of_direct']:10.2f} {of_nginx} "
            f"{row['first_chunk_p50_ms']:13.3f} ms {row['first_chunk_p99_ms']:7.3f} ms"
        )
    ltmld = figures["ltmld"]
    added = ltmld["first_chunk_p50_ms"] - figures["direct"]["first_chunk_p50_ms"]
    print(f"\nfirst chunk through ltmld: {added:+.3f} ms p50 (target: at most +{TARGET_FIRST_CHUNK_MS} ms)")
    if "of_nginx" in ltmld:
        print(
            f"requests/s of nginx at {CONNECTIONS} connections: {ltmld['of_nginx']:.2f} "
            f"(target: at least {TARGET_OF_NGINX})"
        )
        print(
            f"the same when no head was seen before: {ltmld['varied_requests_per_s']:,.0f}/s, "
            f"{ltmld['varied_of_nginx']:.2f} of nginx"
        )


def main() -> None:
    """Measure and print, or play one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one round of requests")
    parser.add_argument("--streams", type=int, default=400, help="streams a way")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--play", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.play:
        figures = measure(arguments)
        if arguments.json:
            print(json.dumps(figures))
        else:
            report(figures)
        return
    role, *numbers = arguments.play
    if role == "upstream":
        uvloop.run(_play_upstream(int(numbers[0])))
    elif role == "ltmld":
        uvloop.run(_play_ltmld(int(numbers[0]), int(numbers[1])))
    else:
        uvloop.run(_play_load(int(numbers[0]), float(numbers[1])))


if __name__ == "__main__":
    main()
