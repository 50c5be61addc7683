"""``ltmld search``: ask memory what it holds, and see why it answers so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ltmld.cli.options import DataDir, Json, load_settings

if TYPE_CHECKING:
    from rich.table import Table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("search")(search)


def search(
    query: Annotated[str, typer.Argument(help="A question, or words.", metavar="QUERY")],
    *,
    scope: Annotated[str, typer.Option(help="Whose memory.", metavar="SCOPE")] = "default",
    budget_tokens: Annotated[
        int, typer.Option("--budget", min=0, max=100_000, help="Most tokens to fill.")
    ] = 800,
    k: Annotated[int, typer.Option("--limit", "-k", min=1, max=1000, help="Most hits.")] = 10,
    at: Annotated[str, typer.Option(help="Answer as of this time (RFC 3339).", metavar="TIME")] = "",
    as_text: Annotated[bool, typer.Option("--text", help="Print just what would be injected.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Ask memory, and see what it finds and why.

    Best first, with the parts of each score; --text prints just what a prompt would get.
    """
    from ltmld.cli.house import open_control
    from ltmld.cli.paper import clean, remark, show, show_json

    body: dict[str, Any] = {"query": query, "scope": scope, "budget_tokens": budget_tokens, "k": k}
    with open_control(load_settings(data_dir=data_dir)) as control:
        found = control.recall(body | ({"at": at} if at else {}))
    if as_json:
        show_json(found)
    elif as_text:
        typer.echo(clean(found["text"]))
    elif not found["hits"]:
        remark(f"Nothing is remembered about that in scope {clean(scope)!r}.")
    else:
        show(_hits(found["hits"]))
        count = len(found["hits"])
        remark(f"{count} hit{'s' * (count != 1)}, {found['tokens']} tokens, {found['took_ms']:.0f} ms")


def _hits(hits: list[dict[str, Any]]) -> Table:
    from ltmld.cli.paper import table, words

    made = table("score", "kind", "behind it", "why", "text", numbers=("score",), whole=("kind",))
    for hit in hits:
        parts = sorted(hit["parts"].items(), key=lambda part: -abs(part[1]))
        made.add_row(
            words(f"{hit['score']:.2f}"),
            words(hit["kind"]),
            words(" ".join(hit["refs"]), style="dim"),
            words(", ".join(f"{name} {value:.2f}" for name, value in parts if value), style="dim"),
            words(hit["text"]),
        )
    return made
