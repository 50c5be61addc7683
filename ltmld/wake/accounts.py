"""Why the latest answers were given nothing new, kept in memory for the person who asks ``/ltm why``.

Rules:
1. Bounded: the oldest entries go first; what was given stands in the ledger, only the reason for nothing is lost.
2. Any thread may call.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from ltmld.core.account import Account, Silence
from ltmld.core.injection import InjectionKind
from ltmld.core.message import Role

if TYPE_CHECKING:
    from ltmld.wake.injector import Place

ENTRIES_MAX = 2048


class Accounts:
    """The reasons, by scope and by the chain of the message that was answered."""

    def __init__(self, *, entries_max: int = ENTRIES_MAX) -> None:
        self._reasons: OrderedDict[tuple[str, str], Silence] = OrderedDict()
        self._entries_max = entries_max
        self._lock = threading.Lock()

    def keep(self, scope: str, chain: str, silence: Silence | None) -> None:
        """Note why the request that ended in this message was given nothing new; ``None``: it was given something."""
        key = (scope, chain)
        with self._lock:
            self._reasons.pop(key, None)
            if silence is not None:
                self._reasons[key] = silence
            while len(self._reasons) > self._entries_max:
                self._reasons.popitem(last=False)

    def of(self, place: Place) -> Account:
        """Return the account of the last answer on the path of *place*."""
        said = [number for number, item in enumerate(place.path) if item.message.role is Role.USER]
        if not said:
            return Account(answered=False)
        # A tool's result is answered too: the reason is kept by the newest message of its request.
        asked = place.path[said[-1] :]
        with self._lock:
            reasons = [self._reasons.get((place.scope, item.chain)) for item in asked]
        first = len(said) == 1
        new = tuple(
            one
            for one in place.given
            if one.chain == asked[0].chain or (first and one.kind is InjectionKind.WAKE_BLOCK)
        )
        return Account(
            answered=True,
            thread_id=place.thread_id,
            new=new,
            earlier=tuple(one for one in place.given if one not in new),
            silence=next((reason for reason in reasons if reason), None),
        )
