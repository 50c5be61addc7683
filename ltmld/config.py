"""One frozen tree of settings: defaults, then the TOML file, then ``LTMLD_*``, then flags.

Rules:
1. Every setting has a default, a unit in its name, and a line of description: the reference is made from them.
2. Each room receives only its own section.
3. A bad value is refused with the name of the setting and what it may be; nothing is guessed.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from ltmld.errors import SettingsError

OLLAMA_PORT = 11434
# Variables of ours that are no settings.
_OTHER_VARIABLES = {"LTMLD_CONFIG_DIR", "LTMLD_DEBUG"}


class _Section(BaseModel):
    """A frozen section that knows all its names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProxySettings(_Section):
    """The data plane."""

    head_bytes_max: int = Field(
        64 * 1024, gt=0, description="Largest request or response head; nginx and Go allow 32 kB to 1 MB."
    )
    headers_max: int = Field(
        256, ge=32, description="Most headers of one request; Apache allows 100, hyper 100, Node 2000."
    )
    head_timeout_s: float = Field(
        60.0,
        gt=0,
        description="How long a request's head may take from its first byte to its end; nginx allows 60 s too.",
    )
    body_timeout_s: float = Field(
        60.0,
        gt=0,
        description="How long a client may pause within a body that is looked into, as it is held in memory.",
    )
    look_bytes_max: int = Field(
        32 * 1024 * 1024,
        gt=0,
        description="Largest inference request that is looked into; a larger one passes without memory.",
    )
    connections_max: int = Field(
        4096,
        gt=0,
        description="Most connections of clients; fewer where the limit of open files holds fewer. Others get 503.",
    )
    turned_away_max: int = Field(
        64, ge=0, description="Most connections above that which are told so; the others are closed at once."
    )
    upstream_idle_max: int = Field(
        128, ge=0, description="Most idle connections to Ollama that are kept for the next requests."
    )
    held_bytes_max: int = Field(
        256 * 1024,
        gt=0,
        description="Most bytes of an answer that wait behind its terminator for the ledger; then Ollama waits.",
    )
    repeat_bytes_max: int = Field(
        64 * 1024,
        ge=0,
        description="Largest body sent again where a kept-alive connection had died; a looked-into one always is.",
    )
    interim_max: int = Field(
        100, ge=0, description="Most interim answers (1xx) before the answer; more are taken for a defect."
    )
    connect_timeout_s: float = Field(10.0, gt=0, description="How long a connection to Ollama may take.")
    idle_timeout_s: float = Field(
        300.0, gt=0, description="How long an idle kept-alive connection is held, on both sides."
    )
    linger_s: float = Field(
        5.0,
        gt=0,
        description="How long a connection is read on after a refusal, so that its sender sees it; nginx: 5 s.",
    )
    grace_s: float = Field(10.0, ge=0, description="How long open answers may take to end when ltmld stops.")


class WakeSettings(_Section):
    """Recording, recall and injection while the user talks."""

    record: bool = Field(default=True, description="Record exchanges.")
    inject: bool = Field(default=True, description="Put memories into prompts.")
    budget_tokens: int = Field(800, ge=0, description="Most tokens that one wake block may hold.")
    note_budget_tokens: int = Field(300, ge=0, description="Most tokens that one recall note may hold.")
    context_share: float = Field(
        0.1, gt=0, le=1, description="Most of the context length that memory may take."
    )
    context_tokens: int = Field(4096, gt=0, description="Context length assumed where Ollama does not tell.")
    k: int = Field(10, ge=0, description="Most memories and messages in one wake block.")
    floor: float = Field(0.35, ge=0, description="Lowest score that is worth injecting.")
    recall_deadline_ms: float = Field(
        150.0, gt=0, description="How long recall may take before Ollama is asked without."
    )
    commit_deadline_ms: float = Field(
        2000.0, gt=0, description="How long the end of an answer waits for the ledger."
    )
    capture_bytes_max: int = Field(
        8 * 1024 * 1024, gt=0, description="Most bytes of one answer that are kept."
    )
    cloud: bool = Field(default=False, description="Let memories go to cloud models.")
    trusted_peers: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), description="Addresses whose identity headers are believed."
    )

    @field_validator("trusted_peers")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ip_address(peer)) for peer in value)


class LedgerSettings(_Section):
    """The SQLite file that holds the truth."""

    queue_max: int = Field(
        1024, gt=0, description="Most writes that wait; beyond it exchanges go unrecorded."
    )


class IndexSettings(_Section):
    """Full text and vectors."""

    candidates: int = Field(100, gt=0, description="Units that each half of the index offers to ranking.")


class ModelsSettings(_Section):
    """The embedder, and the model that sleep asks."""

    embedder: Literal["all-minilm-l6-v2"] = Field("all-minilm-l6-v2", description="Embedding model.")
    threads: int = Field(2, gt=0, description="Threads that embedding may use.")
    sleep_model: str = Field("", description="Ollama model of sleep; empty: the model last talked to.")
    completion_timeout_s: float = Field(600.0, gt=0, description="How long one completion of sleep may take.")


