"""The command line: one typer app, one place where errors become sentences and exit codes.

Rules:
1. ``ltmld --help`` answers at once: a command imports what it uses when it runs, not before.
2. Whatever goes wrong ends in one or two lines on standard error that say the remedy, never in a traceback
   (``LTMLD_DEBUG=1`` shows it), and in the exit code of the error: 0 done, 1 refused, 2 misused, 3 absent,
   130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from ltmld.cli import daemon, demonstration, imports, memories, pausing, recall, settings, sleeping
from ltmld.errors import LtmldError

INTERRUPTED = 130


class _Guarded(TyperGroup):
    """A group of commands whose deliberate errors end as sentences."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except LtmldError as error:
            _say(str(error))
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            _say("Interrupted.")
            raise typer.Exit(INTERRUPTED) from error

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands in the order a newcomer needs them, not by the alphabet."""
        del ctx
        return list(self.commands)


app = typer.Typer(
    name="ltmld",
    cls=_Guarded,
    help="Long-term memory for any Ollama model: a proxy by day, a sleep cycle by night.",
    epilog="Start with `ltmld demo`. Settings: `ltmld config show`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich panels would double the time that --help takes
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _register in (
    demonstration.register,
    daemon.register,
    sleeping.register,
    memories.register,
    pausing.register,
    recall.register,
    imports.register,
    settings.register,
):
    _register(app)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    # Whatever is written holds a person's words: readable by its owner alone.
    os.umask(0o077)
    try:
        app(prog_name="ltmld")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except UnicodeError:
        _say("What was typed or piped in is not UTF-8. Write it in UTF-8, or set LC_ALL=C.UTF-8.")
        sys.exit(2)
    # The last line: whatever nobody foresaw still ends as a sentence, not as a traceback.
    except Exception as error:
        if os.environ.get("LTMLD_DEBUG"):
            raise
        _say(
            f"Unexpected error: {type(error).__name__}: {error}\n"
            "This is a fault in ltmld. Run it again with LTMLD_DEBUG=1 and report what it prints."
        )
        sys.exit(1)


def _say(message: str) -> None:
    print(f"ltmld: {message}", file=sys.stderr)  # noqa: T201 - the one place that speaks to standard error plainly
