"""Forgetting: what a person wants out of recall, and what is left so that it stays out.

Rules:
1. Only a person forgets. A forgotten memory leaves recall and the index; its history stays.
2. A tombstone, the hash of its normalized words in every version it had, keeps sleep from learning it
   again. A person who says the same words once more takes the tombstone away.
"""

from __future__ import annotations

import re
import sqlite3
from hashlib import sha256

from ltmld.core.memory import MemoryState
from ltmld.ledger import changes, memories
from ltmld.ledger.changes import Cause
from ltmld.ledger.spelling import clean, stamp

ERASED = "[erased]"
"""What stands where erased words stood (``erasing``)."""

_NOT_A_WORD = re.compile(r"[\W_]+")

_HAS_TOMBSTONE = "SELECT 1 FROM tombstones WHERE scope = ? AND sha256 = ?"

_ADD_TOMBSTONE = "INSERT OR IGNORE INTO tombstones (scope, sha256, memory_id, at) VALUES (?, ?, ?, ?)"

_VERSIONS_OF_TEXT = """
    SELECT DISTINCT json_extract(after, '$.text') AS text FROM memory_events
    WHERE memory_id = ? AND json_extract(after, '$.text') IS NOT NULL
"""


def fingerprint(text: str) -> str:
    """Return the hash by which forgotten words are known again: case, punctuation and spacing do not count."""
    return sha256(_NOT_A_WORD.sub(" ", clean(text).casefold()).strip().encode("utf-8")).hexdigest()


def tombstoned(connection: sqlite3.Connection, scope: str, text: str) -> bool:
    """Tell whether these words were forgotten in *scope*."""
    return connection.execute(_HAS_TOMBSTONE, (scope, fingerprint(text))).fetchone() is not None


def unbury(connection: sqlite3.Connection, scope: str, text: str) -> None:
    """Take a tombstone away: the person wants these words remembered after all."""
    connection.execute("DELETE FROM tombstones WHERE scope = ? AND sha256 = ?", (scope, fingerprint(text)))


def forget(connection: sqlite3.Connection, memory_id: str, cause: Cause) -> None:
    """Take a memory out of recall for good; a second time changes nothing.

    Raises:
        NotFoundError: there is no such memory.
    """
    memory = memories.one(connection, memory_id)
    texts = {memory.text, *(row["text"] for row in connection.execute(_VERSIONS_OF_TEXT, (memory.id,)))}
    for text in texts - {ERASED}:
        connection.execute(_ADD_TOMBSTONE, (memory.scope, fingerprint(text), memory.id, stamp(cause.at)))
    changes.changed(connection, memory, cause, state=MemoryState.FORGOTTEN)
