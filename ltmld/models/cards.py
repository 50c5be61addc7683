"""What Ollama says about a model: its own SYSTEM text, its context, whether it lives in the cloud.

Rules:
1. A card is asked for once and kept for ``FRESH_S``; a request that changes models empties the shelf, and what was
   asked before that is not put on it any more.
2. Not knowing is an answer: ``None`` means that the model's SYSTEM must not be touched. An old card is no answer:
   a model that was here may be in the cloud by now.
3. Who has no time to wait leaves the question behind: it goes on, and its answer is there for the next one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ltmld.core.ollama_host import OllamaHost
from ltmld.models.template import reads_system

if TYPE_CHECKING:
    import ssl

    import httpx

# Asking takes Ollama a millisecond or two; a Modelfile made anew is noticed within this time.
FRESH_S = 15.0
# More models than anybody talks to within that time; each may be spelled in several ways.
CARDS_MAX = 256
# A conversation's turns are minutes apart: connecting anew for each would cost a far Ollama's card its deadline.
_KEEPALIVE_S = 300.0
# Renderers with a default system text that any system message would delete (seen in Ollama's own sources).
DEFAULTING_RENDERERS = ("olmo3", "qwen3-coder", "glimmer")
FIRST_SYSTEM_ONLY = ("olmo3", "qwen3-coder")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """The part of ``/api/show`` and ``/api/ps`` that injection needs."""

    system: str = ""
    own_messages: bool = False
    renderer: str = ""
    reads_system: bool = True
    cloud: bool = False
    context_tokens: int | None = None

    @property
    def takes_system(self) -> bool:
        """Whether a system message can be put in front without losing what the model's author wrote."""
        defaulting = self.renderer.startswith(DEFAULTING_RENDERERS)
        return self.reads_system and not self.own_messages and not defaulting

    @property
    def reads_clients_system(self) -> bool:
        """Whether what stands at the end of a client's own system text is read.

        Messages of a Modelfile come before it, and a renderer that looks for it at the front misses it there.
        """
        return self.reads_system and not self.own_messages

    @property
    def first_system_only(self) -> bool:
        """Whether of several system messages only the first is read."""
        return self.renderer.startswith(FIRST_SYSTEM_ONLY)


class ModelCards:
    """A shelf of model cards, read from Ollama when needed."""

    def __init__(self, upstream: str, *, timeout_s: float, trust: ssl.SSLContext | None = None) -> None:
        self._upstream = upstream
        self._trust = trust
        self._cloud = OllamaHost.parse(upstream).cloud
        self._timeout_s = timeout_s
        self._client: httpx.AsyncClient | None = None
        self._shelf: dict[str, tuple[float, ModelCard]] = {}
        self._asking: dict[str, asyncio.Task[ModelCard | None]] = {}
        self._tasks: set[asyncio.Task[ModelCard | None]] = set()

    async def card(self, model: str) -> ModelCard | None:
        """Return the model's card, or ``None`` when Ollama does not tell."""
        if self._cloud:  # every model there is in the cloud, and it answers nobody without a key
            return ModelCard(cloud=True)
        kept = self._shelf.get(model)
        if kept and time.monotonic() - kept[0] < FRESH_S:
            return kept[1]
        asking = self._asking.get(model)
        if asking is None:
            self._asking[model] = asking = asyncio.create_task(self._asked(model))
            self._tasks.add(asking)
            asking.add_done_callback(self._ended)
        return await asyncio.shield(asking)

    def forget(self) -> None:
        """Empty the shelf: some model is being, or was, made, pulled or deleted."""
        # New ones: a question that is under way answers who waits for it, and nobody else (rule 1).
        self._shelf, self._asking = {}, {}

    def prepare(self) -> None:
        """Import and build the client now, in the caller's thread: it would hold up the event loop later."""
        import httpx  # noqa: PLC0415 - the data plane starts without it

        # The environment's proxies are for the network; Ollama is where the setting says.
        self._client = httpx.AsyncClient(
            base_url=self._upstream,
            timeout=self._timeout_s,
            limits=httpx.Limits(
                max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEEPALIVE_S
            ),
            trust_env=False,
            verify=self._trust or True,
        )

    async def close(self) -> None:
        """Leave what is being asked, and close the client's connections."""
        for asking in self._tasks:
            asking.cancel()
        if self._client is not None:
            await self._client.aclose()

    async def _asked(self, model: str) -> ModelCard | None:
        shelf, asking = self._shelf, self._asking
        try:
            card = await self._ask(model)
            if card:
                if len(shelf) >= CARDS_MAX:
                    shelf.clear()
                shelf[model] = (time.monotonic(), card)
            return card
        finally:
            asking.pop(model, None)

    def _ended(self, asking: asyncio.Task[ModelCard | None]) -> None:
        self._tasks.discard(asking)
        if not asking.cancelled():
            asking.exception()  # told to who waits; where nobody does any more, nobody is told

    async def _ask(self, model: str) -> ModelCard | None:
        import httpx  # noqa: PLC0415 - see prepare

        if self._client is None:
            self.prepare()
        assert self._client is not None  # noqa: S101 - prepare made it
        try:
            async with asyncio.timeout(2 * self._timeout_s):
                shown, loaded = await asyncio.gather(
                    self._client.post("/api/show", json={"model": model}), self._client.get("/api/ps")
                )
            if not shown.is_success:
                return None
            return _card(model, shown.json(), loaded.json() if loaded.is_success else {})
        except (httpx.HTTPError, TimeoutError, ValueError, AttributeError, TypeError):
            # Not reachable, or not what Ollama says: either way nothing is known.
            return None


def _card(model: str, shown: Mapping[str, Any], loaded: Mapping[str, Any]) -> ModelCard:
    rows: list[Mapping[str, Any]] = loaded.get("models") or []
    context = next((row.get("context_length") for row in rows if _same(row.get("name", ""), model)), None)
    return ModelCard(
        system=str(shown.get("system") or ""),
        own_messages=bool(shown.get("messages")),
        renderer=str(shown.get("renderer") or ""),
        reads_system=reads_system(shown),
        cloud=bool(shown.get("remote_host")),
        context_tokens=context if isinstance(context, int) and context > 0 else None,
    )


def _same(name: str, model: str) -> bool:
    return name.removesuffix(":latest").lower() == model.removesuffix(":latest").lower()
