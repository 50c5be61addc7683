"""Where a new thread's memories go: to the end of the system text, or before the user's first words.

Rules:
1. The system text where it is read, and nothing of anybody's is lost by it; else the user's words.
2. There is never a second system message, none after another message, and none before a client's own beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ltmld.core.message import Role

if TYPE_CHECKING:
    from ltmld.models.cards import ModelCard
    from ltmld.wire.dialects import Request

_CLIENTS_OWN = (Role.SYSTEM, Role.DEVELOPER)
# Its system text is shown to the client: the dialect itself puts a block before the first words of the user.
_ECHOING = "openai.responses"


def in_system(request: Request, card: ModelCard) -> bool:
    """Tell whether a block at the end of this request's system text is read and costs nobody anything."""
    if request.dialect == _ECHOING:
        return True
    if request.system is None:
        # A developer's text at the front, a system text in the middle: one more before it would be a second.
        return card.takes_system and not any(message.role in _CLIENTS_OWN for message in request.messages)
    return card.reads_clients_system and not (card.first_system_only and _in_parts(request))


def _in_parts(request: Request) -> bool:
    """Tell whether the system text is an array of several texts: Ollama makes each a message of its own."""
    listed = request.tree.get("messages")
    first = listed[0] if isinstance(listed, list) and listed else None
    content = first.get("content") if isinstance(first, dict) else None
    return isinstance(content, list) and len(content) > 1 and request.dialect == "openai.chat"
