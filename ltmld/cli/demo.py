"""``ltmld demo``: talk, sleep, restart, and be remembered, in under two minutes and without Ollama.

Rules:
1. Only the model is a stand-in, and it is called one on every page; ltmld is the real program in its own process.
2. The demo ends with 0 only when memory really was there: it was learned in the night, it survived the restart,
   it stood in the prompt of the new conversation, and the answer would have been another without it.
3. Nothing of the person's own memory is touched; the folder of the demo goes away with it.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ollama

from ltmld.cli import demo_story as story
from ltmld.cli.demo_daemon import DemoDaemon
from ltmld.cli.demo_page import DemoPage
from ltmld.core.ports import SleepRequest
from ltmld.errors import RefusedError, UpstreamError
from ltmld.standin.server import StandIn, running_standin
from ltmld.wire.sentinel import present

MODEL = "stand-in:latest"

# Slow enough to be read as it comes, fast enough for the whole story in two minutes.
_TOKEN_DELAY_S = 0.04
_NIGHT_S_MAX = 120.0
_LOOK_S = 0.1
_ENDED = frozenset({"completed", "failed", "cancelled", "rolled_back"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evening:
    """What came of the second day's question."""

    answer: str
    without: str
    injection: dict[str, Any]


def run(*, facts: Sequence[Path] = (), fast: bool = False) -> None:
    """Tell the story; *facts* are further facts files for the stand-in, *fast* leaves out the typing.

    Raises:
        RefusedError: memory was not there, or made no difference.
        DaemonAbsentError: ltmld did not start.
        BadInputError: a facts file is none.
    """
    page = DemoPage()
    delay_s = 0.0 if fast or not page.is_terminal else _TOKEN_DELAY_S
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ltmld-demo-") as name:
        folder = Path(name)
        own = _own_facts(folder)
        with running_standin(facts=[own, *facts], token_delay_s=delay_s, models=(MODEL,)) as standin:
            daemon = DemoDaemon(folder, upstream=standin.url)
            try:
                _tell(page, standin, daemon)
            finally:
                daemon.stop()
    page.say(f"\nThat took {time.monotonic() - begun:.0f} seconds. Now with your own model:", style="bold")
    page.say("  1. start ltmld:                ltmld serve")
    page.say("  2. point your client at it:    http://127.0.0.1:11435 instead of port 11434")
    page.say("  3. after a day, let it sleep:  ltmld sleep-now")


def _tell(page: DemoPage, standin: StandIn, daemon: DemoDaemon) -> None:
    page.title(
        "ltmld: long-term memory for any Ollama model",
        "Mara talks, ltmld sleeps on it and is restarted, and in a new conversation she is remembered.",
        "",
        "The model here is a stand-in for Ollama: it speaks Ollama's protocol and answers only from "
        "what its prompt holds. It knows nothing and keeps nothing. Everything else is the real ltmld.",
    )
    _start(page, standin, daemon)
    _first_day(page, daemon)
    _night(page, daemon)
    _restart(page, daemon)
    _check(page, _second_day(page, standin, daemon))


def _start(page: DemoPage, standin: StandIn, daemon: DemoDaemon) -> None:
    page.chapter("Start")
    page.say(f"The stand-in for Ollama listens on {standin.url}.")
    first = "" if daemon.embedder_ready else " (the first time it prepares the embedder, about half a minute)"
    with page.busy(f"ltmld is starting{first} ..."):
        took_s = daemon.start()
    page.say(f"ltmld listens on {daemon.url}, in front of it. Memory was ready after {took_s:.1f} s.")


def _first_day(page: DemoPage, daemon: DemoDaemon) -> None:
    page.chapter("The first day: Mara talks to the model through ltmld")
    spoken: list[dict[str, str]] = []
    for words in story.FIRST_DAY:
        page.user(words)
        spoken.append({"role": "user", "content": words})
        spoken.append({"role": "assistant", "content": page.reply(_asked(daemon.url, spoken))})
    counts = daemon.control.status()["ledger"]
    page.say(f"\nltmld recorded {counts['exchanges']} exchanges while it passed them on.")


