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
        ("LTMLD_UPSTREAM", "", "upstream"),
        ("LTMLD_UPSTREAM", "ftp://example.org", "upstream"),
        ("LTMLD_UPSTREAM", "http://127.0.0.1:114345", "upstream"),
        ("LTMLD_UPSTREAM", "http://127.0.0.1:11434/?x=1", "upstream"),
        ("LTMLD_UPSTREAM", "http://u:p@127.0.0.1:11434", "upstream"),
        ("LTMLD_PROXY__TLS_KEY", "/key.pem", "together"),
        ("LTMLD_PROXY__TLS_CERTIFICATE", "/certificate.pem", "together"),
        ("OLLAMA_HOST", "ftp://example.org", "OLLAMA_HOST must begin"),
        ("LTMLD_UPSTREAM", "http://127.0.0.1:11435", "same address"),
        ("LTMLD_UPSTREAM", "http://localhost:11436", "same address"),
        ("LTMLD_WAKE__TRUSTED_PEERS", '["nonsense"]', "trusted_peers"),
        ("LTMLD_WAKE__TRUSTED_PEERS", "10.0.0.1", "lists are JSON"),
        ("LTMLD_MODELS__EMBEDDER", "no such model", "embedder"),
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
        ("https://example.org/ollama/", "https://example.org:443/ollama"),
        ("ollama.com", "https://ollama.com:443"),
        (":9", "http://127.0.0.1:9"),
    ],
)
@pytest.mark.parametrize("variable", ["LTMLD_UPSTREAM", "OLLAMA_HOST"])
def test_an_upstream_is_read_as_ollamas_clients_read_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, given: str, meant: str
) -> None:
    monkeypatch.setenv(variable, given)
    settings = Settings.load()
    assert settings.upstream == meant == settings.upstream_host.url


def test_ollama_host_counts_only_where_nothing_of_ltmld_says_where_ollama_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (Settings.load().upstream, Settings.load().upstream_source) == (
        "http://127.0.0.1:11434",
        "default",
    )
    monkeypatch.setenv("OLLAMA_HOST", "gpu-box")
    assert (Settings.load().upstream, Settings.load().upstream_source) == (
        "http://gpu-box:11434",
        "OLLAMA_HOST",
    )
    config_file().parent.mkdir(parents=True)
    config_file().write_text('upstream = "in-file"\n')
    assert (Settings.load().upstream, Settings.load().upstream_source) == (
        "http://in-file:11434",
        "settings",
    )
    monkeypatch.setenv("LTMLD_UPSTREAM", "in-environment")
    assert Settings.load().upstream == "http://in-environment:11434"
    assert Settings.load(upstream="in-flag").upstream == "http://in-flag:11434"


@pytest.mark.parametrize(
    "own",
    ["127.0.0.1:11435", "localhost:11435", "http://[::1]:11435", ":11435", "0.0.0.0:11435", "127.1:11435"],
)
def test_an_ollama_host_that_names_ltmld_builds_no_loop(monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    monkeypatch.setenv("OLLAMA_HOST", own)
    settings = Settings.load()
    assert settings.upstream == "http://127.0.0.1:11434"
    assert settings.upstream_source == "default, as OLLAMA_HOST is ltmld's own address"
    assert Settings.load(listen="127.0.0.1:1").upstream_source == "OLLAMA_HOST"


def test_an_ollama_host_that_names_ltmld_in_ollamas_place_asks_where_ollama_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:11434")
    with pytest.raises(SettingsError, match="the same address; upstream is where Ollama is"):
        Settings.load(listen="0.0.0.0:11434")


def test_a_variable_of_ollamas_is_forgiven_what_ollama_forgives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", " 'gpu-box:114345' ")
    assert Settings.load().upstream == "http://gpu-box:11434"


def test_a_password_in_a_setting_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTMLD_UPSTREAM", "http://anna:secret@example.org")
    with pytest.raises(SettingsError) as refusal:
        Settings.load()
    assert "secret" not in str(refusal.value)
