"""Decide what memory may do with one request: record it, inject into it, both, or neither.

Rules:
1. Undecided means pass through: a request that is not understood as talk is neither recorded nor changed.
2. The fingerprints of clients' background requests are data (``fingerprints.toml``), not code, and are compared with
   the user's own words: retrieved documents before a real question do not make it a background request.
3. A header (``X-LTMLD-Memory: off|read|write``, ``X-LTMLD-Task``) can only narrow what settings allow.
4. A model in Ollama's cloud gets nothing and gives nothing, unless ``wake.cloud`` allows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ltmld.core.message import Message, Role
from ltmld.wake.boilerplate import turns
from ltmld.wake.fingerprint import Fingerprint, Said
from ltmld.wake.fingerprints import shipped

if TYPE_CHECKING:
    from ltmld.config import WakeSettings
    from ltmld.core.ports import RequestHead
    from ltmld.wire.dialects import Request

# A reply of at most this many tokens is a probe or a title, never talk (Claude Code asks 1, Continue 16).
PROBE_TOKENS_MAX = 20
_TASK_HEADER = b"x-ltmld-task"
# How Open WebUI writes a name that it does not know: versions before 0.10 send it as it stands.
_UNFILLED = "{{"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What memory may do, and why not more."""

    record: bool
    inject: bool
    why: str = ""
    talk: bool = True
    """Whether a person is talking (``False``: a background request, a probe, a load)."""

    @property
    def hands_off(self) -> bool:
        """Whether the request passes as if ltmld were not there."""
        return not (self.record or self.inject)


def decide(
    request: Request,
    *,
    mode: str,
    settings: WakeSettings,
    head: RequestHead | None = None,
    fingerprints: Sequence[Fingerprint] | None = None,
) -> Decision:
    """Decide about one parsed request; *mode* is the ``X-LTMLD-Memory`` header."""
    spoken = [message for _, message in turns(request.messages)]
    known = shipped() if fingerprints is None else fingerprints
    reason = _not_talk(request, spoken) or background(request, spoken, head=head, fingerprints=known)
    if reason:
        return Decision(record=False, inject=False, why=reason, talk=False)
    if is_cloud(request.model) and not settings.cloud:
        return Decision(record=False, inject=False, why="cloud model")
    obstacle = _obstacle(request)
    return Decision(
        record=settings.record and mode in ("", "write"),
        inject=settings.inject and mode in ("", "read") and not obstacle,
        why=obstacle,
    )


def is_cloud(model: str) -> bool:
    """Tell whether Ollama would send this model's prompt to its cloud, by the name."""
    return model.lower().endswith((":cloud", "-cloud"))


def background(
    request: Request,
    spoken: Sequence[Message],
    *,
    head: RequestHead | None,
    fingerprints: Sequence[Fingerprint],
) -> str:
    """Name the background task that a client's own request is, or return an empty string."""

    def header(name: str) -> str:
        value = head.get(name.encode("latin-1", "replace")) if head else None
        return (value or b"").decode("latin-1").strip()

    task = header(_TASK_HEADER.decode())
    if task and not task.startswith(_UNFILLED):
        return f"task {task[:100]}"
    users = [message.text for message in spoken if message.role is Role.USER]
    said = Said(
        user=users[-1].strip() if users else "",
        system=(request.system or "").strip(),
        alone=len(spoken) == 1,
        header=header,
    )
    return next((mark.name for mark in fingerprints if mark.matches(said)), "")


def _obstacle(request: Request) -> str:
    """Say why nothing may be put into a request that is otherwise talk."""
    if request.injected:
        return "already injected"
    # The tokens of `context` hold the earlier prompt with its block; a second system text would only repeat it.
    return "continues by context" if request.context_sha256 else ""


def _not_talk(request: Request, spoken: Sequence[Message]) -> str:
    if request.empty:
        return "load or unload"
    for flag in ("raw", "suffix", "template", "debug_render"):
        if getattr(request, flag):
            return flag
    if not any(message.role is Role.USER and _content(message) for message in spoken):
        return "nothing said by a user"
    if request.reply_tokens_max is not None and 0 < request.reply_tokens_max <= PROBE_TOKENS_MAX:
        return "probe"
    if request.has_format and len(spoken) == 1:
        return "structured one-shot"
    return ""


def _content(message: Message) -> bool:
    return bool(message.text.strip() or message.attachments)
