"""Injections: the texts that were put into requests, kept so that they can be replayed byte for byte.

Rules:
1. A text is stored once, under its id; every exchange it stood in is noted beside it.
2. Of several texts of one kind at one place, the first is the one that is replayed: the prompt's prefix
   never changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from ltmld.core.exchange import Turn
from ltmld.core.injection import InjectedItem, Injection, InjectionKind
from ltmld.ledger.spelling import clean, dumped, loaded_list, moment, stamp

_ADD = """
    INSERT OR IGNORE INTO injections (
        id, exchange_id, thread_id, chain, kind, text, tokens, items, model, base_system, created_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_NOTE = "INSERT OR IGNORE INTO exchange_injections (exchange_id, injection_id) VALUES (?, ?)"

_AT_CHAINS = """
    SELECT injections.*
    FROM json_each(:chains) AS steps
    CROSS JOIN injections ON injections.thread_id = :thread_id AND injections.chain = steps.value
    ORDER BY steps.key, injections.rowid
"""

_LAST_BLOCK = "SELECT * FROM injections WHERE thread_id = ? AND kind = ? ORDER BY rowid DESC LIMIT 1"

_OF_EXCHANGE = """
    SELECT injections.*
    FROM exchange_injections JOIN injections ON injections.id = exchange_injections.injection_id
    WHERE exchange_injections.exchange_id = ?
    ORDER BY injections.rowid
"""


def add(connection: sqlite3.Connection, turn: Turn) -> None:
    """Store what was injected into *turn*, and note that it stood there."""
    for one in turn.injections:
        items = clean(dumped([_spelled(item) for item in one.items]))
        row = (
            one.id,
            turn.exchange_id,
            turn.thread_id,
            one.chain,
            one.kind.value,
            clean(one.text),
            one.tokens,
            items,
            clean(one.model),
            clean(one.base_system),
            stamp(one.created_at),
        )
        connection.execute(_ADD, row)
        connection.execute(_NOTE, (turn.exchange_id, one.id))


def at_chains(
    connection: sqlite3.Connection, thread_id: str, chains: Sequence[str], *, window: bool = False
) -> list[Injection]:
    """Return what is to be replayed on a path with these chains, in the path's order.

    A *window* of the thread has lost the message that the wake block was given at, and keeps the block.
    """
    values = {"thread_id": thread_id, "chains": dumped(chains)}
    found: dict[tuple[str, str], Injection] = {}
    if window:
        for row in connection.execute(_LAST_BLOCK, (thread_id, InjectionKind.WAKE_BLOCK.value)):
            found[row["chain"], row["kind"]] = _injection(row)
    for row in connection.execute(_AT_CHAINS, values):
        found.setdefault((row["chain"], row["kind"]), _injection(row))
    return list(found.values())


def of_exchange(connection: sqlite3.Connection, exchange_id: str) -> list[dict[str, Any]]:
    """Return what stood in one exchange and why, as JSON-able rows."""
    rows = [dict(row) for row in connection.execute(_OF_EXCHANGE, (exchange_id,))]
    for row in rows:
        row["items"] = loaded_list(row["items"])
    return rows


def _injection(row: sqlite3.Row) -> Injection:
    return Injection(
        id=row["id"],
        kind=InjectionKind(row["kind"]),
        thread_id=row["thread_id"],
        chain=row["chain"],
        text=row["text"],
        tokens=row["tokens"],
        model=row["model"],
        base_system=row["base_system"],
        created_at=moment(row["created_at"]),
        items=tuple(InjectedItem(**item) for item in loaded_list(row["items"])),
    )


def _spelled(item: InjectedItem) -> dict[str, Any]:
    return {"id": item.id, "kind": item.kind, "text": item.text, "score": item.score, "why": item.why}
