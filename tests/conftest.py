"""What every room's tests stand on: their own folders, no settings from outside, the same draws each time.

Rules:
1. No test reads or writes the settings and data of the person who runs it.
2. hypothesis draws the same examples in every run; a failure can be repeated.
3. Data that does not ship with the source is asked for by fixture; without it the test is skipped, with the reason.
4. A stand-in for Ollama and a daemon before it are there for the asking, one of each a module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ltmld.standin.server import StandIn, running_standin
from tests.support.daemon import Daemon, running_daemon

settings.register_profile(
    "ltmld",
    derandomize=True,
    deadline=None,
    database=None,
    # Fixtures of ours are read-only where hypothesis meets them.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("ltmld")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an empty configuration and data folder, and none of the caller's settings."""
    for name in [name for name in os.environ if name.startswith(("LTMLD_", "OLLAMA_"))]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("LTMLD_CONFIG_DIR", str(home / "config"))
    monkeypatch.setenv("LTMLD_DATA_DIR", str(home / "data"))


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Return the top of the checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared(checkout: Path) -> Path:
    """Return the folder of recordings and data beside the checkout, or skip."""
    folder = checkout.parent / "shared"
    if not (folder / "recordings").is_dir():
        pytest.skip("the recordings and data beside the checkout (../shared) are not here")
    return folder


@pytest.fixture(scope="session")
def models_folder(request: pytest.FixtureRequest) -> Path:
    """Return the folder where the exported embedder is kept from one run to the next."""
    cache: pytest.Cache = request.config.cache
    return cache.mkdir("models")


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
