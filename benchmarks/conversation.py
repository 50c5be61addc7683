"""Talk a whole LoCoMo conversation through the data plane, put it to sleep, and ask its questions.

    python -m benchmarks.conversation LOCOMO_FILE [--id conv-26] [--facts FACTS_FILE] [--recall-bench SCRIPT]

One speaker's lines are sent as requests of a client that resends its whole history, as clients do; the other's lines
are what the stand-in answers. Each session is a thread of its own, at the session's date. Then the stand-in plays the
extraction model of one sleep cycle with the facts file, and the questions are asked through ``/api/recall``: the
numbers are printed by SCRIPT (``recall_bench.py --skip-import``), before the night and after it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ltmld.standin.server import running_standin
from tests.support.daemon import Daemon

MODEL = "stand-in:latest"
# LoCoMo gives one time a session; its lines are set this far apart, as the independent check sets them.
STEP = timedelta(seconds=20)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a session."""

    speaker: str
    text: str
    ref: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Session:
    """One sitting of two people."""

    name: str
    lines: tuple[Line, ...]


def sessions(conversation: dict[str, Any]) -> Iterator[Session]:
    """Yield the sessions of a LoCoMo conversation in order."""
    names = [name for name in conversation if name.startswith("session_") and not name.endswith("date_time")]
    for name in sorted(names, key=lambda name: int(name.split("_")[1])):
        began = datetime.strptime(conversation[f"{name}_date_time"], "%I:%M %p on %d %B, %Y").replace(
            tzinfo=UTC
        )
        yield Session(
            name=name,
            lines=tuple(
                Line(speaker=turn["speaker"], text=_words(turn), ref=turn["dia_id"], at=began + place * STEP)
                for place, turn in enumerate(conversation[name])
            ),
        )


def talk(
    daemon: Daemon, script: dict[str, str], session: Session, *, thread: str, scope: str, user: str
) -> int:
    """Say every line of *session* through the data plane; return how many requests it took."""
    history: list[dict[str, str]] = []
    unsent: list[str] = []
    requests = 0
    lines = list(session.lines)
    other = next((line.speaker for line in lines if line.speaker != user), "assistant")
    for place, line in enumerate(lines):
        role = "user" if line.speaker == user else "assistant"
        history.append({"role": role, "content": line.text})
        unsent.append(line.ref)
        if role == "assistant":
            continue
        answer = lines[place + 1] if place + 1 < len(lines) and lines[place + 1].speaker != user else None
        script["next"] = answer.text if answer else ""
        headers = {
            "X-LTMLD-Scope": scope,
            "X-LTMLD-Thread": thread,
            "X-LTMLD-User-Name": quote(user),
            "X-LTMLD-Assistant-Name": quote(other),
            "X-LTMLD-Refs": " ".join([*unsent, *([answer.ref] if answer else [])]),
            "X-LTMLD-At": line.at.isoformat(),
        }
        if _chat(daemon, history, headers) != script["next"]:
            raise SystemExit(f"{line.ref}: the answer came out of the data plane changed")
        requests += 1
        unsent = []
        if answer:
            history.append({"role": "assistant", "content": answer.text})
            lines.pop(place + 1)
    return requests


def _chat(daemon: Daemon, messages: list[dict[str, str]], headers: dict[str, str]) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    try:
        body = json.dumps({"model": MODEL, "messages": messages})
        connection.request("POST", "/api/chat", body, {"Content-Type": "application/json", **headers})
        pieces = [json.loads(line) for line in connection.getresponse().read().splitlines()]
        return "".join(piece["message"]["content"] for piece in pieces)
    finally:
        connection.close()


def ask(daemon: Daemon, *, script: Path, data: list[dict[str, Any]], folder: Path) -> str:
    """Ask the questions with the independent check and return what it printed."""
    file = folder / "one.json"
    file.write_text(json.dumps(data))
    token = daemon.data_dir / "admin.token"
    command = [sys.executable, str(script), "--admin", daemon.admin_url, "--token-file", str(token)]
    command += ["--skip-import", str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _words(turn: dict[str, Any]) -> str:
    caption = turn.get("blip_caption")
    return str(turn["text"]) + (f" [shares a photo: {caption}]" if caption else "")


def run(options: argparse.Namespace, folder: Path) -> None:
    """Talk, ask, sleep, ask."""
    data = [one for one in json.loads(options.file.read_text()) if one["sample_id"] == options.id]
    if not data:
        raise SystemExit(f"{options.file} holds no conversation {options.id}")
    script: dict[str, str] = {"next": ""}
    facts = [options.facts] if options.facts else []
    with (
        running_standin(
            facts=facts, script=lambda asked: None if asked.schema else script["next"]
        ) as standin,
        Daemon(folder / "data", upstream=standin.url) as daemon,
    ):
        _run(options, daemon, script, data, folder)


def _run(
    options: argparse.Namespace,
    daemon: Daemon,
    script: dict[str, str],
    data: list[dict[str, Any]],
    folder: Path,
) -> None:
    conversation, scope = data[0]["conversation"], f"bench-{options.id}"
    began = time.monotonic()
    requests = lines = 0
    for session in sessions(conversation):
        thread = f"{options.id}/{session.name}"
        user = conversation["speaker_a"]
        requests += talk(daemon, script, session, thread=thread, scope=scope, user=user)
        lines += len(session.lines)
    print(f"{options.id}: {lines} messages in {requests} requests, {time.monotonic() - began:.1f} s")
    daemon.settle()
    counts = daemon.call("GET", "/api/status")[1]["scopes"][scope]
    print(f"in the ledger: {counts}")
    print("\nbefore the night\n" + ask(daemon, script=options.recall_bench, data=data, folder=folder))
    cycle = daemon.sleep(depth="light", scope=scope, model=MODEL)
    report = cycle.get("report") or {}
    print(
        f"the night: {cycle['state']}, {report.get('took_s')} s, {report.get('memories')}, gamma {report.get('gamma')}"
    )
    print("\nafter the night\n" + ask(daemon, script=options.recall_bench, data=data, folder=folder))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--id", default="conv-26")
    parser.add_argument("--facts", type=Path)
    parser.add_argument("--recall-bench", type=Path, required=True)
    with tempfile.TemporaryDirectory() as temporary:
        run(parser.parse_args(), Path(temporary))
