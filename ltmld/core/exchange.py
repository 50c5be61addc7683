"""An exchange: one proxied request and its reply, recorded once and never changed.

Rules:
1. A ``Turn`` is what wake hands to the ledger; the ledger decides which of its messages are new.
2. ``path`` holds every non-system message of the request, oldest first, each with the hash of the
   chain that ends in it; the reply, when there is one, comes after the last of them.
3. Nothing here is altered after it was recorded: a later truth is a new row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ltmld.core.injection import Injection
from ltmld.core.message import Message, ToolCall


class Outcome(StrEnum):
    """How an exchange ended."""

    COMPLETED = "completed"
    CUT_SHORT = "cut_short"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the model reported about its work; ``None`` where it said nothing."""

    prompt_tokens: int | None = None
    reply_tokens: int | None = None
    prompt_ms: float | None = None
    reply_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, as far as it came."""

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    model: str = ""
    done_reason: str = ""
    usage: Usage = Usage()
    error: str = ""
    context_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMessage:
    """One message of a conversation and the hash of the chain that ends in it.

    ``index`` is its place in the request's messages; -1 where the request does not send it.
    """

    message: Message
    chain: str
    at: datetime | None = None
    ref: str = ""
    index: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One exchange as wake saw it, ready to be recorded."""

    exchange_id: str
    scope: str
    thread_id: str
    thread_key: str
    dialect: str
    path: tuple[PathMessage, ...]
    reply: Reply
    reply_chain: str
    outcome: Outcome
    status: int
    model: str
    client: str
    started_at: datetime
    finished_at: datetime
    reply_name: str = ""
    reply_ref: str = ""
    reply_at: datetime | None = None
    request_sha256: str = ""
    injections: tuple[Injection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the ledger did with a turn."""

    exchange_id: str
    thread_id: str
    new_message_ids: tuple[str, ...]
    reply_message_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a request continues a stored conversation: the deepest message of its path already known.

    ``chains`` is empty unless the path is a window of the thread, its oldest messages dropped by the client:
    then these are the chains of the path's messages in the thread, to be used instead of their own. After a
    generate's ``context`` they are the chains of the messages that the client does not resend. ``skipped`` counts
    the messages at the front of such a window that are none of the thread's: what the client put in place of the
    ones it dropped. ``key`` is the thread's own where the request named none. ``went_on``
    tells of a path with one message of the user that the thread has more of theirs.
    """

    thread_id: str
    depth: int
    message_ids: tuple[str, ...]
    chains: tuple[str, ...] = ()
    skipped: int = 0
    key: str = ""
    went_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """One message of the ledger with its place in its thread."""

    id: str
    scope: str
    thread_id: str
    exchange_id: str
    parent_id: str | None
    ordinal: int
    role: str
    speaker: str
    text: str
    at: datetime
    ref: str = ""
