"""Choose what is put into one request, so that the prompt's prefix never changes.

Rules:
1. What a thread was once given is replayed byte for byte, at the same place, on every later request:
   a wake block at the thread's first message, a recall note at the user message it was written for.
2. A wake block is made only for a conversation that ltmld sees from its first message on; one that is
   met later gets recall notes, because changing its system text would throw its cached prompt away. A client
   that no longer sends the first message is still given the block.
3. Nothing is injected twice into one thread, and nothing that the thread itself says.
4. Memory never takes more than its budget, and nothing at all of a prompt that is nearly full.
5. Replaying reads the ledger only; searching is a step of its own, with a deadline the caller keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ltmld.core.hit import Recollection
from ltmld.core.injection import InjectedItem, Injection, InjectionKind
from ltmld.core.message import Role
from ltmld.core.tokens import estimate
from ltmld.index.units import owner
from ltmld.wake import block
from ltmld.wake.asides import OnRecord, on_record
from ltmld.wake.identity import after
from ltmld.wake.shelf import SAME_OPENING, Kept, Shelf

if TYPE_CHECKING:
    from datetime import datetime

    from ltmld.config import WakeSettings
    from ltmld.core.clock import Clock, NewId
    from ltmld.core.exchange import PathMessage, Placement
    from ltmld.core.hit import Hit
    from ltmld.core.memory import Memory
    from ltmld.core.ports import Recall
    from ltmld.ledger.ledger import Ledger

# Above this share of the context memory would push old messages out.
PROMPT_SHARE_MAX = 0.7
# The part of a wake block that identity lines, pinned memories and lessons may take.
STANDING_SHARE = 0.35
# More lines than any budget holds.
_STANDING_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A request's place in the ledger and what its thread was given before.

    ``marks`` are those by which its newest message is known as said aside, ``again`` whether it was said so before.
    """

    scope: str
    thread_id: str
    thread_key: str
    path: tuple[PathMessage, ...]
    known_ids: tuple[str, ...] = ()
    given: tuple[Injection, ...] = ()
    window: bool = False
    marks: tuple[str, ...] = ()
    again: bool = False

    @property
    def fresh(self) -> bool:
        """Whether nothing of this conversation was ever seen, and it begins here."""
        return not self.known_ids and sum(item.message.role is Role.USER for item in self.path) == 1

    @property
    def asks(self) -> bool:
        """Whether the request ends in a user's words (not in a tool's result or a prefill)."""
        return self.path[-1].message.role is Role.USER and bool(self.path[-1].message.text.strip())

    def given_at(self, chain: str, kind: InjectionKind) -> Injection | None:
        """Return what was injected at the message with this chain."""
        for injection in self.given:
            if injection.chain == chain and injection.kind is kind:
                return injection
        return None

    @property
    def block(self) -> Injection | None:
        """The thread's wake block."""
        at_the_start = self.given_at(self.path[0].chain, InjectionKind.WAKE_BLOCK)
        if at_the_start is not None or not self.window:
            return at_the_start
        return next((one for one in self.given if one.kind is InjectionKind.WAKE_BLOCK), None)


