"""What of a thread's injections goes into one request again, and where.

Rules:
1. A model that is not known gets nothing: it may be in the cloud by now, whatever it was when the text was written.
   One that is known to be there the caller has sent away. Where memories may go to the cloud, a text is replayed to
   the model that it was written for even so.
2. For the model it was written for, a text is replayed as it was, whatever else is known about the model today.
   For another one, a block that has no place in its system text stands before the user's first words instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ltmld.core.injection import Injection, InjectionKind
from ltmld.core.message import Role
from ltmld.wake.form import in_system

if TYPE_CHECKING:
    from ltmld.models.cards import ModelCard
    from ltmld.wake.injector import Place
    from ltmld.wire.dialects import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Arguments of ``Dialect.inject``, and the injections behind them."""

    block: str = ""
    base_system: str = ""
    notes: Mapping[int, str] = field(default_factory=dict)
    injections: tuple[Injection, ...] = ()


def replayed(request: Request, place: Place, card: ModelCard | None, *, cloud: bool) -> Replay:
    """Return what of the place's injections this request gets; *cloud*: memories may go to the cloud."""
    usable = [
        one for one in place.given if card is not None or (cloud and same_model(one.model, request.model))
    ]
    block = place.block if place.block in usable else None
    notes = _notes(place, usable)
    if block is not None and not _stands(request, block, card):
        notes = {**_before_first(place, block), **notes}
        block = None
    texts = {*notes.values(), block.text if block else ""}
    return Replay(
        block=block.text if block else "",
        base_system=_base_system(request, block, card),
        notes=notes,
        injections=tuple(one for one in usable if one.text in texts),
    )


def same_model(name: str, other: str) -> bool:
    """Tell whether two spellings name one model."""
    return _plain(name) == _plain(other)


def _plain(name: str) -> str:
    return name.lower().removeprefix("registry.ollama.ai/library/").removesuffix(":latest")


def _stands(request: Request, block: Injection, card: ModelCard | None) -> bool:
    """Tell whether the block has its place in the system text, as it had for the model it was written for."""
    return same_model(block.model, request.model) or (card is not None and in_system(request, card))


def _before_first(place: Place, block: Injection) -> dict[int, str]:
    """Return the block as a note at the first message of the user that the client sends."""
    users = (item.index for item in place.path if item.index >= 0 and item.message.role is Role.USER)
    return dict.fromkeys(list(users)[:1], block.text)


def _base_system(request: Request, block: Injection | None, card: ModelCard | None) -> str:
    if block is None or request.system is not None:
        return ""
    if same_model(block.model, request.model) and block.base_system:
        return block.base_system
    return card.system if card is not None else ""


def _notes(place: Place, usable: list[Injection]) -> dict[int, str]:
    """Return the recall notes by the index of their message in the request."""
    by_chain = {one.chain: one.text for one in usable if one.kind is InjectionKind.RECALL_NOTE}
    # What the client does not resend (a generate continues by context) has no index, and needs no note.
    return {
        item.index: by_chain[item.chain] for item in place.path if item.index >= 0 and item.chain in by_chain
    }
