"""Whose memory a request belongs to, and which conversation it continues.

Rules:
1. Identity headers are believed from trusted peers only; from anybody else the scope is ``default``.
2. A thread is an explicit id, else the chain of hashes over what was said: system text, thinking and
   injected blocks never count, because clients change them between turns.
3. A single message that was seen long ago is a new conversation, not a regenerate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ltmld.core.chain import chains, message_chain
from ltmld.core.exchange import PathMessage, StoredMessage
from ltmld.core.message import Message, Role
from ltmld.core.scope import DEFAULT_SCOPE, is_scope
from ltmld.wake.boilerplate import turns

if TYPE_CHECKING:
    from ltmld.core.ports import RequestHead
    from ltmld.wire.dialects import Request

# In order of trust: ltmld's own header, then what known clients send (Open WebUI, Claude Code, Codex in the
# spellings of its versions).
_SCOPE_HEADERS = (b"x-ltmld-scope", b"x-openwebui-user-id")
_THREAD_HEADERS = (
    b"x-ltmld-thread",
    b"x-openwebui-chat-id",
    b"x-claude-code-session-id",
    b"session_id",
    b"session-id",
    b"conversation_id",
)
# Claude Code gives its sub-agents the session's id and one of their own: each has a conversation of its own.
_AGENT_HEADERS = (b"x-claude-code-agent-id",)
_USER_NAME_HEADERS = (b"x-ltmld-user-name", b"x-openwebui-user-name")
_KEY_CHARS_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the head of a request says about its owner and its conversation."""

    scope: str = DEFAULT_SCOPE
    thread_key: str = ""
    agent: str = ""
    user_name: str = ""
    assistant_name: str = ""
    refs: tuple[str, ...] = ()
    at: datetime | None = None
    mode: str = ""


def identify(head: RequestHead, *, trusted_peers: tuple[str, ...]) -> Identity:
    """Read the identity headers of a request."""
    mode = _first(head, (b"x-ltmld-memory",)).lower()
    if head.peer not in trusted_peers:
        return Identity(mode=mode)
    return Identity(
        scope=scope_of(_first(head, _SCOPE_HEADERS)),
        thread_key=_bounded(_first(head, _THREAD_HEADERS)),
        agent=_bounded(_first(head, _AGENT_HEADERS)),
        user_name=unquote(_first(head, _USER_NAME_HEADERS)),
        assistant_name=unquote(_first(head, (b"x-ltmld-assistant-name",))),
        refs=tuple(_first(head, (b"x-ltmld-refs",)).split()),
        at=_moment(_first(head, (b"x-ltmld-at",))),
        mode=mode,
    )


def thread_key_of(identity: Identity, request: Request) -> str:
    """Return the client's own name for the conversation: of the head, else of the body; empty when it has none."""
    key = identity.thread_key or request.thread_key
    return _bounded(f"{key}/{identity.agent}") if key and identity.agent else key


def scope_of(name: str) -> str:
    """Return the scope of a user's *name*: the name itself where it can be one, else a digest of it.

    Two names that cannot be scopes are still two people: they never share a memory, nor the default one.
    """
    if not name:
        return DEFAULT_SCOPE
    return name if is_scope(name) else f"id-{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


def path_of(request: Request, identity: Identity) -> tuple[PathMessage, ...]:
    """Return every message of the request that belongs to the conversation, with its chain hash."""
    counting = turns(request.messages)
    spoken = [_named(message, identity) for _, message in counting]
    return tuple(
        PathMessage(message=message, chain=chain, at=identity.at, index=index)
        for (index, _), message, chain in zip(counting, spoken, chains(spoken), strict=True)
    )


def after(
    earlier: Sequence[StoredMessage], hashes: Sequence[str], path: tuple[PathMessage, ...]
) -> tuple[PathMessage, ...]:
    """Return *path* as the continuation of stored messages, which have these chain *hashes*."""
    joined = [
        PathMessage(
            message=Message(role=Role(stored.role), text=stored.text, name=stored.speaker), chain=chain
        )
        for stored, chain in zip(earlier, hashes, strict=True)
    ]
    for item in path:
        joined.append(replace(item, chain=message_chain(joined[-1].chain, item.message)))
    return tuple(joined)


def with_refs(
    path: tuple[PathMessage, ...], *, known: int, refs: tuple[str, ...]
) -> tuple[tuple[PathMessage, ...], str]:
    """Hand the client's references to the messages after the first *known*; what is left is the reply's."""
    new = path[known:]
    named = tuple(replace(item, ref=ref) for item, ref in zip(new, refs, strict=False))
    reply_ref = refs[len(new)] if len(refs) > len(new) else ""
    return (*path[:known], *named, *new[len(named) :]), reply_ref


def _named(message: Message, identity: Identity) -> Message:
    names = {Role.USER: identity.user_name, Role.ASSISTANT: identity.assistant_name}
    name = message.name or names.get(message.role, "")
    return replace(message, name=name)


def _bounded(key: str) -> str:
    """Return *key*, or its digest where it is longer than any id: two long keys never become one by a cut."""
    return key if len(key) <= _KEY_CHARS_MAX else sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _first(head: RequestHead, names: tuple[bytes, ...]) -> str:
    for name in names:
        value = head.get(name)
        if value:
            return value.decode("utf-8", "replace").strip()
    return ""


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None
