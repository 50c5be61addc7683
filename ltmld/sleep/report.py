"""The report of a cycle: what the night did, in numbers and in plain sentences, growing stage by stage.

It travels in every checkpoint, so that a resumed cycle reports the whole night.

Rules:
1. Everything in it is JSON; lists of texts are bounded, their numbers are not.
2. Whatever was lost or left over is said in ``warnings``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from ltmld.core.proposal import Fade, Learn, Proposal, Reinforce, Supersede, Verdict, Weaken
from ltmld.sleep.asking import Tally

LISTED_MAX = 50
"""Most texts in one list of the report."""
LISTED_CHARS_MAX = 300

NO_MODEL = "none (rules)"


class Report:
    """The report while it grows; ``rows`` is what is stored."""

    def __init__(self, rows: Mapping[str, Any]) -> None:
        self.rows: dict[str, Any] = dict(rows)

    @classmethod
    def begun(
        cls, *, depth: str, scope: str, model: str, trigger: str, dry_run: bool, at: datetime
    ) -> Report:
        """Return the report of a cycle that has just begun."""
        return cls(
            {
                "id": "",
                "state": "running",
                "depth": depth,
                "scope": scope,
                "scopes": [],
                "model": model or NO_MODEL,
                "trigger": trigger,
                "dry_run": dry_run,
                "started_at": at.isoformat(),
                "finished_at": "",
                "took_s": 0.0,
                "stages": [],
                "messages": {"gathered": 0, "admitted": 0, "refused": 0, "left": 0, "reasons": {}},
                "memories": dict.fromkeys(
                    ("learned", "reinforced", "lessons", "superseded", "weakened", "faded", "refused"), 0
                ),
                "learned": [],
                "reinforced": [],
                "lessons": [],
                "superseded": [],
                "faded": [],
                "refused": [],
                "model_calls": asdict(Tally()),
                "gamma": 0.0,
                "warnings": [],
                "error": "",
            }
        )

    def warn(self, sentence: str) -> None:
        """Add a plain sentence, once."""
        if sentence not in self.rows["warnings"]:
            self.rows["warnings"].append(sentence)

    def stage(self, name: str, *, scope: str, took_ms: float, counts: Mapping[str, int]) -> None:
        """Note that a stage is done."""
        self.rows["stages"].append(
            {"stage": name, "scope": scope, "ms": round(took_ms, 1), "counts": dict(counts)}
        )

    def gathered(self, count: int) -> None:
        """Note how many messages were gathered."""
        self.rows["messages"]["gathered"] += count

    def judged(self, verdicts: Iterable[Verdict]) -> None:
        """Note the gate's verdicts, and what share it kept."""
        messages = self.rows["messages"]
        for verdict in verdicts:
            messages["admitted" if verdict.admitted else "refused"] += 1
            kind = "admit" if verdict.admitted else "refuse"
            reasons = messages["reasons"].setdefault(kind, {})
            reasons[verdict.reason] = reasons.get(verdict.reason, 0) + 1
        total = messages["admitted"] + messages["refused"]
        self.rows["gamma"] = round(messages["admitted"] / total, 4) if total else 0.0

    def left(self, count: int) -> None:
        """Note how many messages wait for the next night."""
        self.rows["messages"]["left"] += count

    def proposed(self, proposals: Iterable[Proposal], texts: Mapping[str, str]) -> None:
        """Note what changes; ``texts`` are the words of the memories that proposals name."""
        for proposal in proposals:
            match proposal:
                case Learn(memory=memory):
                    self._listed("lessons" if memory.kind.value == "lesson" else "learned", memory.text)
                case Reinforce(memory_id=memory_id):
                    self._listed("reinforced", texts.get(memory_id, memory_id))
                case Supersede(memory_id=memory_id, by=by):
                    words = f"{texts.get(memory_id, memory_id)} -> {texts.get(by, by)}"
                    self._listed("superseded", words)
                case Fade(memory_id=memory_id):
                    self._listed("faded", texts.get(memory_id, memory_id))
                case Weaken():
                    self.rows["memories"]["weakened"] += 1
                case _:
                    continue

    def refused(self, text: str, reason: str) -> None:
        """Note a claim that was not believed."""
        self._listed("refused", f"{reason}: {text}")

    def asked(self, tally: Tally) -> None:
        """Note what the model was asked so far."""
        self.rows["model_calls"] = asdict(tally)

    def tally(self) -> Tally:
        """Return what the model was asked so far, to count on from."""
        return Tally(**self.rows["model_calls"])

    def ended(self, *, state: str, at: datetime, error: str = "") -> dict[str, Any]:
        """Return the report of a cycle that ends at *at*."""
        started = datetime.fromisoformat(self.rows["started_at"])
        self.rows |= {
            "state": state,
            "finished_at": at.isoformat(),
            "took_s": round((at - started).total_seconds(), 3),
            "error": error,
        }
        return self.rows

    def _listed(self, name: str, text: str) -> None:
        self.rows["memories"][name] += 1
        if len(self.rows[name]) < LISTED_MAX:
            self.rows[name].append(text[:LISTED_CHARS_MAX])
