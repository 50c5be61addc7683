"""The command line answers at once, says what is wrong in a line or two, and ends with the right code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ltmld import __version__, errors
from ltmld.cli import app as cli

SLOW = {
    "pydantic",
    "pydantic_settings",
    "rich",
    "fastapi",
    "uvicorn",
    "numpy",
    "chromadb",
    "structlog",
    "sqlite_utils",
}


def ltmld(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ltmld in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "ltmld", *words],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command_and_shortens_none() -> None:
    result = CliRunner().invoke(cli.app, ["--help"])
    assert result.exit_code == 0
    for name in (
        "demo",
        "serve",
        "status",
        "sleep-now",
        "sleeps",
        "inspect",
        "search",
        "remember",
        "forget",
        "import",
    ):
        assert f"  {name} " in result.output
    assert "..." not in result.output.partition("Commands:")[2]


def test_asking_for_help_imports_nothing_slow() -> None:
    code = "import sys, ltmld.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not SLOW & set(loaded)


def test_version_and_both_ways_to_call_agree() -> None:
    assert ltmld("version").stdout == f"ltmld {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["dream"],
        ["search"],
        ["sleep-now", "--depth", "coma"],
        ["inspect", "--limit", "0"],
        ["status", "--bogus"],
    ],
)
def test_a_misused_command_ends_with_2_and_says_how_to_use_it(words: list[str]) -> None:
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 2
    assert "Usage" in result.stderr


def test_a_wrong_setting_is_named_with_what_it_may_be() -> None:
    result = ltmld("status", LTMLD_LISTEN="nowhere")
    assert result.returncode == 2
    assert result.stdout == ""
    assert "setting listen: must be host:port, not 'nowhere'" in result.stderr
    assert len(result.stderr.splitlines()) <= 2


def test_a_control_plane_for_everybody_is_refused() -> None:
    result = ltmld("status", LTMLD_ADMIN_LISTEN="0.0.0.0:11436")
    assert result.returncode == 2
    assert "loopback" in result.stderr


def test_an_unknown_setting_in_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[wake]\nbudget = 3\n")
    result = ltmld("config", "show", LTMLD_CONFIG_DIR=str(tmp_path))
    assert result.returncode == 2
    assert "wake.budget" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BadInputError("odd"), 2),
        (errors.NotFoundError("gone"), 1),
        (errors.UpstreamError("away"), 3),
        (errors.LedgerError("broken"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_the_exit_code_is_the_one_of_the_error(error: BaseException, code: int) -> None:
    app = typer.Typer(cls=cli._Guarded, no_args_is_help=True)

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def another() -> None: ...

    result = CliRunner().invoke(app, ["fail"])
    assert result.exit_code == code
    assert result.stderr.startswith("ltmld: ")
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


BROKEN = """
import sys
import ltmld.cli
import ltmld.cli.settings
del ltmld.cli.settings.__version__
sys.argv[1:] = ["version"]
ltmld.cli.main()
"""


def test_what_nobody_foresaw_ends_as_a_sentence_and_with_debug_as_a_traceback() -> None:
    plain = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, check=False)
    debug = subprocess.run(
        [sys.executable, "-c", BROKEN],
        env={**os.environ, "LTMLD_DEBUG": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert plain.returncode == debug.returncode == 1
    assert "Traceback" not in plain.stderr
    assert "Unexpected error: NameError" in plain.stderr
    assert "LTMLD_DEBUG=1" in plain.stderr
    assert "Traceback" in debug.stderr


def test_settings_are_shown_with_their_defaults_beside_what_was_changed() -> None:
    lines = ltmld("config", "show", LTMLD_WAKE__K="3").stdout.splitlines()
    (changed,) = [line.split() for line in lines if line.startswith("wake.k ")]
    assert changed[1:3] == ["3", "10"]
    assert any(line.startswith("sleep.nightly_at") for line in lines)


def test_paths_are_told_and_follow_the_flag(tmp_path: Path) -> None:
    result = ltmld("config", "path", "--json", "--data-dir", str(tmp_path / "there"))
    assert str(tmp_path / "there" / "ledger.sqlite3") in result.stdout
    assert not (tmp_path / "there").exists()