class Injector:
    """Finds a request's place, and writes the injection for its newest message."""

    def __init__(
        self, *, ledger: Ledger, recall: Recall, settings: WakeSettings, clock: Clock, new_id: NewId
    ) -> None:
        self._ledger = ledger
        self._recall = recall
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self._shelf = Shelf()

    def place(
        self,
        *,
        scope: str,
        thread_key: str,
        path: tuple[PathMessage, ...],
        context_sha256: str = "",
        newest: int = 1,
    ) -> Place:
        """Find the conversation that *path* continues, or open a new one.

        *context_sha256* names the ``context`` of a generate request, whose earlier turns the client does not resend.
        Of what was said with memory off only the *newest* messages of the user are placed.
        """
        spoken = on_record(path, self._ledger.pauses, scope, newest=newest)
        place = self._placed(scope, thread_key, spoken, context_sha256)
        return replace(place, marks=spoken.marks, again=spoken.again)

    def _placed(self, scope: str, thread_key: str, spoken: OnRecord, context_sha256: str) -> Place:
        path = spoken.path
        if context_sha256:
            continued = self._ledger.locate_context(scope, context_sha256=context_sha256)
            if continued is not None:
                path = after(self._ledger.messages(continued.message_ids), continued.chains, path)
        hashes = [item.chain for item in path]
        found = self._ledger.locate(scope, thread_key=thread_key, chains=hashes, path=path)
        if spoken.cut and not (found and found.message_ids):
            # Nothing but asides and what is new: it goes on where the conversation was when memory was paused.
            end = self._ledger.locate_end(scope, found.thread_id if found else spoken.thread_id)
            if end is not None:
                path = after(self._ledger.messages(end.message_ids), end.chains, path)
                found = replace(end, chains=())
                hashes = [item.chain for item in path]
        window = found is not None and bool(found.chains)
        if found is not None and window:
            # The client sends a window of the thread: its messages have their places there, not here.
            path = _moved(path[found.skipped :], found.chains)
            hashes = list(found.chains)
        if found is not None and not thread_key and self._begins_anew(found, path):
            return Place(scope=scope, thread_id=self._new_id("thr"), thread_key="", path=path)
        lately = self._shelf.find(scope, hashes, now=self._now(path), key=thread_key)
        thread_id = found.thread_id if found else lately[-1].thread_id if lately else self._new_id("thr")
        given = self._ledger.injections(thread_id, hashes, window=window) if found else []
        return Place(
            scope=scope,
            thread_id=thread_id,
            thread_key=thread_key,
            path=path,
            known_ids=found.message_ids if found else (),
            given=_joined(given, lately),
            window=window,
        )

    def keep(self, place: Place, new: Injection | None) -> None:
        """Remember on the shelf where this request stood and what it was given."""
        kept = Kept(thread_id=place.thread_id, at=self._now(place.path), injection=new)
        self._shelf.keep(place.scope, place.path[-1].chain, kept, key=place.thread_key)

    def write(self, place: Place, *, prompt_tokens: float, context_tokens: int) -> Injection | None:
        """Return the new injection for the place's newest message, or ``None`` when there is nothing to say.

        *prompt_tokens* is the estimate of what the client sends; *context_tokens* the model's context.
        """
        limit = min(self._settings.context_share * context_tokens, float(self._settings.budget_tokens))
        if not place.asks or limit < 1 or prompt_tokens > PROMPT_SHARE_MAX * context_tokens:
            return None
        if any(injection.chain == place.path[-1].chain for injection in place.given):
            return None
        if place.fresh:
            return self._wake_block(place, budget=limit)
        return self._recall_note(place, budget=min(limit, float(self._settings.note_budget_tokens)))

    def _begins_anew(self, found: Placement, path: tuple[PathMessage, ...]) -> bool:
        """Tell whether a path with one message of the user is a new conversation that opens like an old one."""
        said = [place for place, item in enumerate(path) if item.message.role is Role.USER]
        if len(said) != 1 or not found.message_ids or found.chains:
            return False
        if found.depth <= said[0] or found.key or found.went_on:
            # Only a greeting is known, which the application says to everybody; or the conversation has a name that
            # its client would have sent, or was gone on with.
            return True
        known = self._ledger.messages(found.message_ids[-1:])
        return bool(known) and self._now(path) - known[0].at > SAME_OPENING

    def _now(self, path: tuple[PathMessage, ...]) -> datetime:
        return path[-1].at or self._clock()

    def _wake_block(self, place: Place, *, budget: float) -> Injection | None:
        budget -= estimate(block.wake_block(standing=["-"], recalled="-"))
        standing = self._standing(place.scope, budget=STANDING_SHARE * budget)
        spent = sum(estimate(_line(memory)) for memory in standing)
        chosen = self._search(place, budget=budget - spent, exclude={memory.id for memory in standing})
        text = block.wake_block(standing=[_line(memory) for memory in standing], recalled=chosen.text)
        items = tuple(_standing_item(memory) for memory in standing) + tuple(map(_item, chosen.hits))
        return self._injection(place, InjectionKind.WAKE_BLOCK, text, items) if text else None

    def _recall_note(self, place: Place, *, budget: float) -> Injection | None:
        # A passage stands for its message: what was given in part is not given again.
        told = [item.id for injection in place.given for item in injection.items]
        seen = {*told, *map(owner, told)}
        budget -= estimate(block.recall_note("-"))
        chosen = self._search(place, budget=budget, exclude=seen)
        text = block.recall_note(chosen.text)
        items = tuple(map(_item, chosen.hits))
        return self._injection(place, InjectionKind.RECALL_NOTE, text, items) if text else None

    def _search(self, place: Place, *, budget: float, exclude: set[str]) -> Recollection:
        if budget < 1:
            return Recollection()
        return self._recall.recall(
            place.path[-1].message.text,
            scope=place.scope,
            at=self._now(place.path),
            budget_tokens=int(budget),
            k=self._settings.k,
            floor=self._settings.floor,
            exclude=frozenset(exclude | set(place.known_ids)),
            news_only=True,
        )

    def _standing(self, scope: str, *, budget: float) -> list[Memory]:
        """Return identity lines, lessons and pinned memories that fit, firmest first, in a fixed order."""
        chosen, spent = [], 0.0
        for memory in self._ledger.standing(scope, limit=_STANDING_MAX):
            spent += estimate(_line(memory))
            if spent > budget:
                break
            chosen.append(memory)
        return chosen

    def _injection(
        self, place: Place, kind: InjectionKind, text: str, items: tuple[InjectedItem, ...]
    ) -> Injection:
        return Injection(
            id=self._new_id("inj"),
            kind=kind,
            thread_id=place.thread_id,
            chain=place.path[-1].chain if kind is InjectionKind.RECALL_NOTE else place.path[0].chain,
            text=text,
            tokens=round(estimate(text)),
            created_at=self._clock(),
            items=items,
        )


def with_injection(place: Place, injection: Injection | None) -> Place:
    """Return *place* with one more injection given."""
    return replace(place, given=(*place.given, injection)) if injection else place


def _moved(path: Sequence[PathMessage], chains: Sequence[str]) -> tuple[PathMessage, ...]:
    """Return *path* with these chains."""
    return tuple(replace(item, chain=chain) for item, chain in zip(path, chains, strict=True))


def _joined(given: Sequence[Injection], lately: Sequence[Kept]) -> tuple[Injection, ...]:
    """Return what the ledger knows, and what only the shelf does; the ledger's word counts at one place."""
    known = {(injection.chain, injection.kind) for injection in given}
    only = [one.injection for one in lately if one.injection]
    return (*given, *(one for one in only if (one.chain, one.kind) not in known))


def _line(memory: Memory) -> str:
    return f"- {memory.text}"


def _standing_item(memory: Memory) -> InjectedItem:
    why = "pinned" if memory.pinned else f"standing {memory.kind.value}"
    return InjectedItem(
        id=memory.id, kind=memory.kind.value, text=memory.text, score=memory.importance, why=why
    )


def _item(hit: Hit) -> InjectedItem:
    parts = ", ".join(f"{name} {value:.2f}" for name, value in sorted(hit.parts.items()) if value)
    return InjectedItem(id=hit.id, kind=hit.kind, text=hit.text, score=hit.score, why=parts)
