"""The plain ways to find a message: naive retrieval in Chroma, BM25, MiniLM and both, over messages or passages."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evidence import ASKED_HITS, Ask, tabled
from benchmarks.talks import Conversation
from ltmld.index.chroma import ChromaFolder
from ltmld.index.units import message_passages
from ltmld.index.vectors import Vectors
from ltmld.index.words import terms
from ltmld.models.embedder import MiniLmEmbedder

# Cormack, Clarke and Buettcher (SIGIR 2009): the constant of reciprocal rank fusion.
RRF = 60
WAYS = ("BM25", "MiniLM", "RRF")


def measured_naive(
    conversations: Sequence[Conversation], folder: Path, embedder: MiniLmEmbedder
) -> dict[str, Any]:
    """Ask the same of the plainest memory there is: raw messages in Chroma, nearest first."""
    vectors = Vectors(ChromaFolder(folder))
    vectors.open([embedder.name])
    for conversation in conversations:
        rows = embedder.embed([line.text for line in conversation.lines])
        vectors.put(
            conversation.name, {str(number): row for number, row in enumerate(rows)}, embedder=embedder.name
        )

    def ask_in(conversation: Conversation) -> Ask:
        def ask(text: str) -> list[tuple[str, Sequence[str]]]:
            found = vectors.nearest(
                conversation.name, embedder.embed([text]), embedder=embedder.name, limit=ASKED_HITS
            )[0]
            lines = [conversation.lines[int(name)] for name, _ in found]
            return [(line.text, (line.ref,)) for line in lines]

        return ask

    table = tabled((conversation, ask_in(conversation)) for conversation in conversations)
    vectors.close()
    return table


def measured_plain(
    conversations: Sequence[Conversation], embedder: MiniLmEmbedder, *, passages: bool
) -> dict[str, dict[str, Any]]:
    """Ask the same of BM25, of exact MiniLM and of both by reciprocal rank, over messages or over their passages."""
    plain = [_Plain(conversation, embedder, passages=passages) for conversation in conversations]
    tables = {}
    for way in WAYS:
        tables[way] = tabled((one.conversation, one.ask(way)) for one in plain)
    return tables


class RememberingEmbedder(MiniLmEmbedder):
    """Embeds each text of a batch once, however many tables ask for it; single texts, as questions are, every time."""

    _known: dict[str, Any] | None = None

    def embed(self, texts: Sequence[str]) -> Any:
        """Return what the embedder returns."""
        if len(texts) == 1:
            return super().embed(texts)
        known = self._known = self._known if self._known is not None else {}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, super().embed(new), strict=True))
        return np.stack([known[text] for text in texts]) if texts else super().embed(texts)


class _Plain:
    """The units of one conversation, ready to be asked in each way."""

    def __init__(self, conversation: Conversation, embedder: MiniLmEmbedder, *, passages: bool) -> None:
        self.conversation = conversation
        self._embedder = embedder
        self._units = [
            (text, line.ref)
            for line in conversation.lines
            for text in (message_passages(line.text) if passages else [line.text])
        ]
        self._vectors = embedder.embed([text for text, _ in self._units])
        self._words = sqlite3.connect(":memory:")
        self._words.execute("CREATE VIRTUAL TABLE units USING fts5 (text, tokenize = 'porter unicode61')")
        self._words.executemany("INSERT INTO units (text) VALUES (?)", [(text,) for text, _ in self._units])

    def ask(self, way: str) -> Ask:
        """Return how to ask in one of ``WAYS``."""

        def ask(text: str) -> list[tuple[str, Sequence[str]]]:
            orders = {"BM25": [self._by_words], "MiniLM": [self._by_meaning]}.get(
                way, [self._by_words, self._by_meaning]
            )
            scores: dict[int, float] = {}
            for order in orders:
                for place, number in enumerate(order(text), 1):
                    scores[number] = scores.get(number, 0.0) + 1.0 / (RRF + place)
            best = sorted(scores, key=lambda number: -scores[number])[:ASKED_HITS]
            return [(self._units[number][0], (self._units[number][1],)) for number in best]

        return ask

    def _by_words(self, text: str) -> list[int]:
        match = " OR ".join(f'"{word}"' for word in terms(text))
        found = self._words.execute(
            "SELECT rowid FROM units WHERE units MATCH ? ORDER BY rank LIMIT 200", (match,)
        )
        return [row[0] - 1 for row in found]

    def _by_meaning(self, text: str) -> list[int]:
        cosines = self._vectors @ self._embedder.embed([text])[0]
        return [int(number) for number in np.argsort(-cosines)[:200]]
