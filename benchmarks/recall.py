"""Measure what recall finds, without any language model, beside naive retrieval.

    python benchmarks/recall.py FILE... [--facts FILE...] [--no-cues] [--no-naive] [--plain] [--ablation] [--halves]

FILE is a file of LoCoMo conversations or of one BEAM conversation. Every conversation goes into a scope of its own, as
an import would put it there; every question is asked with a budget of 1,400 tokens and at most 60 hits. Printed per
category and overall: the mean share of a question's evidence messages within the first 150, 300, 600 and 1,200 tokens
(words times 1.3) of what would be injected, recall@10 and @20 over hits, the share of questions with all their evidence
within 600 tokens, and the time of one recall. The rows under "naive" are MiniLM in Chroma over the raw messages.

``--facts`` names files ``<conversation>.facts.jsonl`` of what a night would write down; they are learned as memories,
and conversations without such a file are left out, so that the two tables can be compared. ``--plain`` adds BM25,
MiniLM and reciprocal rank fusion, over whole messages and over passages; ``--ablation`` a row for each weight at zero;
``--halves`` what weights give that were chosen on the other half of the conversations.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

if not __package__:
    # Run as a file: its neighbors are found from the folder above.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.baselines import RememberingEmbedder, measured_naive, measured_plain
from benchmarks.evidence import ASKED_HITS, ASKED_TOKENS, BUDGETS, Ask, tabled
from benchmarks.fitting import ablation, cases, held_out
from benchmarks.talks import Conversation, read
from ltmld.config import Settings
from ltmld.core.exchange import StoredMessage
from ltmld.core.memory import Memory, MemoryKind, Source
from ltmld.core.proposal import Learn
from ltmld.daemon.clock import new_id, utc_now
from ltmld.index.index import LocalIndex
from ltmld.ledger.ledger import Ledger
from ltmld.models.embedder import MiniLmEmbedder
from ltmld.wake.feeder import Feeder
from ltmld.wake.recall import HybridRecall

MODELS = Path(__file__).resolve().parent.parent / ".cache" / "ltmld-test-models"


def main() -> None:
    """Read the arguments, measure, print."""
    options = _options()
    facts = {path.name.partition(".")[0]: path for path in options.facts}
    conversations = [item for path in options.file for item in read(path) if not facts or item.name in facts]
    embedder = RememberingEmbedder(options.models)
    embedder.load()
    tables: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="ltmld-recall-") as folder:
        for name, table in _measured(conversations, Path(folder), embedder, options, facts):
            tables[name] = table
            print(f"--- {name}")
            for label, values in table.items():
                cells = "  ".join(f"{key} {value}" for key, value in values.items())
                print(f"{label:40} {cells}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(tables, indent=1), "utf-8")


def _measured(
    conversations: Sequence[Conversation],
    folder: Path,
    embedder: MiniLmEmbedder,
    options: argparse.Namespace,
    facts: Mapping[str, Path],
) -> Iterator[tuple[str, Any]]:
    yield from measured_ltmld(conversations, folder, embedder, options, facts={}).items()
    if facts:
        night = measured_ltmld(conversations, folder / "night", embedder, options, facts=facts)
        yield from ((f"{name} after a night", table) for name, table in night.items())
    if not options.no_naive:
        yield "naive", measured_naive(conversations, folder / "naive", embedder)
    for passages in (False, True) if options.plain else ():
        units = "passages" if passages else "messages"
        for way, table in measured_plain(conversations, embedder, passages=passages).items():
            yield f"{way} over {units}", table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="+", type=Path)
    parser.add_argument("--facts", nargs="*", type=Path, default=[])
    parser.add_argument("--no-cues", action="store_true", help="learn the facts without their cue questions")
    parser.add_argument("--no-naive", action="store_true", help="leave the naive baseline out")
    parser.add_argument("--plain", action="store_true", help="BM25, MiniLM and RRF beside it")
    parser.add_argument("--ablation", action="store_true", help="a row for each weight at zero")
    parser.add_argument("--halves", action="store_true", help="choose weights on half the conversations")
    parser.add_argument("--models", type=Path, default=MODELS, help="cache of the exported embedder")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def measured_ltmld(
    conversations: Sequence[Conversation],
    folder: Path,
    embedder: MiniLmEmbedder,
    options: argparse.Namespace,
    *,
    facts: Mapping[str, Path],
) -> dict[str, Any]:
    """Put the conversations into a fresh ltmld, ask it their questions, and vary its weights where that is wished."""
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
            learn(ledger, conversation.name, facts[conversation.name], cues=not options.no_cues)
    while feeder.drain():
        pass
    count = sum(len(conversation.lines) for conversation in conversations)
    print(f"{count} messages imported and indexed in {time.perf_counter() - started:.1f} s", flush=True)

    def ask_in(scope: str) -> Ask:
        def ask(text: str) -> list[tuple[str, Sequence[str]]]:
            found = recall.recall(text, scope=scope, budget_tokens=ASKED_TOKENS, k=ASKED_HITS)
            return [(hit.text, hit.refs) for hit in found.hits]

        return ask

    tables = {"ltmld": tabled((conversation, ask_in(conversation.name)) for conversation in conversations)}
    asked = cases(conversations, recall) if options.ablation or options.halves else []
    if options.ablation:
        tables["ltmld, each weight at zero"] = _rows(ablation(asked))
    if options.halves:
        tables["ltmld, weights of the other half"] = _rows(held_out(asked))
    recall.close()
    index.close()
    ledger.close()
    return tables


def _rows(found: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {
        label: {f"@{budget}t": f"{value:.3f}" for budget, value in zip(BUDGETS, values, strict=True)}
        for label, values in found.items()
    }


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


if __name__ == "__main__":
    main()