class SleepSettings(_Section):
    """The night."""

    episode_gap_minutes: float = Field(
        30.0, gt=0, description="Silence that ends an episode (memv: 30 minutes)."
    )
    episode_messages_max: int = Field(40, gt=1, description="Most messages in one episode.")
    gate_threshold: float = Field(0.5, ge=0, le=1, description="Gate score from which a message is admitted.")
    floor: float = Field(0.05, ge=0, description="Strength below which a memory fades.")
    # A half-life of a week kept 29 % of current facts within reach, one of a year 75 % (hippo's analysis).
    base_days: float = Field(180.0, gt=0, description="Days in which an ordinary unused memory falls to 1/e.")
    nightly_at: str = Field(
        "03:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Local time of the nightly cycle."
    )


class AdminSettings(_Section):
    """The control plane."""

    import_bytes_max: int = Field(256 * 1024 * 1024, gt=0, description="Largest import in one call.")


class Settings(BaseSettings):
    """All settings of one ltmld."""

    model_config = SettingsConfigDict(
        env_prefix="LTMLD_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("ltmld", appauthor=False)),
        description="Folder of the ledger, the index and the token.",
    )
    listen: str = Field("127.0.0.1:11435", description="Where clients reach the data plane.")
    upstream: str = Field("http://127.0.0.1:11434", description="Where Ollama is.")
    admin_listen: str = Field(
        "127.0.0.1:11436", description="Where the control plane listens; loopback only."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )

    proxy: ProxySettings = ProxySettings()
    wake: WakeSettings = WakeSettings()
    ledger: LedgerSettings = LedgerSettings()
    index: IndexSettings = IndexSettings()
    models: ModelsSettings = ModelsSettings()
    sleep: SleepSettings = SleepSettings()
    admin: AdminSettings = AdminSettings()

    @field_validator("data_dir", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            raise ValueError("must name a folder")
        return value

    @field_validator("data_dir")
    @classmethod
    def _expanded(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("listen", "admin_listen")
    @classmethod
    def _address(cls, value: str) -> str:
        split_address(value)
        return value

    @field_validator("admin_listen")
    @classmethod
    def _loopback(cls, value: str) -> str:
        host, _ = split_address(value)
        if host != "localhost" and not _is_loopback(host):
            raise ValueError(
                "must be a loopback address such as 127.0.0.1:11436: the control plane holds everything"
            )
        return value

    @field_validator("upstream")
    @classmethod
    def _url(cls, value: str) -> str:
        text = value if "://" in value else f"http://{value}"
        parts = urlsplit(text)
        extra = parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/")
        if parts.scheme != "http" or not parts.hostname or extra:
            raise ValueError("must be http://host:port, the address of Ollama, and nothing behind it")
        port = parts.port or (OLLAMA_PORT if "://" not in value else 80)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return f"http://{host}:{port}"

    @model_validator(mode="after")
    def _apart(self) -> Self:
        """Refuse an upstream that is ltmld itself: every request would come back to it until nothing is left."""
        host, port = split_address(self.upstream.removeprefix("http://"))
        for name in ("listen", "admin_listen"):
            own_host, own_port = split_address(getattr(self, name))
            if (
                port == own_port
                and port != 0
                and (host == own_host or (_is_here(host) and _is_here(own_host)))
            ):
                raise ValueError(f"upstream and {name} are the same address; upstream is where Ollama is")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: flags, environment, then the TOML file."""
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, toml_file=config_file()),
        )

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """Read all sources; *flags* that are ``None`` count as not given.

        Raises:
            SettingsError: a value is malformed, unknown or out of range.
        """
        _refuse_unknown(cls)
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as error:
            raise SettingsError(_explain(error)) from error
        except SourceError as error:  # a variable that is not the JSON it should be
            raise SettingsError(f"{error}. Check the LTMLD_* variables; lists are JSON.") from error
        except (ValueError, OSError) as error:  # the TOML file itself
            raise SettingsError(f"{config_file()} cannot be read: {error}. Correct or remove it.") from error


def config_file() -> Path:
    """Return the path of the TOML file (``LTMLD_CONFIG_DIR`` moves its folder)."""
    return config_dir() / "config.toml"


def config_dir() -> Path:
    """Return the configuration folder, where a user's own prompts live too."""
    explicit = os.environ.get("LTMLD_CONFIG_DIR")
    return Path(explicit or platformdirs.user_config_dir("ltmld", appauthor=False)).expanduser().absolute()


def split_address(address: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[v6]:port``.

    Raises:
        ValueError: it is neither.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError(f"must be host:port, not {address!r}")
    return host.strip("[]"), int(port)


def _refuse_unknown(settings: type[BaseSettings]) -> None:
    known = {f"LTMLD_{name.upper()}" for name in settings.model_fields} | _OTHER_VARIABLES
    for name in os.environ:
        if name.startswith("LTMLD_") and name.partition("__")[0] not in known:
            raise SettingsError(f"{name} is no setting of ltmld. `ltmld config show` lists them.")


def _is_here(host: str) -> bool:
    return host == "localhost" or _is_loopback(host) or host in ("0.0.0.0", "::")  # noqa: S104 - recognized, not bound


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"]) or "settings"
        reason = item["msg"].removeprefix("Value error, ")
        lines.append(f"setting {name}: {reason} (got {item.get('input')!r})")
    where = f"Check LTMLD_* variables, flags and {config_file()}."
    return "; ".join(lines) + f". {where}"
