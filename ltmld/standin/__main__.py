"""``python -m ltmld.standin``: run the stand-in until it is interrupted."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from ltmld.errors import LtmldError
from ltmld.standin.server import StandIn


def main() -> int:
    """Listen, say where, and wait for a signal."""
    options = _options()
    try:
        standin = StandIn(
            host=options.host,
            port=options.port,
            facts=options.facts,
            token_delay_s=options.token_delay_ms / 1000,
            models=options.models,
            system=options.system,
        )
        asyncio.run(_serve(standin))
    except LtmldError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ltmld.standin",
        description="A stand-in for Ollama: speaks its dialects, answers from what its prompt holds, is no model.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=11434, help="port to listen on; 0 takes a free one")
    parser.add_argument(
        "--facts", type=Path, nargs="*", default=[], help="facts files that play the extraction model"
    )
    parser.add_argument(
        "--models", nargs="+", default=["stand-in:latest"], help="names of the models it says it has"
    )
    parser.add_argument("--system", default="", help="SYSTEM of their Modelfile")
    parser.add_argument("--token-delay-ms", type=float, default=0.0, help="time that a token takes")
    return parser.parse_args()


async def _serve(standin: StandIn) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stopped.set)
    async with standin:
        sys.stdout.write(f"A stand-in for Ollama (no model) listens on {standin.url}\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    sys.exit(main())
