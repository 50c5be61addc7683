"""One frozen tree of settings: defaults, then the TOML file, then ``LTMLD_*``, then flags.

Rules:
1. Each room receives only its own section (``ltmld.sections``).
2. A bad value is refused with the name of the setting and what it may be; nothing is guessed.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, Self

import platformdirs
from pydantic import (
    BaseModel,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from ltmld.core.ollama_host import OllamaHost
from ltmld.errors import SettingsError
from ltmld.sections import (
    AdminSettings,
    IndexSettings,
    LedgerSettings,
    ModelsSettings,
    ProxySettings,
    SleepSettings,
    WakeSettings,
)

__all__ = [
    "AdminSettings",
    "IndexSettings",
    "LedgerSettings",
    "ModelsSettings",
    "ProxySettings",
    "Settings",
    "SleepSettings",
    "WakeSettings",
    "config_dir",
    "config_file",
    "split_address",
]

# Variables of ours that are no settings.
_OTHER_VARIABLES = {"LTMLD_CONFIG_DIR", "LTMLD_DEBUG"}


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
    upstream: str = Field(
        "http://127.0.0.1:11434",
        description="Where Ollama is, as `OLLAMA_HOST` says it: http or https, host, port, path. Where this is not "
        "set, `OLLAMA_HOST` itself counts, unless it names ltmld.",
    )
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

    _upstream_source: str = PrivateAttr("default")

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
        if not value.strip():
            raise ValueError("must say where Ollama is, such as http://127.0.0.1:11434")
        return OllamaHost.parse(value).url

    @model_validator(mode="wrap")
    @classmethod
    def _inherit(cls, data: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        """Take ``OLLAMA_HOST`` where nothing of ltmld says where Ollama is, and remember who said it."""
        told, source = dict(data), "settings"
        if "upstream" not in told:
            inherited, source = _inherited(str(told.get("listen", cls.model_fields["listen"].default)))
            told |= {"upstream": inherited} if inherited else {}
        settings = build(told)
        settings._upstream_source = source  # noqa: SLF001 - its own
        return settings

    @model_validator(mode="after")
    def _apart(self) -> Self:
        """Refuse an upstream that is ltmld itself: every request would come back to it until nothing is left."""
        for name in ("listen", "admin_listen"):
            if self.upstream_host.is_listener(getattr(self, name)):
                raise ValueError(f"upstream and {name} are the same address; upstream is where Ollama is")
        return self

    @property
    def upstream_host(self) -> OllamaHost:
        """Where Ollama is, in parts."""
        return OllamaHost.parse(self.upstream)

    @property
    def upstream_source(self) -> str:
        """Who said where Ollama is, for people: ``settings``, ``OLLAMA_HOST`` or ``default``."""
        return self._upstream_source

    @property
    def listen_url(self) -> str:
        """Where clients reach the data plane, as they say it."""
        return f"{'https' if self.proxy.tls_certificate else 'http'}://{self.listen}"

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


def _inherited(listen: str) -> tuple[str, str]:
    """Return what ``OLLAMA_HOST`` says, and the source to show; nothing where it names ltmld itself.

    A person who points programs at ltmld sets ``OLLAMA_HOST`` to ltmld's address: that says nothing of Ollama's.

    Raises:
        SettingsError: it cannot be read.
    """
    text = os.environ.get("OLLAMA_HOST", "").strip().strip("\"'").strip()
    if not text:
        return "", "default"
    try:
        host = OllamaHost.parse(text, forgiving=True)
        own = host.is_listener(listen)
    except ValueError as error:
        raise SettingsError(
            f"OLLAMA_HOST {error}. Correct it, or say with LTMLD_UPSTREAM where Ollama is."
        ) from None
    return ("", "default, as OLLAMA_HOST is ltmld's own address") if own else (host.url, "OLLAMA_HOST")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"])
        about = f"setting {name}: " if name else ""  # a rule about several settings names them itself
        reason = item["msg"].removeprefix("Value error, ")
        got = item.get("input")
        # Not what may hold a password, nor a whole section where the rule is about several settings.
        told = "" if "@" in str(got) or isinstance(got, dict | BaseModel) else f" (got {got!r})"
        lines.append(f"{about}{reason}{told}")
    where = f"Check LTMLD_* variables, flags and {config_file()}."
    return "; ".join(lines) + f". {where}"
