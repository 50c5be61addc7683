"""A user's own fingerprints are found beside the settings, hold at once, and say what is wrong with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

from ltmld.standin.server import StandIn
from tests.support.daemon import Daemon, running_daemon

OWN = '[[fingerprint]]\nname = "diary bot"\nstarts = "[diary-bot]"\n[[fingerprint]]\nname = "wrong"\nbegins = "x"\n'


def say(daemon: Daemon, words: str) -> None:
    """Chat once."""
    connection = HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    body = {"model": "stand-in:latest", "messages": [{"role": "user", "content": words}], "stream": False}
    connection.request("POST", "/api/chat", json.dumps(body))
    assert connection.getresponse().read()
    connection.close()


def test_a_users_fingerprints_hold_and_what_is_wrong_is_said(
    standin: StandIn, models_folder: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "fingerprints.toml").write_text(OWN)
    with running_daemon(tmp_path, upstream=standin.url, models=models_folder) as daemon:
        say(daemon, "[diary-bot] name this day")
        status = daemon.call("GET", "/api/status")[1]
        assert status["wake"]["fingerprints"]["own"] == 1
        assert status["scopes"] == {}
        say(daemon, "My dog is called Rex.")
        daemon.wait_for("exchange.recorded")
        shown = subprocess.run(
            [sys.executable, "-m", "ltmld", "status"],
            env={**os.environ, **daemon.env},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        # The table is folded to the width of the terminal.
        assert "'wrong' has 'begins', which is no condition" in " ".join(shown.split())
        assert any("fingerprints.wrong" in line and "begins" in line for line in daemon.lines)
