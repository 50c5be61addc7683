"""The ports: what the rooms of one floor ask of each other, so that none of them imports another.

Each protocol is implemented in one room, used from another, and wired together by ``ltmld.daemon``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

if TYPE_CHECKING:
    from ltmld.core.account import Account
    from ltmld.core.hit import Recollection, Scored, Unit

JsonObject = dict[str, Any]
"""A JSON object on its way in or out; ``Any`` ends where it is read."""


# --- data plane: the proxy asks, wake answers -------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """The head of one client request as it arrived: raw target, headers in order, names lower-cased.

    ``peer`` is the client's address as text; ``client`` its User-Agent.
    """

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    peer: str

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of header *name* (lower case), or ``None``."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    @property
    def path(self) -> str:
        """The path that Ollama routes by: no query, no scheme and host (a proxy's form), no percent escapes."""
        path = self.target.partition("?")[0]
        if path.startswith("/") and "%" not in path:
            return path
        scheme, mark, rest = path.partition("://")
        if mark and scheme.lower() in ("http", "https"):
            path = "/" + rest.partition("/")[2]
        return unquote(path)


class Recording(Protocol):
    """One looked-into exchange in flight. No method raises; none may keep the client waiting for long."""

    def begin(self, *, status: int, content_type: str) -> None:
        """The upstream's response head has arrived."""

    def feed(self, data: bytes) -> int:
        """Watch decoded body bytes go by; return how many of the bytes held so far may pass now.

        The count covers everything fed and not yet passed, oldest first. What it leaves back is the
        terminator: the relay holds it until ``commit`` has returned, then passes all of it on.
        """

    @property
    def complete(self) -> bool:
        """Whether the terminator has been seen: time to ``commit``."""

    def body_ended(self) -> None:
        """The body has come to its own end, whether a terminator was seen or not.

        Not called when the body broke off or the client went away; ``close`` still follows.
        """

    async def commit(self) -> None:
        """Write the exchange to the ledger; returns when it is durable, or was given up (bounded)."""

    async def close(self, *, error: str = "") -> None:
        """The response is over, however it ended; records what a missing terminator left unrecorded.

        ``error`` is empty when the client went away or all is well, else what the upstream did.
        Called exactly once, after the last ``feed`` and any ``commit``.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReply:
    """An answer that ltmld gives itself, in the words and the framing of the request's dialect.

    ``payloads`` are its lines or events as Ollama would flush them; a reply that is not ``streamed`` is sent whole.
    ``headers`` are what the dialect adds to the ordinary ones; framing, type and date are the proxy's business.
    """

    payloads: tuple[bytes, ...]
    content_type: str
    status: int = 200
    streamed: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the proxy is to do with one request that was looked into.

    ``body`` is what goes upstream: the very object that came in when nothing was injected.
    ``drop_headers`` are lower-case names not to forward (content-encoding of a rewritten body, ltmld's own).
    With an ``answer`` nothing goes upstream: the client gets it at once, and no connection to Ollama is made.
    """

    body: bytes
    recording: Recording | None = None
    drop_headers: frozenset[bytes] = frozenset()
    answer: OwnReply | None = None


class Commands(Protocol):
    """What a person may ask in a chat, answered in words for that person.

    Each acts in *scope* and nowhere else. Methods are synchronous and thread-safe; they raise ``LtmldError`` only.
    """

    def status(self, scope: str) -> str: ...  # noqa: D102 - docs/commands.md says it
    def why(self, scope: str, account: Account) -> str: ...  # noqa: D102
    def sleep(self, scope: str) -> str: ...  # noqa: D102
    def remember(self, scope: str, text: str) -> str: ...  # noqa: D102
    def forget(self, scope: str, text: str) -> str: ...  # noqa: D102
    def pause(self, scope: str) -> str: ...  # noqa: D102
    def resume(self, scope: str) -> str: ...  # noqa: D102


class Attendant(Protocol):
    """Wake, as the proxy sees it."""

    def looks_into(self, head: RequestHead) -> bool:
        """Tell at once whether the body of this request is to be read and handed to ``attend``."""

    async def attend(self, head: RequestHead, body: bytes) -> Plan:
        """Decide, recall, inject. Never raises, and returns within its deadline: at worst the body untouched."""

    def unavailable(self, head: RequestHead, message: str) -> bytes:
        """Return the JSON body of a 502 in the error shape of the request's dialect."""


# --- embedding, index, recall -------------------------------------------------------------------------


class Embedder(Protocol):
    """Turns texts into unit-length vectors."""

    @property
    def name(self) -> str:
        """Name and revision, as stored beside every vector: ``all-minilm-l6-v2/int8``."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def embed(self, texts: Sequence[str]) -> Any:
        """Return a float32 array of shape ``(len(texts), dimension)``, rows of length 1.

        Raises:
            EmbedderError: the model cannot be loaded or run.
        """


class Index(Protocol):
    """Full text and vectors over retrieval units; derived from the ledger, disposable."""

    def upsert(self, units: Sequence[Unit]) -> None:
        """Add or replace units; a repeated call changes nothing."""

    def delete(self, scope: str, unit_ids: Sequence[str]) -> None:
        """Remove units from both halves; unknown ids are ignored."""

    def lexical(self, query: str, *, scope: str, limit: int) -> list[Scored]:
        """Return the best units by BM25, best first; empty when nothing matches."""

    def semantic(self, query: str, *, scope: str, limit: int) -> list[Scored]:
        """Return the best units by cosine (the best of each unit's vectors), best first.

        Empty while the vector half is unavailable: lexical recall goes on alone.
        """

    def similar(self, texts: Sequence[str], *, scope: str, limit: int) -> list[list[Scored]]:
        """Return, for each text, the nearest memory units by cosine."""

    def names(self, scope: str) -> frozenset[str]:
        """Return the names of the people who speak, or are spoken of, in a scope."""


class Recall(Protocol):
    """Finds what matters for a text."""

    def recall(
        self,
        query: str,
        *,
        scope: str,
        at: datetime | None = None,
        budget_tokens: int = 800,
        k: int = 10,
        floor: float = 0.0,
        exclude: frozenset[str] = frozenset(),
        news_only: bool = False,
    ) -> Recollection:
        """Return hits best first, packed to the budget.

        Left out: what scores below *floor*, and ids in *exclude* (memories, or messages behind hits);
        with *news_only* also messages that say nothing beyond the query: what a reader has before him.
        """


# --- the model of sleep ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer of the model to sleep."""

    text: str
    prompt_tokens: int = 0
    reply_tokens: int = 0
    took_ms: float = 0.0


class Completer(Protocol):
    """The model that sleep asks; raises only ``CompletionError`` and ``UpstreamError``."""

    @property
    def model(self) -> str:
        """The model's name in Ollama."""

    def complete(self, *, system: str, prompt: str, schema: Mapping[str, Any]) -> Completion:
        """Return the model's answer, constrained to *schema* (JSON Schema), temperature 0."""


# --- the control plane: admin and the command line ask, the daemon answers ---------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepRequest:
    """What a person or a timer asks of the sleep cycle."""

    depth: str = "light"
    model: str = ""
    scope: str = ""
    dry_run: bool = False
    trigger: str = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgress:
    """One step of a running cycle, for people watching."""

    cycle_id: str
    stage: str
    done: int
    total: int
    note: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


class Control(Protocol):
    """Everything that the control plane and the command line can do, in the words of the contract.

    Answers are JSON objects as ``docs/control-plane.md`` has them. Methods are synchronous and
    thread-safe (the HTTP side runs them in threads). They raise ``LtmldError`` only.
    """

    def status(self) -> JsonObject: ...  # noqa: D102 - the contract's words say it
    def import_lines(self, lines: Iterator[bytes]) -> JsonObject: ...  # noqa: D102
    def recall(self, body: JsonObject) -> JsonObject: ...  # noqa: D102
    def memories(self, query: JsonObject) -> JsonObject: ...  # noqa: D102
    def memory(self, memory_id: str) -> JsonObject: ...  # noqa: D102
    def memory_history(self, memory_id: str) -> JsonObject: ...  # noqa: D102
    def remember(self, body: JsonObject) -> JsonObject: ...  # noqa: D102
    def edit(self, memory_id: str, body: JsonObject) -> JsonObject: ...  # noqa: D102
    def forget(self, memory_id: str, *, hard: bool = False) -> JsonObject: ...  # noqa: D102
    def start_sleep(self, request: SleepRequest) -> JsonObject: ...  # noqa: D102
    def sleeps(self) -> JsonObject: ...  # noqa: D102
    def sleep(self, cycle_id: str) -> JsonObject: ...  # noqa: D102
    def threads(self, query: JsonObject) -> JsonObject: ...  # noqa: D102
    def exchange(self, exchange_id: str) -> JsonObject: ...  # noqa: D102
    def reindex(self, embedder: str = "") -> JsonObject: ...  # noqa: D102
    def pause(self, scope: str) -> JsonObject: ...  # noqa: D102
    def resume(self, scope: str) -> JsonObject: ...  # noqa: D102
