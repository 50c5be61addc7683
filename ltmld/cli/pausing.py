"""``ltmld pause`` and ``ltmld resume``: leave a scope alone for a while."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ltmld.cli.options import DataDir, Json, load_settings
from ltmld.core.scope import DEFAULT_SCOPE

ThisScope = Annotated[str, typer.Option(help="Whose memory; without it the default scope.", metavar="SCOPE")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("pause")(pause)
    app.command("resume")(resume)


def pause(*, scope: ThisScope = DEFAULT_SCOPE, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Leave a scope alone: record nothing, recall nothing."""
    from ltmld.cli.house import open_control
    from ltmld.cli.paper import moment, remark, show_json

    with open_control(load_settings(data_dir=data_dir)) as control:
        answer = control.pause(scope)
    if as_json:
        show_json(answer)
    else:
        remark(f"Memory is off for scope {scope} since {moment(answer['since'])}.")
        remark(f"`ltmld resume --scope {scope}` switches it on.")


def resume(*, scope: ThisScope = DEFAULT_SCOPE, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Record and recall again in a scope that was paused.

    What was said meanwhile is not recorded later.
    """
    from ltmld.cli.house import open_control
    from ltmld.cli.paper import show_json

    with open_control(load_settings(data_dir=data_dir)) as control:
        answer = control.resume(scope)
    if as_json:
        show_json(answer)
    else:
        _tell(answer)


def _tell(answer: dict[str, Any]) -> None:
    from ltmld.cli.paper import moment, remark

    if answer["since"]:
        remark(f"Memory is on again for scope {answer['scope']}; it was off since {moment(answer['since'])}.")
    else:
        remark(f"Memory was on for scope {answer['scope']} already.")
