"""A stand-in for Ollama and a real daemon before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ltmld.standin.server import StandIn, running_standin
from tests.support.daemon import Daemon, running_daemon


@pytest.fixture(scope="module")
def standin() -> Iterator[StandIn]:
    """Run a stand-in for Ollama whose model has a SYSTEM of its own."""
    with running_standin(system="You answer in one sentence.") as standin:
        yield standin


@pytest.fixture(scope="module")
def daemon(
    standin: StandIn, models_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """Run a daemon for the tests of one module."""
    folder = tmp_path_factory.mktemp("data")
    with running_daemon(folder, upstream=standin.url, models=models_folder) as daemon:
        yield daemon
