"""What messages were cut to, kept for the requests to come: a client resends its history with every turn.

Rules:
1. A bounded number of characters is kept, of texts and of what was left of them; the oldest go first.
2. Threads share it: a large request is read beside the event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

# A few long conversations with an editor's surroundings in every turn.
CHARS_MAX = 4 * 1024 * 1024


class CutTexts:
    """Texts and what is left of them."""

    def __init__(self, chars_max: int = CHARS_MAX) -> None:
        self._chars_max = chars_max
        self._chars = 0
        self._left: dict[str, str] = {}
        self._lock = Lock()

    @property
    def chars(self) -> int:
        """How many characters are kept."""
        return self._chars

    def left_of(self, text: str, cut: Callable[[str], str]) -> str:
        """Return what *cut* leaves of *text*; asked once, as long as it is kept."""
        known = self._left.get(text)
        if known is not None:
            return known
        left = cut(text)
        size = len(text) + len(left)
        if size > self._chars_max:
            return left
        with self._lock:
            if text not in self._left:
                self._left[text] = left
                self._chars += size
            while self._chars > self._chars_max:
                oldest = next(iter(self._left))
                self._chars -= len(oldest) + len(self._left.pop(oldest))
        return left
