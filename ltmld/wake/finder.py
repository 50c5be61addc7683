"""Search for something new to tell a thread, or say why there is nothing.

Rules:
1. What is found for a model that does not read a system text, or that would lose its own by one, goes before the
   user's words.
2. Nothing found has a reason, for the person who asks ``/ltm why``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ltmld.core.account import Silence
from ltmld.core.injection import Injection, InjectionKind
from ltmld.core.tokens import estimate
from ltmld.wake.form import in_system
from ltmld.wake.injector import PROMPT_SHARE_MAX

if TYPE_CHECKING:
    from ltmld.config import WakeSettings
    from ltmld.models.cards import ModelCard
    from ltmld.wake.injector import Injector, Place
    from ltmld.wire.dialects import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What recall had to tell, or why nothing."""

    new: Injection | None = None
    silence: Silence | None = None


class Finder:
    """Finds what is new for one request after another; it blocks, so it is asked in a thread."""

    def __init__(self, injector: Injector, *, settings: WakeSettings) -> None:
        self._injector = injector
        self._settings = settings

    def found(self, request: Request, place: Place, card: ModelCard) -> Found:
        """Return what the thread at *place* is to be told by a model like *card*."""
        context = card.context_tokens or self._settings.context_tokens
        prompt = sum(estimate(message.text) for message in request.messages)
        prompt += sum(injection.tokens for injection in place.given)
        new = self._injector.write(place, prompt_tokens=prompt, context_tokens=context)
        if new is None:
            return Found(silence=self._why_nothing(place, prompt, context))
        if new.kind is InjectionKind.WAKE_BLOCK and not in_system(request, card):
            # Not read there, or something would be lost by it: the same words go before the user's first message.
            new = replace(new, kind=InjectionKind.RECALL_NOTE, chain=place.path[-1].chain)
        base = card.system if request.system is None else ""
        return Found(new=replace(new, model=request.model, base_system=base))

    def _why_nothing(self, place: Place, prompt_tokens: float, context_tokens: int) -> Silence:
        """Say why the injector wrote nothing, by its own rules."""
        if not place.asks:
            return Silence.NO_QUESTION
        if min(self._settings.context_share * context_tokens, self._settings.budget_tokens) < 1:
            return Silence.NO_ROOM
        if prompt_tokens > PROMPT_SHARE_MAX * context_tokens:
            return Silence.FULL
        given = any(injection.chain == place.path[-1].chain for injection in place.given)
        return Silence.GIVEN_BEFORE if given else Silence.NOTHING_FOUND
