"""What the calls of the control plane may carry: shapes and limits, checked before the daemon is asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ltmld.core.scope import DEFAULT_SCOPE

# Above these a recall or a page is a mistake, not a wish: 100,000 tokens exceed any local context in use.
BUDGET_TOKENS_MAX = 100_000
HITS_MAX = 1_000
PAGE_MAX = 500
TEXT_CHARACTERS_MAX = 32 * 1024

Kind = Literal["fact", "preference", "event", "plan", "relationship", "lesson", "identity"]
State = Literal["active", "faded", "superseded", "disputed", "forgotten"]
Depth = Literal["nap", "light", "deep"]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def given(self) -> dict[str, Any]:
        """Return the fields that the caller sent, as JSON values."""
        return self.model_dump(mode="json", exclude_unset=True, exclude_none=True)


class RecallBody(_Body):
    """A question to memory."""

    query: str = Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)
    scope: str | None = None
    budget_tokens: int | None = Field(None, ge=0, le=BUDGET_TOKENS_MAX)
    k: int | None = Field(None, ge=1, le=HITS_MAX)
    at: datetime | None = None


class RememberBody(_Body):
    """A sentence that a person wants kept."""

    text: str = Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)
    kind: Kind | None = None
    scope: str | None = None
    pinned: bool | None = None


class EditBody(_Body):
    """What a person corrects in a memory."""

    text: str | None = Field(None, min_length=1, max_length=TEXT_CHARACTERS_MAX)
    kind: Kind | None = None
    state: State | None = None
    pinned: bool | None = None
    importance: float | None = Field(None, ge=0, le=1)
    subject: str | None = Field(None, max_length=200)
    attribute: str | None = Field(None, max_length=200)


class ScopeBody(_Body):
    """Whose memory is meant."""

    scope: str = DEFAULT_SCOPE


class ReindexBody(_Body):
    """Which embedder is to be used from now on; empty: the one in use."""

    embedder: str = Field("", max_length=1000)


class SleepBody(_Body):
    """A wish to sleep now."""

    depth: Depth | None = None
    model: str | None = Field(None, max_length=200)
    scope: str | None = None
    dry_run: bool | None = None
