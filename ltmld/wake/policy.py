"""Decide what memory may do with one request: record it, inject into it, both, or neither.

Rules:
1. Undecided means pass through: a request that is not understood as talk is neither recorded nor changed.
2. The fingerprints of clients' background requests are data (``fingerprints.toml``), not code.
3. A person's header (``X-LTMLD-Memory: off|read|write``) can only narrow what settings allow.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from ltmld.core.message import Role

if TYPE_CHECKING:
    from ltmld.config import WakeSettings
    from ltmld.wire.dialect import Request

# A reply of at most this many tokens is a probe or a title, never talk (Claude Code asks 1, Continue 16).
_PROBE_TOKENS_MAX = 20


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


def decide(request: Request, *, mode: str, settings: WakeSettings) -> Decision:
    """Decide about one parsed request; *mode* is the ``X-LTMLD-Memory`` header."""
    reason = _not_talk(request) or background(request)
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


def _obstacle(request: Request) -> str:
    """Say why nothing may be put into a request that is otherwise talk."""
    if request.injected:
        return "already injected"
    # The tokens of `context` hold the earlier prompt with its block; a second system text would only repeat it.
    return "continues by context" if request.context_sha256 else ""


def is_cloud(model: str) -> bool:
    """Tell whether Ollama would send this model's prompt to its cloud, by the name."""
    return model.lower().endswith((":cloud", "-cloud"))


def background(request: Request) -> str:
    """Name the background task that a client's own request is, or return an empty string."""
    users = [message.text for message in request.messages if message.role is Role.USER]
    last = users[-1].lstrip() if users else ""
    system = request.system or ""
    for mark in _fingerprints():
        text = system if mark.where == "system" else last
        if text.startswith(mark.text) if mark.starts else mark.text in text:
            return mark.name
    if len(request.messages) == 1 and last.startswith("### Task:") and "<chat_history>" in last:
        return "background task of a client"
    return ""


def _not_talk(request: Request) -> str:
    if request.empty:
        return "load or unload"
    for flag in ("raw", "suffix", "template", "debug_render"):
        if getattr(request, flag):
            return flag
    if not any(message.role is Role.USER and _content(message) for message in request.messages):
        return "nothing said by a user"
    if request.reply_tokens_max is not None and 0 < request.reply_tokens_max <= _PROBE_TOKENS_MAX:
        return "probe"
    if request.has_format and len(request.messages) == 1:
        return "structured one-shot"
    return ""


def _content(message: object) -> bool:
    return bool(getattr(message, "text", "").strip() or getattr(message, "attachments", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fingerprint:
    name: str
    where: str
    starts: bool
    text: str


@cache
def _fingerprints() -> tuple[_Fingerprint, ...]:
    tree = tomllib.loads(resources.files("ltmld.wake").joinpath("fingerprints.toml").read_text("utf-8"))
    return tuple(
        _Fingerprint(
            name=entry["name"],
            where=entry.get("where", "user"),
            starts="starts" in entry,
            text=entry.get("starts") or entry["contains"],
        )
        for entry in tree["fingerprint"]
    )
