"""A setting that makes no sense is refused by its name, with what it may be; nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltmld.config import Settings, config_file
from ltmld.errors import SettingsError


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LTMLD_FOO", "1", "LTMLD_FOO"),
        ("LTMLD_WAKE__FOO", "1", "foo"),
        ("LTMLD_WAKE", '{"k":', "wake"),
        ("LTMLD_DATA_DIR", "", "data_dir"),
        ("LTMLD_LISTEN", "nowhere", "listen"),
        ("LTMLD_ADMIN_LISTEN", "0.0.0.0:11436", "loopback"),
        ("LTMLD_UPSTREAM", "https://example.org", "upstream"),
        ("LTMLD_UPSTREAM", "http://127.0.0.1:11434/path", "upstream"),
        ("LTMLD_UPSTREAM", "http://u:p@127.0.0.1:11434", "upstream"),
        ("LTMLD_UPSTREAM", "http://127.0.0.1:11435", "same address"),
        ("LTMLD_UPSTREAM", "http://localhost:11436", "same address"),
        ("LTMLD_WAKE__TRUSTED_PEERS", '["nonsense"]', "trusted_peers"),
        ("LTMLD_WAKE__TRUSTED_PEERS", "10.0.0.1", "lists are JSON"),
        ("LTMLD_MODELS__EMBEDDER", "no-such-model", "embedder"),
        ("LTMLD_WAKE__K", "many", "wake.k"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=said) as refusal:
        Settings.load()
    assert "config.toml cannot be read" not in str(refusal.value)


@pytest.mark.parametrize("text", ["listen = ", "[wake]\nfoo = 1", "k = [", "\x00"])
def test_a_file_that_makes_no_sense_is_named(text: str) -> None:
    config_file().parent.mkdir(parents=True)
    config_file().write_text(text)
    with pytest.raises(SettingsError, match=r"config\.toml"):
        Settings.load()


def test_flags_stand_over_the_environment_and_that_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    config_file().parent.mkdir(parents=True)
    config_file().write_text('log_level = "error"\nlisten = "127.0.0.1:1"\n[wake]\nk = 3\n')
    monkeypatch.setenv("LTMLD_LISTEN", "127.0.0.1:2")
    settings = Settings.load(data_dir=Path("/tmp/flag"))  # noqa: S108 - never opened
    assert (settings.wake.k, settings.listen, str(settings.data_dir)) == (3, "127.0.0.1:2", "/tmp/flag")  # noqa: S108 - the same


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://host", "http://host:80"),
        ("host", "http://host:11434"),
        ("[::1]:5", "http://[::1]:5"),
    ],
)
def test_an_upstream_is_read_as_ollamas_clients_read_it(
    monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    monkeypatch.setenv("LTMLD_UPSTREAM", given)
    assert Settings.load().upstream == meant
