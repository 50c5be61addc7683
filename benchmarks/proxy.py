"""Measure the data plane beside nginx and its peers: rates, streams, a crowd, large bodies, clients that leave.

All ways go to one upstream, in interleaved rounds of one run; figures are medians, ratios are taken round by round.
The load tools (small C programs) keep both ends out of the way; ``wrk`` makes the requests. What is missing on a
machine is left out, and it is said so.

    python -m benchmarks.proxy LOAD_TOOLS [--peers ENVIRONMENT] [--rounds 5] [--seconds 3] [--only PART ...] [--json]

Parts: rates, chunks, streams, crowd, bodies, leaving.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import sys
import tempfile
import time
from operator import truediv
from pathlib import Path
from typing import cast

import uvloop

from benchmarks import loads
from benchmarks.programs import Cores, built_load_tools, free_port, pin, python_part, running
from benchmarks.ways import Way, open_ways, play_ltmld

PARTS = ("rates", "chunks", "streams", "crowd", "bodies", "leaving")
LEAVINGS = 100
Figures = dict[str, dict[str, float]]


class LeavingUpstream(asyncio.Protocol):
    """Answers a chat after its wait, token by token, and notes when a connection went away."""

    open = 0
    last_gone_ns = 0
    transport: asyncio.Transport
    _streaming = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports only look like one

    def data_received(self, data: bytes) -> None:
        """Answer; a request of these tools arrives in one piece."""
        if data.startswith(b"GET /stats"):
            said = {"open": LeavingUpstream.open, "last_gone_ns": LeavingUpstream.last_gone_ns}
            body = json.dumps(said).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        elif b"/api/chat" not in data:  # what is asked about the model
            self.transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
        else:
            self._streaming = True
            LeavingUpstream.open += 1
            if b"-60000" not in data:  # the wait: no head, as Ollama while it loads a model
                self.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                self._token()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why changes nothing
        """Note the time."""
        if self._streaming:
            self._streaming = False
            LeavingUpstream.open -= 1
            LeavingUpstream.last_gone_ns = time.monotonic_ns()

    def _token(self) -> None:
        if self._streaming:
            self.transport.write(b'1f\r\n{"message":{"content":"word"}}\n\r\n')
            asyncio.get_running_loop().call_later(0.02, self._token)


async def _play_leaving(port: int) -> None:
    await asyncio.get_running_loop().create_server(LeavingUpstream, "127.0.0.1", port)
    await asyncio.Event().wait()


# --- the parts of the run ---


def rates(ways: list[Way], arguments: argparse.Namespace, cores: Cores, folder: Path) -> Figures:
    """Return requests a second: one request over and over, heads never seen before, and whole chats."""
    scripts = {"same head": None, "varied heads": folder / "varied.lua", "chat": folder / "chat.lua"}
    (folder / "varied.lua").write_text(loads.VARIED, encoding="utf-8")
    (folder / "chat.lua").write_text(loads.POSTED % loads.WHOLE_CHAT, encoding="utf-8")
    able = [way for way in ways if "/api/version" in way.paths]
    figures: Figures = {way.name: {} for way in able}
    for kind, script in scripts.items():
        path = "/api/chat" if kind == "chat" else "/api/version"
        measured: dict[str, list[float]] = {way.name: [] for way in able}
        for _ in range(arguments.rounds):
            for way in able:
                rate = loads.requests_a_second(
                    way.port, path, seconds=arguments.seconds, cores=cores.others, script=script
                )
                measured[way.name].append(rate)
        for name, values in measured.items():
            figures[name][kind] = round(statistics.median(values))
            if "nginx" in measured:
                ratios = map(truediv, values, measured["nginx"])
                figures[name][f"{kind}, of nginx"] = round(statistics.median(ratios), 3)
    return figures


def chunks(ways: list[Way], arguments: argparse.Namespace, _cores: Cores, _folder: Path) -> Figures:
    """Return the time to the first token of one stream at a time, and what each way adds to the direct one."""
    able = [way for way in ways if "/api/chat" in way.paths]
    times = loads.first_chunks(
        {way.name: way.port for way in able}, path="/api/chat", count=arguments.streams
    )
    openai = [way for way in ways if way.name in ("direct", "LiteLLM")]
    if len(openai) > 1:
        ports = {way.name: way.port for way in openai}
        slow = loads.first_chunks(ports, path="/v1/chat/completions", count=50)
        times |= {"direct, /v1": slow["direct"], "LiteLLM": slow["LiteLLM"]}
    figures: Figures = {}
    for name, values in times.items():
        direct = times["direct, /v1"] if name == "LiteLLM" else times["direct"]
        figures[name] = {
            "p50 ms": round(statistics.median(values), 3),
            "p99 ms": round(loads.percentile(values, 0.99), 3),
            "added p50 ms": round(statistics.median(values) - statistics.median(direct), 3),
        }
    return figures


def streams(ways: list[Way], arguments: argparse.Namespace, cores: Cores, folder: Path) -> Figures:
    """Return how long a token takes, 64 streams at 5 ms a token, and what each way adds."""
    able = [way for way in ways if "/api/chat" in way.paths]
    delays: dict[str, list[float]] = {way.name: [] for way in able}
    first: dict[str, list[float]] = {way.name: [] for way in able}
    for _ in range(arguments.rounds):
        for way in able:
            figures = loads.streams(
                str(folder / "sload"),
                way.port,
                path="/api/chat",
                tokens=200,
                delay_us=5000,
                count=64,
                cores=cores.others,
            )
            delays[way.name].append(figures["lat_p50_us"] / 1000)
            first[way.name].append(figures["ttfc_p50_us"] / 1000)
    direct = delays["direct"]
    return {
        name: {
            "token p50 ms": round(statistics.median(values), 3),
            "added p50 ms": round(statistics.median(a - b for a, b in zip(values, direct, strict=True)), 3),
            "first token p50 ms": round(statistics.median(first[name]), 3),
        }
        for name, values in delays.items()
    }


def crowd(ways: list[Way], arguments: argparse.Namespace, _cores: Cores, _folder: Path) -> Figures:
    """Return what became of 1,000 streams held for a minute through the whole daemon, and through the plane alone."""
    held = {}
    for way in ways:
        if way.name.startswith("ltmld"):
            held[way.name] = dict(
                uvloop.run(loads.crowd(way.port, count=1000, seconds=arguments.held, delay_ms=100))
            )
    return {name: {key: float(value) for key, value in row.items()} for name, row in held.items()}


def bodies(ways: list[Way], _arguments: argparse.Namespace, _cores: Cores, _folder: Path) -> Figures:
    """Return by how many megabytes a way grew while 200 MB went by."""
    figures: Figures = {}
    for way in ways:
        if not way.pid or "/api/chat" not in way.paths:
            continue
        loads.download_growth(way.port, way.pid, mebibytes=50, stall_s=0)  # the first one loads code
        grown = {
            "down MB": loads.download_growth(way.port, way.pid, mebibytes=200, stall_s=0),
            "down, reader stalls MB": loads.download_growth(way.port, way.pid, mebibytes=200, stall_s=1.5),
            "up MB": loads.upload_growth(way.port, way.pid, mebibytes=200),
        }
        figures[way.name] = {key: round(value / 1e6, 2) for key, value in grown.items()}
    return figures


def leaving(_ways: list[Way], arguments: argparse.Namespace, cores: Cores, folder: Path) -> Figures:
    """Return how soon the upstream is left after the client has gone, before and after the first byte."""
    port = free_port()
    command = python_part("benchmarks.proxy", "leaving", port)
    with running(command, port=port, cores=cores.others):
        inside = folder / "leaving"
        inside.mkdir()
        with open_ways(upstream=port, cores=cores, folder=inside, peers=arguments.peers) as ways:
            return {way.name: _left(way, port) for way in ways if "/api/chat" in way.paths}


def _left(way: Way, stats_port: int) -> dict[str, float]:
    row = {}
    for name, before in (("before the first byte", True), ("after it", False)):
        times: list[float] = []
        while len(times) < LEAVINGS and math.inf not in times:
            times.append(loads.leaving(way.port, stats_port, path="/api/chat", before_first_byte=before))
        noticed = math.inf not in times
        row[f"{name}, p50 ms"] = round(statistics.median(times), 2) if noticed else math.inf
        row[f"{name}, p99 ms"] = round(loads.percentile(times, 0.99), 2) if noticed else math.inf
    return row


RUNS = {
    "rates": rates,
    "chunks": chunks,
    "streams": streams,
    "crowd": crowd,
    "bodies": bodies,
    "leaving": leaving,
}


def measure(arguments: argparse.Namespace) -> dict[str, Figures]:
    """Run the parts that were asked for and that this machine can run."""
    cores = Cores.of_this_machine()
    pin(os.getpid(), cores.others)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tools = built_load_tools(arguments.load_tools, folder)
        if not tools:
            raise SystemExit(
                f"{arguments.load_tools} has no load tools, or there is no C compiler: nothing to measure with."
            )
        wanted = [part for part in arguments.only or PARTS if part != "rates" or loads.has_wrk()]
        if not loads.has_wrk():
            print("wrk is not installed: rates are left out.", file=sys.stderr)
        upstream = free_port()
        with (
            running([tools["upstream"], str(upstream)], port=upstream, cores=cores.others),
            open_ways(upstream=upstream, cores=cores, folder=folder, peers=arguments.peers) as ways,
        ):
            return {part: RUNS[part](ways, arguments, cores, folder) for part in wanted}


def report(figures: dict[str, Figures]) -> None:
    """Print a table for each part."""
    for part, rows in figures.items():
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        print(f"\n{part}: {RUNS[part].__doc__}")
        print("| way | " + " | ".join(columns) + " |")
        print("|---|" + "---|" * len(columns))
        for name, row in rows.items():
            print(
                f"| {name} | "
                + " | ".join(f"{row.get(column, float('nan')):,g}" for column in columns)
                + " |"
            )


def main() -> None:
    """Measure and print, or play one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("load_tools", type=Path, nargs="?", help="folder of the load tools' sources")
    parser.add_argument(
        "--peers", type=Path, help="a Python environment with litellm[proxy], fastapi, uvicorn, httpx"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="length of one round of requests")
    parser.add_argument("--streams", type=int, default=400, help="first chunks a way")
    parser.add_argument("--held", type=float, default=60.0, help="seconds that the crowd of streams is held")
    parser.add_argument("--only", nargs="+", choices=PARTS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--play", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.play:
        _play(*arguments.play)
        return
    if arguments.load_tools is None:
        parser.error("say where the load tools are")
    figures = measure(arguments)
    if arguments.json:
        print(json.dumps(figures))
    else:
        report(figures)


def _play(role: str, *numbers: str) -> None:
    if role == "leaving":
        uvloop.run(_play_leaving(int(numbers[0])))
    else:
        uvloop.run(play_ltmld(int(numbers[0]), int(numbers[1]), tap=role == "tap"))


if __name__ == "__main__":
    main()
