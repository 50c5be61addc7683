"""Measure what recall finds, without any language model, beside naive retrieval.

    python benchmarks/recall.py FILE... [--facts FILE...] [--no-cues] [--no-naive] [--json FILE]

FILE is a file of LoCoMo conversations or of one BEAM conversation. Every conversation goes into a scope of its own, as
an import would put it there; every question is asked with a budget of 1,400 tokens and at most 60 hits. Printed per
category and overall: the mean share of a question's evidence messages within the first 150, 300, 600 and 1,200 tokens
(words times 1.3) of what would be injected, recall@10 and @20 over hits, the share of questions with all their evidence
within 600 tokens, and the time of one recall. The rows under "naive" are MiniLM in Chroma over the raw messages.

``--facts`` names files ``<conversation>.facts.jsonl`` of what a night would write down; they are learned as memories,
and conversations without such a file are left out, so that the two tables can be compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ltmld.config import Settings
from ltmld.core.exchange import StoredMessage
from ltmld.core.hit import Hit
from ltmld.core.memory import Memory, MemoryKind, Source
from ltmld.core.proposal import Learn
from ltmld.core.tokens import estimate
from ltmld.daemon.clock import new_id, utc_now
from ltmld.index.chroma import ChromaFolder
from ltmld.index.index import LocalIndex
from ltmld.index.vectors import Vectors
from ltmld.ledger.imports import ImportLine
from ltmld.ledger.ledger import Ledger
from ltmld.models.embedder import MiniLmEmbedder
from ltmld.wake.feeder import Feeder
from ltmld.wake.recall import HybridRecall

BUDGETS = (150, 300, 600, 1200)
ASKED_TOKENS, ASKED_HITS = 1400, 60
LOCOMO = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
ADVERSARIAL = "adversarial"
MODELS = Path(__file__).resolve().parent.parent / ".cache" / "ltmld-test-models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question and the refs of the messages that hold its answer."""

    category: str
    text: str
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One conversation, in a scope of its own, and its questions."""

    name: str
    lines: tuple[ImportLine, ...]
    questions: tuple[Question, ...]


Ask = Callable[[str], Sequence[tuple[str, Sequence[str]]]]
"""Answer a question with hits best first: the text that would be injected, and the refs behind it."""


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="+", type=Path)
    parser.add_argument("--facts", nargs="*", type=Path, default=[])
    parser.add_argument("--no-cues", action="store_true", help="learn the facts without their cue questions")
    parser.add_argument("--no-naive", action="store_true", help="leave the naive baseline out")
    parser.add_argument("--models", type=Path, default=MODELS, help="cache of the exported embedder")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    facts = {path.name.partition(".")[0]: path for path in options.facts}
    conversations = [item for path in options.file for item in read(path) if not facts or item.name in facts]
    embedder = MiniLmEmbedder(options.models)
    embedder.load()
    tables: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="ltmld-recall-") as folder:
        tables["ltmld"] = measured_ltmld(conversations, Path(folder), embedder, facts={}, cues=False)
        if facts:
            tables["ltmld after a night"] = measured_ltmld(
                conversations, Path(folder) / "night", embedder, facts=facts, cues=not options.no_cues
            )
        if not options.no_naive:
            tables["naive"] = measured_naive(conversations, Path(folder) / "naive", embedder)
    for name, table in tables.items():
        print(f"--- {name}")
        for label, values in table.items():
            print(f"{label:26}", "  ".join(f"{key} {value}" for key, value in values.items()))
    if options.json:
        options.json.write_text(json.dumps(tables, indent=1), "utf-8")


def measured_ltmld(
    conversations: Sequence[Conversation],
    folder: Path,
    embedder: MiniLmEmbedder,
    *,
    facts: Mapping[str, Path],
    cues: bool,
) -> dict[str, Any]:
    """Put the conversations into a fresh ltmld and ask it their questions."""
    folder.mkdir(exist_ok=True)
    ledger = Ledger.open(folder, clock=utc_now, new_id=new_id)
    index = LocalIndex(folder / "index", embedder)
    feeder = Feeder(ledger, index)
    settings = Settings(data_dir=folder)
    recall = HybridRecall(
        ledger=ledger,
        index=index,
        settings=settings.wake,
        candidates=settings.index.candidates,
        clock=utc_now,
    )
    started = time.perf_counter()
    for conversation in conversations:
        ledger.import_messages(conversation.lines)
        if conversation.name in facts:
            learn(ledger, conversation.name, facts[conversation.name], cues=cues)
    while feeder.drain():
        pass
    count = sum(len(conversation.lines) for conversation in conversations)
    print(f"{count} messages imported and indexed in {time.perf_counter() - started:.1f} s", flush=True)

    def ask_in(scope: str) -> Ask:
        def ask(text: str) -> list[tuple[str, Sequence[str]]]:
            found = recall.recall(text, scope=scope, budget_tokens=ASKED_TOKENS, k=ASKED_HITS)
            return [_told(hit) for hit in found.hits]

        return ask

    table = tabled((conversation, ask_in(conversation.name)) for conversation in conversations)
    index.close()
    ledger.close()
    return table


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


def tabled(asked: Iterator[tuple[Conversation, Ask]]) -> dict[str, Any]:
    """Return the table of all conversations: a row per category, the totals, the times."""
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    took_ms: list[float] = []
    for conversation, ask in asked:
        ask("Is the machine warm?")
        for question in conversation.questions:
            started = time.perf_counter()
            hits = ask(question.text)
            took_ms.append(1000 * (time.perf_counter() - started))
            rows[question.category].append(scored(hits, question.evidence))
    groups = {category: rows[category] for category in sorted(rows)}
    groups["ALL"] = [row for some in rows.values() for row in some]
    groups["ALL but adversarial"] = [
        row for name, some in rows.items() if name != ADVERSARIAL for row in some
    ]
    table: dict[str, Any] = {
        label: {
            "n": len(some),
            **{key: round(statistics.mean(row[key] for row in some), 3) for key in some[0]},
        }
        for label, some in groups.items()
        if some
    }
    took_ms.sort()
    table["ms"] = {
        "p50": round(took_ms[len(took_ms) // 2], 1),
        "p99": round(took_ms[int(len(took_ms) * 0.99)], 1),
    }
    return table


def scored(hits: Sequence[tuple[str, Sequence[str]]], evidence: frozenset[str]) -> dict[str, float]:
    """Return one question's row: the share of its evidence within each budget and number of hits."""
    spent = 0.0
    at_tokens: dict[str, float] = {}
    at_hit: dict[str, int] = {}
    for place, (text, refs) in enumerate(hits, 1):
        spent += estimate(text)
        for ref in evidence.intersection(refs):
            at_tokens.setdefault(ref, spent)
            at_hit.setdefault(ref, place)
    row = {f"@{budget}t": _share(at_tokens, evidence, budget) for budget in BUDGETS}
    row |= {f"hits@{count}": _share(at_hit, evidence, count) for count in (10, 20)}
    row["all@600t"] = float(_share(at_tokens, evidence, 600) == 1.0)
    return row


