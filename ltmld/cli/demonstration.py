"""``ltmld demo``, registered without being imported: the story lives in ``ltmld.cli.demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    more: Annotated[list[Path] | None, typer.Argument(metavar="FILE", hidden=True)] = None,
    *,
    facts: Annotated[
        list[Path] | None,
        typer.Option(help="Facts files for the stand-in to extract.", metavar="FILE...", show_default=False),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Leave out the typing.")] = False,
) -> None:
    """Tell the whole story in two minutes, without Ollama.

    Talk, sleep, restart, and be remembered; the model is a stand-in that answers from its prompt.
    """
    from ltmld.cli.demo import run

    # An option takes one value; the files after the first arrive as arguments.
    run(facts=[*(facts or []), *(more or [])], fast=fast)
