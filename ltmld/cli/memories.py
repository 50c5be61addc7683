"""``ltmld inspect``, ``remember`` and ``forget``: what is remembered, and a person's hand in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ltmld.cli.options import DataDir, Json, Scope, load_settings
from ltmld.errors import RefusedError

if TYPE_CHECKING:
    from rich.table import Table

LIMIT = 50


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("inspect")(inspect)
    app.command("remember")(remember)
    app.command("forget")(forget)


def inspect(
    memory_id: Annotated[
        str, typer.Argument(help="One memory, by its id or the start of it.", metavar="[ID]")
    ] = "",
    *,
    scope: Scope = "",
    kind: Annotated[
        str, typer.Option(help="fact, preference, event, plan, relationship, lesson, identity.")
    ] = "",
    state: Annotated[str, typer.Option(help="active, faded, superseded, disputed, forgotten.")] = "",
    text: Annotated[str, typer.Option("--text", help="Only memories that hold these words.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most memories to show.")] = LIMIT,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show what is remembered, or one memory with its evidence."""
    from ltmld.cli.house import open_control
    from ltmld.cli.paper import show_json

    query = {"scope": scope, "kind": kind, "state": state, "q": text, "limit": limit}
    with open_control(load_settings(data_dir=data_dir)) as control:
        if memory_id:
            found = {**control.memory(memory_id), "history": control.memory_history(memory_id)["history"]}
        else:
            found = control.memories(query)
    if as_json:
        show_json(found)
    elif memory_id:
        _show_one(found)
    else:
        _show_list(found)


def remember(
    text: Annotated[
        str, typer.Argument(help="One sentence; - reads it from standard input.", metavar="TEXT")
    ],
    *,
    kind: Annotated[
        str, typer.Option(help="fact, preference, event, plan, relationship, lesson, identity.")
    ] = "fact",
    scope: Scope = "default",
    pinned: Annotated[bool, typer.Option("--pin", help="Never let it fade.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Keep a sentence from now on, as said by you."""
    import sys

    from ltmld.cli.house import open_control
    from ltmld.cli.paper import clean, remark, show_json

    said = sys.stdin.read() if text == "-" else text
    with open_control(load_settings(data_dir=data_dir)) as control:
        memory = control.remember({"text": said, "kind": kind, "scope": scope, "pinned": pinned})
    if as_json:
        show_json(memory)
        return
    verb = (
        "Remembered" if memory["frequency"] == 1 else f"Known already, now seen {memory['frequency']} times"
    )
    remark(f"{verb}: {clean(memory['text'])}")
    typer.echo(memory["id"])


def forget(
    memory_id: Annotated[str, typer.Argument(help="The memory, by its id or the start of it.", metavar="ID")],
    *,
    hard: Annotated[bool, typer.Option("--hard", help="Erase its words everywhere as well.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Forget a memory for good, and never learn it again."""
    from ltmld.cli.house import open_control
    from ltmld.cli.paper import clean, remark, show_json

    with open_control(load_settings(data_dir=data_dir)) as control:
        memory = control.memory(memory_id)
        if not yes:
            _ask(clean(memory["text"]), hard=hard)
        answer = control.forget(memory["id"], hard=hard)
    if as_json:
        show_json(answer)
    else:
        remark(f"Forgotten{', and its words erased' if hard else ''}: {memory['id']}")


def _ask(text: str, *, hard: bool) -> None:
    question = f"Forget {'and erase ' if hard else ''}“{text}”?"
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort as error:  # no terminal to answer on
        typer.echo(err=True)
        raise RefusedError(
            "Nothing was forgotten: nobody answered. Add --yes to forget without asking."
        ) from error
    if not agreed:
        raise RefusedError("Nothing was forgotten.")


def _show_list(found: dict[str, Any]) -> None:
    from ltmld.cli.paper import remark, show

    memories = found["memories"]
    if not memories:
        remark(
            "No memories here yet. Talk through ltmld and run `ltmld sleep-now`, or `ltmld remember TEXT`."
        )
        return
    show(_list_table(memories))
    if found["cursor"]:
        remark(f"More than {len(memories)}: narrow with --scope, --kind, --state, --text, or raise --limit.")


def _list_table(memories: list[dict[str, Any]]) -> Table:
    from ltmld.cli.paper import moment, table, words

    scoped = len({memory["scope"] for memory in memories}) > 1
    # The text stands last: in a pipe it is as long as it is, and what follows it would be far to the right.
    columns = (
        "id",
        *(("scope",) if scoped else ()),
        "kind",
        "state",
        "strength",
        "seen",
        "when",
        "subject",
        "text",
    )
    made = table(*columns, numbers=("strength", "seen"), whole=("id", "kind", "state", "when"))
    for memory in memories:
        made.add_row(
            words(memory["id"], style="dim"),
            *([words(memory["scope"])] if scoped else []),
            words(memory["kind"]),
            words(memory["state"] + (" pinned" if memory["pinned"] else "")),
            words(f"{memory['strength']:.2f}"),
            words(memory["frequency"]),
            words(memory["when"] or moment(memory["valid_from"])[:10]),
            words(memory["subject"]),
            words(memory["text"]),
        )
    return made


def _show_one(memory: dict[str, Any]) -> None:
    from rich.text import Text

    from ltmld.cli.paper import pairs, show, words

    parts: list[Any] = [words(memory["text"], style="bold"), Text()]
    parts.append(pairs((name, value) for name, value in _facts(memory) if value))
    parts += [Text("\nevidence", style="bold"), _evidence(memory)]
    parts += [Text("\nhistory", style="bold"), _history(memory)]
    show(*parts)


def _facts(memory: dict[str, Any]) -> list[tuple[str, str]]:
    from ltmld.cli.paper import moment

    valid = f"{moment(memory['valid_from'])[:10] or '?'} to {moment(memory['valid_to'])[:10]}"
    pinned = ", pinned" if memory["pinned"] else ""
    return [
        ("id", f"{memory['id']} (version {memory['version']})"),
        ("scope", memory["scope"]),
        ("kind", f"{memory['kind']}, {memory['state']}{pinned}"),
        ("about", " / ".join(part for part in (memory["subject"], memory["attribute"]) if part)),
        ("when", memory["when"]),
        ("valid", valid if memory["valid_to"] else moment(memory["valid_from"])[:10]),
        (
            "weight",
            (
                f"strength {memory['strength']:.2f}, importance {memory['importance']:.2f}, "
                f"confidence {memory['confidence']:.2f}, seen {memory['frequency']} times"
            ),
        ),
        ("recorded", moment(memory["recorded_at"])),
        ("last used", moment(memory["used_at"])),
        ("replaced by", memory["superseded_by"]),
        ("answers", "\n".join(memory["cues"])),
    ]


def _evidence(memory: dict[str, Any]) -> Table:
    from ltmld.cli.paper import moment, table, words

    made = table("at", "who", "quote", "message", whole=("at", "message"))
    for source in memory["sources"]:
        made.add_row(
            words(moment(source["at"])),
            words(source["speaker"]),
            words(source["quote"] or source["text"]),
            words(source["ref"] or source["message_id"], style="dim"),
        )
    return made


def _history(memory: dict[str, Any]) -> Table:
    from ltmld.cli.paper import moment, table, words

    made = table("at", "what", "cause", "change", whole=("at", "what"))
    for event in memory["history"]:
        made.add_row(
            words(moment(event["at"])), words(event["what"]), words(event["cause"]), words(event["change"])
        )
    return made
