"""``ltmld demo``, registered without being imported: the story lives in ``ltmld.cli.demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    facts: Annotated[
        list[Path] | None,
        typer.Option(
            help="Facts for the stand-in to extract (repeat for more files).",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Tell the whole story in two minutes, without Ollama.

    Talk, sleep, restart, and be remembered; the model is a stand-in that answers from its prompt.
    """
    from ltmld.cli.demo import run

    run(facts=facts or [])
