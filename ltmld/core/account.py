"""An account: what the last answer of a conversation was given from memory, and why not more."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ltmld.core.injection import Injection


class Silence(StrEnum):
    """Why nothing new was given to a prompt."""

    PAUSED = "memory is off here (`/ltm on` switches it on)"
    SWITCHED_OFF = "injection is off in the settings, or by the request's X-LTMLD-Memory header"
    CLOUD = "the model runs in Ollama's cloud, and memories stay on this machine (setting wake.cloud)"
    CARRIED = "the request carried memories already"
    BY_CONTEXT = "the request continued by `context`, in which the memories of its first prompt stand already"
    NO_QUESTION = "the request did not end in words of yours (a tool's result, or a prefill)"
    MODEL_UNKNOWN = "Ollama did not say in time what the model is"
    NO_ROOM = "the context length leaves no room for memories"
    FULL = "the prompt fills over 70 % of the context length, and memories would push old messages out"
    LATE = "recall took longer than its deadline (setting wake.recall_deadline_ms)"
    BROKEN = "recall failed; the log says why"
    NOTHING_FOUND = "no memory was relevant enough (setting wake.floor)"
    GIVEN_BEFORE = "it had been given before for the same words; the same text stood there again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What stood in the prompt of one answer.

    ``new`` was written for it, ``earlier`` for the messages before it and replayed; ``silence`` says why there is
    no ``new``, as far as that is known (a restart forgets it). ``answered`` is whether there was an answer at all.
    """

    answered: bool
    thread_id: str = ""
    new: tuple[Injection, ...] = ()
    earlier: tuple[Injection, ...] = ()
    silence: Silence | None = None