def learn(ledger: Ledger, scope: str, path: Path, *, cues: bool) -> None:
    """Learn a facts file as a sleep cycle would: each fact with the messages it was drawn from."""
    by_ref = {message.ref: message for message in ledger.ungathered(scope, limit=100_000)}
    proposals = []
    for line in path.read_text("utf-8").splitlines():
        fact = json.loads(line)
        memory = remembered(fact, scope, by_ref, cues=cues)
        if memory is not None:
            proposals.append(Learn(memory=memory, why="facts file"))
    cycle = ledger.begin_cycle(scope=scope, depth="light", trigger="benchmark", model="", dry_run=False)
    ledger.apply(cycle, "extract", proposals, {})
    ledger.end_cycle(cycle, state="completed", report={})


def remembered(
    fact: Mapping[str, Any], scope: str, by_ref: Mapping[str, StoredMessage], *, cues: bool
) -> Memory | None:
    """Return a line of a facts file as a memory, or ``None`` when none of its messages is known."""
    behind = [by_ref[ref] for ref in fact["evidence"] if ref in by_ref]
    if not behind:
        return None
    kinds = {kind.value for kind in MemoryKind}
    return Memory(
        id=new_id("mem"),
        scope=scope,
        kind=MemoryKind(fact["kind"]) if fact["kind"] in kinds else MemoryKind.FACT,
        text=fact["text"],
        sources=tuple(Source(message_id=message.id, quote=fact["quote"]) for message in behind),
        recorded_at=utc_now(),
        subject=fact["subject"],
        attribute=fact["attribute"],
        importance=fact["importance"],
        cues=tuple(fact["cues"]) if cues else (),
        when=fact["when"] or "",
    )


