"""A person's hand in memory: what they want remembered, and what they correct."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from ltmld.core.chain import normalized
from ltmld.core.memory import RECALLABLE, Memory, MemoryKind, MemoryState, Source
from ltmld.core.ports import JsonObject
from ltmld.core.strength import reinforced, stability_days
from ltmld.errors import BadInputError

if TYPE_CHECKING:
    from ltmld.core.clock import Clock, NewId
    from ltmld.ledger.ledger import Ledger

# What a person says is believed more than what was extracted (0.7), and matters more than the average (0.5).
SAID_CONFIDENCE, SAID_IMPORTANCE = 0.95, 0.8
# The same bound as the text of one recall query: more is a document, not a memory.
TEXT_CHARACTERS_MAX = 32 * 1024
CAUSE = "user"
# Pages of equal words looked through for what is known already.
KNOWN_MAX = 50


class Said:
    """Remembers and corrects on a person's word."""

    def __init__(self, ledger: Ledger, *, clock: Clock, new_id: NewId) -> None:
        self._ledger, self._clock, self._new_id = ledger, clock, new_id

    def remember(self, *, text: str, kind: str, scope: str, pinned: bool) -> Memory:
        """Keep *text*; the same words again make the memory stronger instead of double.

        Raises:
            BadInputError: there are no words, too many, or no such kind.
        """
        words = normalized(text)
        if not words:
            raise BadInputError("text: there are no words to remember.")
        if len(words) > TEXT_CHARACTERS_MAX:
            raise BadInputError(
                f"text: a memory holds at most {TEXT_CHARACTERS_MAX} characters; this is a document."
            )
        sort = _one_of(MemoryKind, "kind", kind)
        known = self._known(words, scope=scope)
        if known is not None:
            return self._reinforce(known, pinned=pinned)
        return self._ledger.remember(
            self._memory(words, kind=sort, scope=scope, pinned=pinned), said=words, cause=CAUSE
        )

    def edit(self, memory_id: str, body: JsonObject) -> Memory:
        """Change what *body* names.

        Raises:
            BadInputError: nothing is named, or a value makes no sense.
            NotFoundError: there is no such memory.
            RefusedError: its state cannot become the one asked for.
        """
        changes = {name: _READ[name](name, value) for name, value in body.items() if name in _READ}
        if not changes or len(changes) < len(body):
            raise BadInputError(f"A correction names at least one of {', '.join(_READ)}, and nothing else.")
        return self._ledger.edit(self._ledger.memory(memory_id).id, cause=CAUSE, **changes)

    def _known(self, words: str, *, scope: str) -> Memory | None:
        found, _ = self._ledger.memories(scope=scope, text=words, limit=KNOWN_MAX)
        same = (memory for memory in found if normalized(memory.text).casefold() == words.casefold())
        return next((memory for memory in same if memory.state in RECALLABLE), None)

    def _reinforce(self, memory: Memory, *, pinned: bool) -> Memory:
        return self._ledger.edit(
            memory.id,
            cause=CAUSE,
            frequency=memory.frequency + 1,
            strength=reinforced(memory.strength),
            pinned=memory.pinned or pinned,
        )

    def _memory(self, words: str, *, kind: MemoryKind, scope: str, pinned: bool) -> Memory:
        now = self._clock()
        return Memory(
            id=self._new_id("mem"),
            scope=scope,
            kind=kind,
            text=words,
            # The ledger puts the message that it records for these words in its place.
            sources=(Source(message_id="", quote=words),),
            recorded_at=now,
            importance=SAID_IMPORTANCE,
            confidence=SAID_CONFIDENCE,
            stability_days=stability_days(importance=SAID_IMPORTANCE, frequency=1),
            valid_from=now,
            pinned=pinned,
        )


_Kind = TypeVar("_Kind", bound=StrEnum)


def _one_of(kinds: type[_Kind], name: str, value: Any) -> _Kind:
    try:
        return kinds(str(value))
    except ValueError as error:
        raise BadInputError(f"{name}: {str(value)[:40]!r} is none of {', '.join(kinds)}.") from error


def _words(name: str, value: Any) -> str:
    words = normalized(str(value))
    if name == "text" and not words:
        raise BadInputError("text: there are no words left. To drop a memory, forget it.")
    return words


def _share(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadInputError(f"{name}: it must be a number between 0 and 1.")
    return float(value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadInputError(f"{name}: it must be true or false.")
    return value


_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "text": _words,
    "kind": lambda name, value: _one_of(MemoryKind, name, value),
    "state": lambda name, value: _one_of(MemoryState, name, value),
    "pinned": _flag,
    "importance": _share,
    "subject": _words,
    "attribute": _words,
}
