"""A request that changes models: what was known of them is forgotten when it begins, and again when it has ended.

Making a model takes minutes. Who asks meanwhile is told what the model was, and would go on believing it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ltmld.core.ports import RequestHead

_PATHS = frozenset({"/api/create", "/api/pull", "/api/copy", "/api/delete"})
_METHODS = frozenset({"POST", "DELETE"})


def changes_models(head: RequestHead) -> bool:
    """Tell whether a request makes, replaces or deletes a model."""
    return head.path in _PATHS and head.method in _METHODS


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChange:
    """Implements ``ltmld.core.ports.Recording``: lets everything pass, and says when it is over."""

    ended: Callable[[], None]
    complete: bool = False

    def begin(self, *, status: int, content_type: str) -> None:
        """Whatever Ollama answers, something may have changed."""

    def feed(self, data: bytes) -> int:
        """Let all of it pass."""
        return len(data)

    def body_ended(self) -> None:
        """The close follows."""

    async def commit(self) -> None:
        """There is nothing to write."""

    async def close(self, *, error: str = "") -> None:  # noqa: ARG002 - what failed may have changed something, too
        """It is over."""
        self.ended()
