"""Erasing: the words of a forgotten memory leave the file.

Rules:
1. ``erase`` takes out the memory's text (every version), subject, attribute, cues, quotes and events, what
   was injected of it, cached model replies, and its words in stage payloads, reports and causes.
2. The conversation it was drawn from stays as it was said, and stays recallable. The one exception is a
   message that ``remember`` made for this memory, unless another memory stands on it.
3. A short word (``LONG`` characters or fewer) is an everyday one, and is taken out only where it stands alone as a
   whole value; keys, and what a cycle needs to go on (``_STRUCTURE``), stay. Other scopes are not touched.
4. Freed space is overwritten with zeros (``secure_delete``); ``release`` gives it back and empties the
   write-ahead log, so that the words are in neither file.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Collection
from typing import Any

from ltmld.core.memory import Memory, Source
from ltmld.errors import RefusedError
from ltmld.ledger import changes, memories, outbox
from ltmld.ledger.changes import Cause
from ltmld.ledger.forgetting import ERASED, forget
from ltmld.ledger.remembering import DIALECT
from ltmld.ledger.spelling import dumped, loaded_list, stamp, unpacked

_EVENTS = "SELECT before, after FROM memory_events WHERE memory_id = ?"

_ERASE_EVENTS = """
    UPDATE memory_events
    SET after = '{"erased":true}', before = CASE WHEN before IS NULL THEN NULL ELSE '{"erased":true}' END
    WHERE memory_id = ?
"""

# Made by remember for this memory, and no other memory stands on it.
_OWN_MESSAGES = """
    SELECT messages.id, messages.text
    FROM sources
    JOIN messages ON messages.id = sources.message_id
    JOIN exchanges ON exchanges.id = messages.exchange_id AND exchanges.dialect = :dialect
    WHERE sources.memory_id = :memory_id
      AND NOT EXISTS (
          SELECT 1 FROM sources AS others
          WHERE others.message_id = messages.id AND others.memory_id <> :memory_id
      )
"""

_WITHDRAW = """
    INSERT OR IGNORE INTO retractions (message_id, exchange_id, at)
    SELECT id, exchange_id, :at FROM messages WHERE id = :id
"""

_OPEN_ERASURE = "INSERT OR IGNORE INTO erasures (message_id, cause, at) VALUES (?, 'forget --hard', ?)"

_ERASE_MESSAGE = """
    UPDATE messages
    SET text = '', attachments = '[]', tool_calls = '[]', chain = 'erased:' || id
    WHERE id = ?
"""

_INJECTIONS = """
    SELECT injections.id, injections.text, injections.items
    FROM injections JOIN threads ON threads.id = injections.thread_id AND threads.scope = :scope
