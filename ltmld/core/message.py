"""A message: one role-tagged item inside an exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """An image or file, kept as digest and size, never as bytes."""

    media: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call that the model asked for; *arguments* is JSON text as it was written."""

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One role-tagged item: what was said, by whom, without sentinels or thinking.

    *parts* are the pieces of the text where the client sent several; they say the same as *text*.
    """

    role: Role
    text: str
    name: str = ""
    thinking: str = ""
    attachments: tuple[Attachment, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    parts: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def spoken(self) -> bool:
        """Tell whether a person or the model said it (system text and tool output are not speech)."""
        return self.role in (Role.USER, Role.ASSISTANT)
