"""The sections of the settings: one for each room, which receives nothing else.

Rules:
1. Every setting has a default, a unit in its name, and a line of description: the reference is made from them.
2. A section knows all its names, and is frozen.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from ltmld.core.embedder_key import embedder_key


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
        description="How long a request's head may take from first byte to end, and a TLS handshake; nginx: 60 s.",
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
    ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) believed for an https upstream besides the system's: a private CA, or the "
        "upstream's own. Checking cannot be switched off.",
    )
    tls_certificate: Path | None = Field(
        None, description="Certificate (PEM, with its chain) of the data plane; with it, clients use https."
    )
    tls_key: Path | None = Field(None, description="Private key (PEM, not encrypted) of that certificate.")

    @field_validator("ca_file", "tls_certificate", "tls_key", mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("ca_file", "tls_certificate", "tls_key")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key are set together, or neither of them")
        return self


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
    look_values_max: int = Field(
        300_000,
        gt=0,
        description="Most JSON values of a request that is read; a long conversation has thousands, a `context` of "
        "Ollama one for each token. More pass unread.",
    )
    look_messages_max: int = Field(
        10_000,
        gt=0,
        description="Most messages, with the parts of their contents, of a request that is looked into.",
    )
    look_deadline_ms: float = Field(
        2000.0, gt=0, description="How long reading a request may take; then it passes without memory."
    )
    origins: tuple[str, ...] = Field(
        (),
        description="Web origins whose requests are looked into besides those that Ollama lets in by itself: what "
        "`OLLAMA_ORIGINS` adds, with at most one `*` in each. Requests of other pages pass unread.",
    )
    cloud: bool = Field(
        default=False, description="Let memories go to cloud models, and record what is said to them."
    )
    commands: bool = Field(default=True, description="Answer `/ltm ...` in a chat instead of the model.")
    command_deadline_ms: float = Field(
        5000.0, gt=0, description="How long a command in a chat may take; what is not done by then goes on."
    )
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
    url: str = Field(
        "",
        description="Chroma server that keeps the vectors, such as `http://127.0.0.1:8000`; empty: in the data folder.",
    )
    token: SecretStr | None = Field(None, description="Token that the Chroma server asks for.")
    token_header: str = Field(
        "x-chroma-token",
        pattern=r"^[A-Za-z0-9-]+$",
        description="Header that carries the token; with `Authorization` the token is written as `Bearer ...`.",
    )
    deadline_ms: float = Field(
        100.0,
        gt=0,
        description="How long a search waits for a Chroma server or a model of Ollama; then full text goes on alone.",
    )

    @field_validator("url")
    @classmethod
    def _server(cls, value: str) -> str:
        url = value.strip().rstrip("/")
        parts = urlsplit(url)
        if url and (
            parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment
        ):
            raise ValueError("must be a URL such as http://127.0.0.1:8000, or empty")
        if parts.username or parts.password:
            raise ValueError("holds a password: set index.token instead")
        return url


class ModelsSettings(_Section):
    """The embedder, and the model that sleep asks."""

    embedder: str = Field(
        "all-minilm-l6-v2",
        description="Embedding model: `all-minilm-l6-v2`; `ollama:NAME`, a model of Ollama; or a sentence-transformers "
        "model, by its folder or by the name under which the Hugging Face cache has it.",
    )
    threads: int = Field(2, gt=0, description="Threads that embedding may use.")
    embedding_timeout_s: float = Field(
        60.0, gt=0, description="How long Ollama may take for one batch of texts, loading the model included."
    )
    sleep_model: str = Field("", description="Ollama model of sleep; empty: the model last talked to.")
    completion_timeout_s: float = Field(600.0, gt=0, description="How long one completion of sleep may take.")

    @field_validator("embedder")
    @classmethod
    def _embedder(cls, value: str) -> str:
        return embedder_key(value)


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