"""

_SET_INJECTION = "UPDATE injections SET text = ?, items = ? WHERE id = ?"

# Free texts in which a memory's words may be repeated: how to read them, how to write them back. A cycle
# without a scope went through all of them.
_FREE_TEXTS = (
    (
        "SELECT id, why AS text FROM disputes WHERE scope = :scope",
        "UPDATE disputes SET why = :text WHERE id = :id",
    ),
    (
        (
            "SELECT id, cause AS text FROM memory_events"
            " WHERE memory_id IN (SELECT id FROM memories WHERE scope = :scope)"
        ),
        "UPDATE memory_events SET cause = :text WHERE id = :id",
    ),
    (
        (
            "SELECT message_id AS id, reason AS text FROM verdicts"
            " WHERE message_id IN (SELECT id FROM messages WHERE scope = :scope)"
        ),
        "UPDATE verdicts SET reason = :text WHERE message_id = :id",
    ),
)
_FREE_JSON = (
    (
        "SELECT id, report AS text FROM cycles WHERE scope IN ('', :scope)",
        "UPDATE cycles SET report = :text WHERE id = :id",
    ),
    (
        (
            "SELECT cycle_id || '/' || position AS id, payload AS text FROM cycle_stages"
            " WHERE cycle_id IN (SELECT id FROM cycles WHERE scope IN ('', :scope))"
        ),
        "UPDATE cycle_stages SET payload = :text WHERE cycle_id || '/' || position = :id",
    ),
)

# Above this many characters a text is somebody's sentence; up to it, a cue or a quote like any other.
LONG = 12

# Values by which a cycle goes on: never a memory's words, whatever they are.
_STRUCTURE = frozenset(
    {"id", "state", "depth", "scope", "scopes", "model", "trigger", "kind", "message_id", "away"}
)


def withdraw(connection: sqlite3.Connection, memory_id: str, cause: Cause) -> None:
    """Take the messages that ``remember`` made for a forgotten memory out of recall too; they stay in the ledger."""
    memory = memories.one(connection, memory_id)
    values = {"memory_id": memory.id, "dialect": DIALECT}
    for row in connection.execute(_OWN_MESSAGES, values).fetchall():
        connection.execute(_WITHDRAW, {"id": row["id"], "at": stamp(cause.at)})
        outbox.add(connection, memory.scope, "message", [row["id"]], "delete")


def erase(connection: sqlite3.Connection, memory_id: str, cause: Cause) -> None:
    """Forget a memory and take its words out of every table; ``release`` has to follow, after the commit.

    Raises:
        NotFoundError: there is no such memory.
    """
    forget(connection, memory_id, cause)
    memory = memories.one(connection, memory_id)
    texts, words = _words(connection, memory)
    texts += _erased_own_messages(connection, memory, cause)
    _blank(connection, memory, cause)
    connection.execute(_ERASE_EVENTS, (memory.id,))
    # Only a cache, and its replies are full of what was said: they are asked for again.
    connection.execute("DELETE FROM completions")
    _scrub_injections(connection, memory, texts)
    _scrub_texts(connection, memory.scope, words)


def release(connection: sqlite3.Connection) -> None:
    """Give the freed pages back and empty the write-ahead log; outside any transaction.

    Raises:
        RefusedError: somebody reads an older state of the file for longer than ``BUSY_TIMEOUT_MS``.
    """
    connection.execute("PRAGMA incremental_vacuum").fetchall()
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()["busy"]:
        raise RefusedError(
            "The memory is forgotten and its words are out of the ledger's tables, but another program is reading "
            "the file and keeps an old copy of them in the write-ahead log. Close it and forget the memory again."
        )


def _words(connection: sqlite3.Connection, memory: Memory) -> tuple[list[str], list[str]]:
    """Return every text that the memory ever had, and every text, cue and quote, the longest first."""
    texts = {memory.text}
    found = {*memory.cues, *(source.quote for source in memory.sources)}
    for row in connection.execute(_EVENTS, (memory.id,)):
        for state in (row["before"], row["after"]):
            fields = json.loads(state or "{}")
            texts.add(fields.get("text", ""))
            found.update(fields.get("cues", ()))
            found.update(source["quote"] for source in fields.get("sources", ()))
    return _longest_first(texts), _longest_first(texts | found)


def _longest_first(words: Collection[str]) -> list[str]:
    # A word inside another one would leave the rest of the longer one standing.
    return sorted(set(words) - {"", ERASED}, key=len, reverse=True)


def _erased_own_messages(connection: sqlite3.Connection, memory: Memory, cause: Cause) -> list[str]:
    """Erase the messages that were made for the memory, and return what they said."""
    own = connection.execute(_OWN_MESSAGES, {"dialect": DIALECT, "memory_id": memory.id}).fetchall()
    for row in own:
        connection.execute(_OPEN_ERASURE, (row["id"], stamp(cause.at)))
        connection.execute(_ERASE_MESSAGE, (row["id"],))
    outbox.add(connection, memory.scope, "message", [row["id"] for row in own], "delete")
    return [unpacked(row["text"]) for row in own]


def _blank(connection: sqlite3.Connection, memory: Memory, cause: Cause) -> None:
    changes.changed(
        connection,
        memory,
        cause,
        text=ERASED,
        subject="",
        attribute="",
        when="",
        cues=(),
        sources=tuple(Source(message_id=source.message_id, quote="") for source in memory.sources),
    )


def _scrub_injections(connection: sqlite3.Connection, memory: Memory, texts: Collection[str]) -> None:
    """Take the memory out of what is replayed, too: it must not be told to a model again.

    Its quotes stay where a message was injected that holds them: the conversation is not erased.
    """
    for row in connection.execute(_INJECTIONS, {"scope": memory.scope}).fetchall():
        items: list[dict[str, Any]] = loaded_list(row["items"])
        own = [item for item in items if item["id"] == memory.id]
        text = row["text"]
        for one in _longest_first([*texts, *(item["text"] for item in own)]) if own else ():
            # It is known to stand here, and goes however short it is; words that it is a part of stay.
            text = re.sub(rf"(?<!\w){re.escape(one)}(?!\w)", lambda _: ERASED, text)
        text = _without(text, texts)
        if not own and text == row["text"]:
            continue
        for item in own:
            item["text"] = ERASED
        connection.execute(_SET_INJECTION, (text, dumped(_scrubbed(items, texts)), row["id"]))


def _scrub_texts(connection: sqlite3.Connection, scope: str, words: Collection[str]) -> None:
    for read, write in _FREE_TEXTS:
        for row in connection.execute(read, {"scope": scope}).fetchall():
            text = _without(row["text"], words)
            if text != row["text"]:
                connection.execute(write, {"id": row["id"], "text": text})
    for read, write in _FREE_JSON:
        for row in connection.execute(read, {"scope": scope}).fetchall():
            text = dumped(_scrubbed(json.loads(row["text"]), words))
            if text != row["text"]:
                connection.execute(write, {"id": row["id"], "text": text})


def _scrubbed(value: Any, words: Collection[str]) -> Any:
    """Return a JSON value with the words taken out of its values; keys stay."""
    match value:
        case str():
            return _without(value, words)
        case list():
            return [_scrubbed(one, words) for one in value]
        case dict():
            return {key: one if key in _STRUCTURE else _scrubbed(one, words) for key, one in value.items()}
        case _:
            return value


def _without(text: str, words: Collection[str]) -> str:
    if text in words:
        return ERASED
    for one in words:
        if len(one) > LONG:
            # Reports list only the beginnings of long texts.
            text = ERASED if len(text) > LONG and one.startswith(text) else text.replace(one, ERASED)
    return text
