"""``ltmld serve`` and ``ltmld status``: the daemon, and how it stands."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ltmld.cli.options import DataDir, Json, load_settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve")(serve)
    app.command("status")(status)


def serve(
    listen: Annotated[
        str | None, typer.Option(help="Where clients reach ltmld.", metavar="HOST:PORT", show_default=False)
    ] = None,
    upstream: Annotated[
        str | None, typer.Option(help="Where Ollama is.", metavar="URL", show_default=False)
    ] = None,
    admin_listen: Annotated[
        str | None,
        typer.Option(help="Where the control plane listens.", metavar="HOST:PORT", show_default=False),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Stand between clients and Ollama, remember and recall.

    Runs until it is stopped (Ctrl-C, SIGTERM).
    """
    settings = load_settings(data_dir=data_dir, listen=listen, upstream=upstream, admin_listen=admin_listen)
    from ltmld.daemon.serve import run

    run(settings)


def status(*, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show how everything stands.

    Addresses, what is remembered, the index, the last sleep; from the folder when nothing serves.
    """
    from ltmld.cli.house import open_control, running
    from ltmld.cli.paper import pairs, show, show_json

    settings = load_settings(data_dir=data_dir)
    serving = running(settings) is not None
    with open_control(settings) as control:
        facts = {"serving": serving, **control.status()}
    if as_json:
        show_json(facts)
    elif facts.get("memory") == "off":
        show(pairs([("ltmld", f"{facts['version']}, serving WITHOUT MEMORY"), ("reason", facts["error"])]))
    else:
        show(pairs([*_daemon_lines(facts), *_memory_lines(facts)]))


def _daemon_lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    from ltmld.cli.paper import length

    if not facts["serving"]:
        return [("ltmld", f"{facts['version']}, not serving (start it: ltmld serve)")]
    addresses = facts["addresses"]
    uptime = length(facts["uptime_s"])
    return [
        ("ltmld", f"{facts['version']}, serving for {uptime} (process {facts['pid']})"),
        ("clients", addresses["url"]),
        ("Ollama", _upstream_line(facts["upstream"])),
        ("control plane", f"http://{addresses['admin_listen']}"),
        ("requests", _requests_line(facts)),
    ]


def _upstream_line(upstream: dict[str, Any]) -> str:
    if upstream["version"]:
        return f"{upstream['url']}{_said_by(upstream)} (version {upstream['version']})"
    return f"{upstream['url']}{_said_by(upstream)} does not answer: {upstream['error']}. Start Ollama, or set upstream."


def _said_by(upstream: dict[str, Any]) -> str:
    """Name who said where Ollama is, where that was no setting of ltmld."""
    return "" if upstream["source"] in ("settings", "default") else f" (by {upstream['source']})"


def _requests_line(facts: dict[str, Any]) -> str:
    counted = {**facts["proxy"], **facts["wake"]}
    known = (
        "requests",
        "open",
        "looked_into",
        "recorded",
        "injected",
        "unread",
        "upstream_errors",
        "commands",
        "recall_timeouts",
        "too_costly",
        "look_timeouts",
    )
    shown = [f"{counted[name]} {name.replace('_', ' ')}" for name in known if counted.get(name)]
    if counted.get("failures"):
        shown.append(f"{counted['failures']} WITHOUT MEMORY ({counted.get('last_failure')})")
    if counted.get("unrecorded"):
        reason = counted.get("last_error") or "the log says why"
        shown.append(f"{counted['unrecorded']} NOT RECORDED ({reason})")
    return ", ".join(shown) or "none yet"


def _memory_lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    from ltmld.cli.paper import moment

    index, ledger = facts["index"], facts["ledger"]
    rows = [("data", facts["data_dir"]), ("embedder", index["embedder"])]
    if index.get("url"):
        rows.append(("vectors", f"on the Chroma server {index['url']}"))
    if index["broken"]:
        rows.append(("index", f"not whole: {index['broken']}"))
    if building := index.get("building"):
        done, total = building["done"], building["total"]
        rows.append(("new embedder", f"{building['embedder']}: {done:,} of {total:,} vectors built"))
    elif index.get("missing"):
        rows.append(("index", f"{index['missing']:,} units lack their vectors; they are found by words"))
    if ledger["outbox_depth"]:
        rows.append(("index", f"{ledger['outbox_depth']} changes wait to be indexed"))
    rows.extend((f"scope {name}", _counts(counts)) for name, counts in facts["scopes"].items())
    rows.extend(("fingerprints", problem) for problem in _problems(facts))
    paused = facts.get("paused", {})
    rows.extend(
        (f"scope {name}", f"PAUSED since {moment(since)}: ltmld resume --scope {name}")
        for name, since in paused.items()
    )
    rows.append(("last sleep", _sleep_line(facts["sleep"]["last"])))
    if facts["sleep"]["running"]:
        rows.append(("sleeping now", _sleep_line(facts["sleep"]["running"])))
    return rows


def _problems(facts: dict[str, Any]) -> list[str]:
    """Return what is wrong with the user's own fingerprints."""
    own = facts["wake"].get("fingerprints", {})
    return [f"{own['file']}: {problem}" for problem in own.get("problems", [])]


def _counts(counts: dict[str, int]) -> str:
    states = {name.removeprefix("memories_"): count for name, count in counts.items() if "_" in name}
    shown = ", ".join(f"{count} {state}" for state, count in states.items() if count) or "none yet"
    return (
        f"{counts['exchanges']} exchanges, {counts['messages']} messages in {counts['threads']} threads; "
        f"memories: {shown}"
    )


def _sleep_line(cycle: dict[str, Any] | None) -> str:
    from ltmld.cli.paper import moment

    if cycle is None:
        return "never (ltmld sleep-now)"
    when = moment(cycle["ended_at"] or cycle["started_at"])
    stage = f", at {cycle['progress']['stage']}" if cycle.get("progress") else ""
    return f"{cycle['id']} {cycle['state']} {when}{stage}"
