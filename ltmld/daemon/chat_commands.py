"""What is said to the commands of a chat: the control's answers, in words for the person who asked.

Rules:
1. Everything here acts in one scope, the one that the request belongs to: another one's memories are not found.
2. The answers are Markdown, as chats show it, and short: the command line and the control plane have the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ltmld.core.chain import normalized
from ltmld.core.memory import Memory, MemoryState
from ltmld.core.ports import SleepRequest
from ltmld.daemon import standing
from ltmld.errors import NotFoundError
from ltmld.index.units import owner

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltmld.config import Settings
    from ltmld.core.account import Account
    from ltmld.core.exchange import StoredMessage
    from ltmld.core.injection import InjectedItem
    from ltmld.core.ports import JsonObject
    from ltmld.daemon.control import LocalControl
    from ltmld.ledger.ledger import Ledger

LISTED_MAX = 10
"""Most memories that one answer lists; a chat is no table."""
UNGATHERED_SHOWN_MAX = 1000
TEXT_CHARACTERS_SHOWN = 300
_ID = "mem-"
# A few digits name a memory only by the chance that there is one: nothing is forgotten by chance.
_ID_DIGITS_MIN = 8


class ChatCommands:
    """Implements ``ltmld.core.ports.Commands``."""

    def __init__(
        self, control: LocalControl, ledger: Ledger, settings: Settings, *, readiness: Callable[[], str]
    ) -> None:
        self._control, self._ledger, self._settings = control, ledger, settings
        self._readiness = readiness

    # --- how things stand ---

    def status(self, scope: str) -> str:
        """Tell whether memory is on here, what it holds, and when it slept."""
        counts = self._ledger.counts(scope)
        waiting = len(self._ledger.ungathered(scope, limit=UNGATHERED_SHOWN_MAX + 1))
        held = (
            _counted(counts["memories_active"] + counts["memories_disputed"], "memory", "memories"),
            _counted(counts["messages"], "message", "messages"),
            _counted(counts["threads"], "conversation", "conversations"),
        )
        lines = [
            self._switch(scope),
            f"- {held[0]}; {held[1]} in {held[2]}",
            f"- {_many(waiting)} since the last sleep, not sorted yet",
            f"- last sleep: {self._slept()}",
        ]
        if self._readiness() != "ready":
            lines.append("- the embedding model is still being loaded: until then recall goes by words alone")
        return "\n".join(lines)

    def _switch(self, scope: str) -> str:
        since = self._ledger.pauses.since(scope)
        if since is not None:
            return (
                f"Memory is **off** here (scope `{scope}`) since {_moment(since)}. `/ltm on` switches it on."
            )
        wake = self._settings.wake
        off = [name for name, on in (("recording", wake.record), ("injection", wake.inject)) if not on]
        but = (
            f", but {' and '.join(off)} {'are' if len(off) > 1 else 'is'} off in the settings" if off else ""
        )
        return f"Memory is **on** here (scope `{scope}`){but}."

    def _slept(self) -> str:
        cycles = self._ledger.cycles(limit=5)
        running = next((row for row in cycles if row["state"] not in standing.ENDED), None)
        ended = next((row for row in cycles if row["state"] in standing.ENDED), None)
        told = "never (`/ltm sleep` starts one)"
        if ended is not None:
            at = _moment(datetime.fromisoformat(ended["ended_at"] or ended["started_at"]))
            told = f"{at}, {ended['state'].replace('_', ' ')}"
        return f"{told}; one is running now (`{running['id']}`)" if running is not None else told

    # --- why an answer was given what it was given ---

    def why(self, scope: str, account: Account) -> str:
        """Tell what the last answer of a conversation was given from memory, and why."""
        if not account.answered:
            return "There is no answer in this conversation yet, so nothing was given to one."
        new = [item for injection in account.new for item in injection.items]
        earlier = [item for injection in account.earlier for item in injection.items]
        parts = []
        if new:
            parts.append(f"The last answer was given {_counted(len(new), 'memory', 'memories')}:")
            parts.append(self._listed(scope, new))
        else:
            because = (
                account.silence or "nothing is known about the reason; ltmld may have been restarted since"
            )
            parts.append(f"The last answer was given nothing new from memory: {because}.")
        if earlier:
            told = _counted(len(earlier), "memory", "memories")
            parts.append(f"From earlier in this conversation {told} stood in the prompt as well:")
            parts.append(self._listed(scope, earlier))
        return "\n\n".join(parts)

    def _listed(self, scope: str, items: Sequence[InjectedItem]) -> str:
        lines = [f"- {self._item(scope, item)}" for item in items[:LISTED_MAX]]
        if len(items) > LISTED_MAX:
            lines.append(f"- and {len(items) - LISTED_MAX} more")
        return "\n".join(lines)

    def _item(self, scope: str, item: InjectedItem) -> str:
        message = self._evidence(scope, item)
        whence = f", {self._whence(message)}" if message is not None else ""
        why = (
            item.why if item.why.startswith(("pinned", "standing")) else f"score {item.score:.2f}: {item.why}"
        )
        return f"“{_short(item.text)}” (`{item.id}`{whence}; {why})"

    def _evidence(self, scope: str, item: InjectedItem) -> StoredMessage | None:
        """Return the message that a memory was drawn from, or that was recalled itself."""
        memories = self._ledger.memories_by_id([item.id])
        ids = [memories[0].sources[0].message_id] if memories else [owner(item.id)]
        found = [message for message in self._ledger.messages(ids) if message.scope == scope]
        return found[0] if found else None

    def _whence(self, message: StoredMessage) -> str:
        said = self._ledger.thread_messages(message.thread_id)
        opening = next((one.text for one in said if one.role == "user"), "")
        named = f" that began “{_short(opening, 60)}”" if opening else ""
        return f"said {_moment(message.at)} in the conversation{named}"

    # --- what a person does to memory ---

    def remember(self, scope: str, text: str) -> str:
        """Keep a sentence."""
        memory = self._control.remember({"text": text, "scope": scope})
        words, named = _short(memory["text"]), memory["id"]
        if memory["frequency"] > 1:
            return f"Known already, and firmer now: “{words}” (`{named}`, said {memory['frequency']} times)."
        return f"Remembered: “{words}” (`{named}`). `/ltm forget {named}` takes it back."

    def forget(self, scope: str, text: str) -> str:
        """Forget the one memory that is meant; ask where several could be."""
        found = self._meant(scope, text)
        if not found:
            return (
                f"No memory here has the id, or all the words, of “{_short(text, 80)}”; nothing was forgotten. "
                "`ltmld inspect` lists what is remembered."
            )
        if len(found) > 1:
            listed = "\n".join(f"- `{memory.id}` “{_short(memory.text)}”" for memory in found[:LISTED_MAX])
            more = f"\n- and {len(found) - LISTED_MAX} more" if len(found) > LISTED_MAX else ""
            which = "Several memories hold these words; nothing was forgotten. Say which: `/ltm forget ID`."
            return f"{which}\n\n{listed}{more}"
        [memory] = found
        self._control.forget(memory.id)
        return (
            f"Forgotten: “{_short(memory.text)}” (`{memory.id}`). It is not recalled and not learned again; "
            f"`ltmld forget --hard {memory.id}` erases its words as well."
        )

    def _meant(self, scope: str, text: str) -> list[Memory]:
        named = text.strip("`\"'“”")
        if named.startswith(_ID) and " " not in named:
            try:
                memory = self._ledger.memory(named, scope=scope)
            except NotFoundError:
                return []
            meant = memory.id == named or len(named) >= len(_ID) + _ID_DIGITS_MIN
            return [memory] if meant and memory.scope == scope and _is_there(memory) else []
        found, _ = self._ledger.memories(scope=scope, text=text, limit=5 * LISTED_MAX)
        there = [memory for memory in found if _is_there(memory)]
        same = [
            memory for memory in there if normalized(memory.text).casefold() == normalized(text).casefold()
        ]
        return same if len(same) == 1 else there

    def sleep(self, scope: str) -> str:
        """Begin a cycle for this scope."""
        started = self._control.start_sleep(SleepRequest(scope=scope, trigger="chat"))
        return (
            f"Sleep has begun (`{started['id']}`). It waits while you talk, and goes on when you do not. "
            f"`/ltm status` shows when it has ended, `ltmld sleeps {started['id']}` what was learned."
        )

    def pause(self, scope: str) -> str:
        """Switch memory off."""
        paused = self._control.pause(scope)
        return (
            f"Memory is **off** in all conversations here (scope `{scope}`), since {_stated(paused)}: nothing is "
            "recorded, nothing is recalled, and what is said now is not recorded later. `/ltm on` switches it on."
        )

    def resume(self, scope: str) -> str:
        """Switch memory on."""
        resumed = self._control.resume(scope)
        if not resumed["since"]:
            return f"Memory was on here already (scope `{scope}`)."
        return f"Memory is **on** here again (scope `{scope}`); it was off since {_stated(resumed)}."


def _is_there(memory: Memory) -> bool:
    return memory.state is not MemoryState.FORGOTTEN


def _stated(answer: JsonObject) -> str:
    return _moment(datetime.fromisoformat(answer["since"]))


def _moment(at: datetime) -> str:
    """Return a time as the clock on the wall shows it."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M")


def _short(text: str, characters_max: int = TEXT_CHARACTERS_SHOWN) -> str:
    words = " ".join(text.split())
    return words if len(words) <= characters_max else f"{words[: characters_max - 1]}…"


def _many(count: int) -> str:
    if count > UNGATHERED_SHOWN_MAX:
        return f"more than {UNGATHERED_SHOWN_MAX} messages"
    return _counted(count, "message", "messages")


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
