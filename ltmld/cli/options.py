"""Options that several commands share, spelled once, and the settings they lead to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ltmld.config import Settings

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Folder of ledger, index and token.", metavar="FOLDER", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Scope = Annotated[str, typer.Option("--scope", help="Whose memory; empty: all of them.", metavar="SCOPE")]


def load_settings(*, data_dir: Path | None, **flags: str | None) -> Settings:
    """Return the settings with the flags over them.

    Raises:
        SettingsError: one of them makes no sense.
    """
    from ltmld.config import Settings

    return Settings.load(data_dir=data_dir, **flags)
