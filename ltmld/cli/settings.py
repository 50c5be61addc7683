"""``ltmld config`` and ``ltmld version``: what is set, where, and which ltmld this is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ltmld import __version__
from ltmld.cli.options import DataDir, Json, load_settings

if TYPE_CHECKING:
    from pydantic import BaseModel

config = typer.Typer(
    help="Show the settings and where they come from.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(config, name="config")
    app.command("version")(version)


@config.command("show")
def show_settings(*, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show every setting: its value, its default where that differs, and what it means."""
    from ltmld.cli.paper import show, show_json, table, words

    settings = load_settings(data_dir=data_dir)
    if as_json:
        show_json(settings.model_dump(mode="json"))
        return
    made = table("setting", "value", "default", "meaning", whole=("setting",))
    for name, value, default, meaning in _rows(settings):
        changed = value != default
        made.add_row(
            words(name, style="bold" if changed else ""),
            words(value),
            words(default if changed else "", style="dim"),
            words(meaning),
        )
    show(made)


@config.command("path")
def path(*, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show where settings, data, token and ledger lie."""
    from ltmld.cli.paper import pairs, show, show_json
    from ltmld.config import config_file

    folder = load_settings(data_dir=data_dir).data_dir
    places = {
        "settings": str(config_file()),
        "data": str(folder),
        "ledger": str(folder / "ledger.sqlite3"),
        "token": str(folder / "admin.token"),
    }
    if as_json:
        show_json(places)
    else:
        show(pairs(places.items()))


def version() -> None:
    """Print the version."""
    typer.echo(f"ltmld {__version__}")


def _rows(section: BaseModel, prefix: str = "") -> list[tuple[str, Any, Any, str]]:
    from pydantic import BaseModel

    rows = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            rows += _rows(value, f"{prefix}{name}.")
            continue
        default = field.get_default(call_default_factory=True)
        rows.append((f"{prefix}{name}", _shown(value), _shown(default), field.description or ""))
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, tuple) else str(value)
