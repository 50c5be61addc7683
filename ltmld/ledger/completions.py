"""Answers of the model to sleep, by the hash of what was asked: a resumed cycle does not ask twice."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

import sqlite_utils

from ltmld.ledger.spelling import packed, stamp, unpacked


def cached(connection: sqlite3.Connection, sha256: str) -> str | None:
    """Return the answer to the question with this hash, ``None`` when it was never asked."""
    row = connection.execute("SELECT text FROM completions WHERE sha256 = ?", (sha256,)).fetchone()
    return None if row is None else unpacked(row["text"])


def store(
    connection: sqlite3.Connection,
    sha256: str,
    *,
    model: str,
    text: str,
    prompt_tokens: int,
    reply_tokens: int,
    now: datetime,
) -> None:
    """Keep an answer, in place of an earlier one to the same question."""
    row: dict[str, Any] = {
        "sha256": sha256,
        "model": model,
        "text": packed(text),
        "prompt_tokens": prompt_tokens,
        "reply_tokens": reply_tokens,
        "at": stamp(now),
    }
    sqlite_utils.Database(connection).table("completions").upsert(row, pk="sha256")
