"""What of a thread's injections goes into one request again, and where.

Rules:
1. For the model it was written for, a text is replayed as it was, whatever is known about the model today.
2. For another model it is replayed only when that model is known, is not in the cloud (the caller has looked), and
   loses nothing by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ltmld.core.injection import Injection, InjectionKind

if TYPE_CHECKING:
    from ltmld.models.cards import ModelCard
    from ltmld.wake.injector import Place
    from ltmld.wire.dialect import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Arguments of ``Dialect.inject``, and the injections behind them."""

    block: str = ""
    base_system: str = ""
    notes: Mapping[int, str] = field(default_factory=dict)
    injections: tuple[Injection, ...] = ()


def replayed(request: Request, place: Place, card: ModelCard | None) -> Replay:
    """Return what of the place's injections this request gets."""
    usable = [one for one in place.given if card is not None or same_model(one.model, request.model)]
    block = _block(request, place, card, usable)
    notes = _notes(place, usable)
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


def _block(
    request: Request, place: Place, card: ModelCard | None, usable: list[Injection]
) -> Injection | None:
    block = place.block
    if block is None or block not in usable:
        return None
    if request.system is not None or same_model(block.model, request.model):
        return block
    return block if card is not None and card.takes_system else None


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