def read(path: Path) -> Iterator[Conversation]:
    """Read the conversations of a LoCoMo file (a list) or of a BEAM file (an object)."""
    document = json.loads(path.read_text("utf-8"))
    if isinstance(document, list):
        yield from map(_locomo, document)
    else:
        yield _beam(document)


def _locomo(document: Mapping[str, Any]) -> Conversation:
    talk, name = document["conversation"], document["sample_id"]
    sessions = [key for key in talk if key.startswith("session_") and not key.endswith("date_time")]
    lines = []
    for session in sorted(sessions, key=lambda key: int(key.split("_")[1])):
        began = datetime.strptime(talk[session + "_date_time"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        for number, turn in enumerate(talk[session]):
            photo = f" [shares a photo: {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            lines.append(
                ImportLine(
                    scope=name,
                    thread=f"{name}/{session}",
                    at=began + timedelta(seconds=20 * number),
                    role="user" if turn["speaker"] == talk["speaker_a"] else "assistant",
                    name=turn["speaker"],
                    text=turn["text"] + photo,
                    ref=turn["dia_id"],
                )
            )
    known = {line.ref for line in lines}
    questions = [
        Question(
            category=LOCOMO[asked["category"]],
            text=asked["question"],
            evidence=frozenset(
                {ref.strip() for text in asked.get("evidence", []) for ref in text.replace(";", " ").split()}
                & known
            ),
        )
        for asked in document["qa"]
    ]
    return Conversation(
        name=name,
        lines=tuple(lines),
        questions=tuple(question for question in questions if question.evidence),
    )


def _beam(document: Mapping[str, Any]) -> Conversation:
    lines, last = [], datetime(2024, 1, 1, tzinfo=UTC)
    for number, batch in enumerate(document["batches"]):
        for turn in batch:
            last = max(last, _anchor(turn.get("time_anchor")) or last) + timedelta(minutes=1)
            lines.append(
                ImportLine(
                    scope=document["id"],
                    thread=f"{document['id']}/{number}",
                    at=last,
                    role=turn["role"],
                    text=turn["content"].split("->->")[0].strip(),
                    ref=str(turn["id"]),
                )
            )
    questions = [
        Question(category=category, text=item["question"], evidence=_sources(item.get("source_chat_ids")))
        for category, items in document["questions"].items()
        for item in items
    ]
    return Conversation(
        name=document["id"],
        lines=tuple(lines),
        questions=tuple(question for question in questions if question.evidence),
    )


def _anchor(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%B-%d-%Y").replace(tzinfo=UTC)
    except ValueError:
        return None


def _sources(found: Any) -> frozenset[str]:
    if isinstance(found, dict):
        found = [item for value in found.values() for item in (value if isinstance(value, list) else [value])]
    return frozenset(map(str, found or ()))


def _told(hit: Hit) -> tuple[str, Sequence[str]]:
    return hit.text, hit.refs


def _share(found: Mapping[str, float], evidence: frozenset[str], most: float) -> float:
    return sum(found.get(ref, float("inf")) <= most for ref in evidence) / len(evidence)


if __name__ == "__main__":
    main()