def _night(page: DemoPage, daemon: DemoDaemon) -> None:
    page.chapter("The night: ltmld sleeps on it")
    page.say("The stand-in plays the model that takes notes; with Ollama your own model does.\n")
    cycle_id = daemon.control.start_sleep(SleepRequest(depth="light", model=MODEL))["id"]
    with page.busy("asleep ...") as status:
        cycle = _slept(daemon, cycle_id, status.update)
    page.stages((cycle["report"] or {}).get("stages", []))
    if cycle["state"] != "completed":
        raise RefusedError(
            f"The demo's sleep ended as {cycle['state']!r}: {cycle['report']}. Please report this."
        )
    learned = daemon.control.memories({})["memories"]
    if not learned:
        raise RefusedError("The demo's sleep learned nothing from the first day. Please report this.")
    page.memories(learned)


def _restart(page: DemoPage, daemon: DemoDaemon) -> None:
    page.chapter("The restart: nothing is kept in the process")
    with page.busy("ltmld stops and starts again ..."):
        daemon.stop()
        took_s = daemon.start()
    kept = len(daemon.control.memories({})["memories"])
    page.say(f"Stopped and started again in {took_s:.1f} s; {kept} memories are there.")


def _second_day(page: DemoPage, standin: StandIn, daemon: DemoDaemon) -> Evening:
    page.chapter("Another day, a new conversation")
    asked = [{"role": "user", "content": story.QUESTION}]
    page.user(story.QUESTION)
    answer = page.reply(_asked(daemon.url, asked))
    injection = _injected(daemon)
    if not injection or not present(standin.requests[-1].prompt):
        raise RefusedError("Nothing was injected into the demo's second conversation. Please report this.")
    page.say("\nHow could it know? This is what ltmld put into the prompt, and why:\n")
    page.injection(injection)
    without = "".join(_asked(daemon.url, asked, headers={"X-LTMLD-Memory": "off"}))
    return Evening(answer=answer, without=without, injection=injection)


def _check(page: DemoPage, evening: Evening) -> None:
    page.chapter("The same question, with and without memory")
    page.beside(story.QUESTION, with_memory=evening.answer, without=evening.without)
    if story.EXPECTED not in evening.answer or evening.answer == evening.without:
        raise RefusedError(
            "Memory made no difference to the demo's answer: "
            f"{evening.answer!r} with it, {evening.without!r} without. Please report this."
        )
    page.say("The same model, the same question: the difference is memory.", style="bold green")


def _asked(
    url: str, messages: Sequence[dict[str, str]], *, headers: dict[str, str] | None = None
) -> Iterator[str]:
    """Yield the answer piece by piece, by the official client and with nothing but another address."""
    try:
        with ollama.Client(host=url, headers=headers or {}) as client:
            for part in client.chat(model=MODEL, messages=messages, stream=True):
                yield part.message.content or ""
    except (ollama.ResponseError, ConnectionError) as error:
        raise UpstreamError(f"The demo's conversation broke off: {error}. Please report this.") from error


def _slept(daemon: DemoDaemon, cycle_id: str, show: Any) -> dict[str, Any]:
    control, begun = daemon.control, time.monotonic()
    while True:
        cycle = control.sleep(cycle_id)
        if cycle["state"] in _ENDED or time.monotonic() - begun > _NIGHT_S_MAX:
            return cycle
        if cycle["progress"]:
            show(f"asleep: {cycle['progress']['stage']} ...")
        time.sleep(_LOOK_S)


def _injected(daemon: DemoDaemon) -> dict[str, Any] | None:
    """Return what the control plane says was put into the latest exchange."""
    control = daemon.control
    (thread,) = control.threads({"limit": 1})["threads"]
    injections: list[dict[str, Any]] = control.exchange(thread["last_exchange_id"])["injections"]
    return injections[0] if injections else None


def _own_facts(folder: Path) -> Path:
    path = folder / "demo.facts.jsonl"
    path.write_text("".join(json.dumps(fact) + "\n" for fact in story.FACTS), encoding="utf-8")
    return path
