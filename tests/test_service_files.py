"""Promise: the shipped service files are well-formed, start the program they are told to, and restrict it.

Only the placeholders that the files themselves explain are left to fill in.
"""

from __future__ import annotations

import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ltmld.resources import resource

UNITS = ("ltmld.service", "ltmld-sleep.service", "ltmld-sleep.timer")
AGENTS = ("ltmld.plist", "ltmld-sleep.plist")
VALUES = {"@LTMLD@": sys.executable, "@CONFIG_DIR@": "/var/empty/ltmld", "@LOG_DIR@": "/var/empty/logs"}


def filled(folder: str, name: str) -> str:
    """Return a template with every known placeholder put in."""
    text = resource(folder, name).read_text()
    for placeholder, value in VALUES.items():
        text = text.replace(placeholder, value)
    return text


def unit_settings(name: str) -> dict[str, str]:
    """Return the ``Name=value`` lines of a unit."""
    lines = [line for line in filled("systemd", name).splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.mark.parametrize(
    ("folder", "name"), [("systemd", n) for n in UNITS] + [("launchd", n) for n in AGENTS]
)
def test_no_placeholder_is_left_that_is_not_explained(folder: str, name: str) -> None:
    # @system-service is systemd's own name of a group of calls.
    left = re.findall(r"@[A-Za-z_]+@", filled(folder, name))

    assert left == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for name in UNITS:
        (tmp_path / name).write_text(filled("systemd", name))

    verdict = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", *(str(tmp_path / name) for name in UNITS)],
        capture_output=True,
        text=True,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )

    ours = [line for line in verdict.stderr.splitlines() if "ltmld" in line]
    assert (verdict.returncode, ours) == (0, []), verdict.stderr


def test_the_daemon_is_started_again_unless_its_settings_are_wrong() -> None:
    settings = unit_settings("ltmld.service")

    assert settings["ExecStart"] == f"{sys.executable} serve"
    assert settings["Restart"] == "on-failure"
    assert settings["RestartPreventExitStatus"] == "2"


def test_the_daemon_does_not_promise_a_readiness_it_never_sends() -> None:
    assert unit_settings("ltmld.service")["Type"] == "exec"


@pytest.mark.parametrize("name", ["ltmld.service", "ltmld-sleep.service"])
def test_services_are_restricted_by_what_works_unprivileged(name: str) -> None:
    settings = unit_settings(name)

    assert settings["NoNewPrivileges"] == "yes"
    assert settings["UMask"] == "0077"
    # Each of these needs privileges, a user namespace, or breaks onnxruntime: the service would not start.
    assert not {"MemoryDenyWriteExecute", "PrivateTmp", "ProtectHome", "ProtectSystem", "User"} & set(
        settings
    )
    assert not [value for value in settings.values() if "%S" in value or "%L" in value]


def test_a_missed_night_is_made_up_for() -> None:
    settings = unit_settings("ltmld-sleep.timer")

    assert settings["OnCalendar"] == "*-*-* 03:30"
    assert settings["Persistent"] == "true"


@pytest.mark.parametrize(("name", "verb"), [("ltmld.plist", "serve"), ("ltmld-sleep.plist", "sleep-now")])
def test_launchd_agents_are_property_lists_that_start_ltmld(name: str, verb: str) -> None:
    agent = plistlib.loads(filled("launchd", name).encode())

    assert agent["Label"] == name.removesuffix(".plist")
    assert agent["ProgramArguments"] == [sys.executable, verb]
    assert agent["Umask"] == 0o077
    assert all(Path(agent[key]).is_absolute() for key in ("StandardOutPath", "StandardErrorPath"))


def test_launchd_keeps_the_proxy_quick_and_the_night_quiet() -> None:
    daemon = plistlib.loads(filled("launchd", "ltmld.plist").encode())
    night = plistlib.loads(filled("launchd", "ltmld-sleep.plist").encode())

    assert (daemon["ProcessType"], daemon["KeepAlive"]) == ("Adaptive", {"SuccessfulExit": False})
    assert (night["ProcessType"], night["StartCalendarInterval"]) == ("Background", {"Hour": 3, "Minute": 30})
