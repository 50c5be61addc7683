"""The stages of a night in their order, each fetching its rows and handing them to its pure function.

Rules:
1. A stage returns what it proposes (``Done``); it writes nothing. The cycle applies.
2. A message gets its verdict in the same transaction as the memories drawn from it (``dedupe``), so that a
   night that fails anywhere before has gathered nothing, and the next night loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ltmld.core.memory import Memory
from ltmld.core.proposal import Learn, Proposal, Reinforce, Supersede, Verdict
from ltmld.errors import CompletionError, EmbedderError, UpstreamError
from ltmld.sleep.candidate import Candidate
from ltmld.sleep.cluster import clusterable, clusters, labels, vectors
from ltmld.sleep.decay import decay
from ltmld.sleep.dedupe import dedupe
from ltmld.sleep.desk import Desk, Done
from ltmld.sleep.episode import Episode, gather
from ltmld.sleep.extraction import extraction
from ltmld.sleep.gate import NOISE, REASONS, gate
from ltmld.sleep.prompts import load_prompt
from ltmld.sleep.reconcile import reconcile
from ltmld.sleep.replies import SUMMARIZE_SCHEMA, read_lesson
from ltmld.sleep.slots import filled
from ltmld.sleep.summarize import Theme, lesson, themes

MESSAGES_MAX = 20_000
"""Most messages of one scope in one night; the rest waits, and the report says so."""
LESSONS_MAX = 20
"""Most new lessons of one scope in one night."""
DUPLICATES_LOOKED_AT = 10
CYCLES_LOOKED_AT = 200
"""How far back the last step of decay is looked for: more sleeps than any day has."""

Stage = Callable[[Desk, Mapping[str, Any]], Done]


def gather_stage(desk: Desk, _work: Mapping[str, Any]) -> Done:
    """Take what no night has judged, cut into episodes."""
    messages = desk.ledger.ungathered(desk.scope, limit=MESSAGES_MAX)
    if len(messages) == MESSAGES_MAX:
        desk.report.warn(
            f"{desk.scope}: only the oldest {MESSAGES_MAX} messages were taken tonight; sleep again for the rest."
        )
    episodes = gather(
        messages,
        gap=timedelta(minutes=desk.settings.episode_gap_minutes),
        messages_max=desk.settings.episode_messages_max,
    )
    desk.report.gathered(len(messages))
    return Done(
        work={"episodes": [list(episode.ids) for episode in episodes]},
        counts={"messages": len(messages), "episodes": len(episodes)},
    )


def gate_stage(desk: Desk, work: Mapping[str, Any]) -> Done:
    """Judge every gathered message. A nap, which extracts nothing, only disposes of what is noise or filler."""
    messages = [message for episode in _episodes(desk, work) for message in episode.messages]
    nearest = desk.nearest([message.text for message in messages], limit=1)
    cosines = [max(scores.values(), default=0.0) for scores in nearest]
    verdicts = gate(messages, nearest=cosines, threshold=desk.settings.gate_threshold)
    desk.report.judged(verdicts)
    admitted = sum(verdict.admitted for verdict in verdicts)
    disposed = tuple(verdict for verdict in verdicts if desk.depth == "nap" and _disposable(verdict))
    return Done(
        proposals=disposed,
        work={"verdicts": [[v.message_id, v.admitted, v.score, v.reason] for v in verdicts]},
        counts={"admitted": admitted, "refused": len(verdicts) - admitted},
    )


def extract_stage(desk: Desk, work: Mapping[str, Any]) -> Done:
    """Read the episodes, by the model or by rule; what could not be read is left for the next night."""
    verdicts = _verdicts(work)
    result = extraction(
        desk,
        _episodes(desk, work),
        admitted=frozenset(verdict.message_id for verdict in verdicts if verdict.admitted),
        noise=frozenset(verdict.message_id for verdict in verdicts if verdict.reason in NOISE),
    )
    desk.report.left(len(result.left))
    return Done(
        work={"candidates": [one.to_json() for one in result.candidates], "left": sorted(result.left)},
        counts={"candidates": len(result.candidates), "refused": result.refused, "left": len(result.left)},
    )


def dedupe_stage(desk: Desk, work: Mapping[str, Any]) -> Done:
    """Learn what is new, reinforce what is known, and mark the messages as judged: all in one transaction."""
    candidates = [Candidate.from_json(row) for row in _rows(work, "candidates")]
    scores = desk.nearest([one.text for one in candidates], limit=DUPLICATES_LOOKED_AT)
    changes = dedupe(
        candidates,
        # Without candidates nothing can be met, and what has faded over the years need not be read.
        known=[*desk.memories(), *desk.faded()] if candidates else (),
        nearness={
            (position, key): value for position, near in enumerate(scores) for key, value in near.items()
        },
        scope=desk.scope,
        now=desk.now,
        base_days=desk.settings.base_days,
        new_id=desk.new_id,
    )
    left = set(_rows(work, "left"))
    verdicts = [verdict for verdict in _verdicts(work) if verdict.message_id not in left]
    fresh = [one.memory.id if isinstance(one, Learn) else one.memory_id for one in changes]
    return Done(
        proposals=(*verdicts, *changes),
        work={"fresh": fresh, "candidates": [], "verdicts": [], "episodes": []},
        counts=_counts(changes),
    )


def reconcile_stage(desk: Desk, _work: Mapping[str, Any]) -> Done:
    """Let what was said later stand where a single-valued attribute was filled again."""
    memories = [memory for memory in desk.memories() if filled(memory) is not None]
    proposals = reconcile(memories, said_at=_said_at(desk, memories))
    return Done(proposals=tuple(proposals), counts=_counts(proposals))


def cluster_stage(desk: Desk, work: Mapping[str, Any]) -> Done:
    """Find what belongs together, when tonight brought anything and there is someone to use it."""
    if not _rows(work, "fresh") or desk.asker is None or desk.asker.away:
        return Done(work={"clusters": []})
    if desk.embedder is None:
        desk.report.warn("Nothing was clustered: there are no vectors without the embedding model.")
        return Done(work={"clusters": []})
    memories = clusterable(desk.memories())
    try:
        asker = desk.asker
        numbers = labels(vectors(memories, desk.embedder), halted=lambda: asker.pause(0.0))
    except EmbedderError as error:
        desk.report.warn(f"Nothing was clustered: {error}")
        return Done(work={"clusters": []})
    if numbers is None:
        desk.report.warn("Nothing was clustered: the clustering process failed or took too long.")
        return Done(work={"clusters": []})
    found = clusters(memories, numbers)
    return Done(
        work={"clusters": [list(ids) for ids in found]},
        counts={"memories": len(memories), "clusters": len(found)},
    )


def summarize_stage(desk: Desk, work: Mapping[str, Any]) -> Done:
    """Draw a key lesson from each cluster that tonight added to; without a model there is none."""
    if desk.asker is None:
        if _rows(work, "fresh"):
            desk.report.warn("No lessons were drawn: that needs a model.")
        return Done()
    wanted, stronger = themes(
        _rows(work, "clusters"), memories=desk.memories(), fresh=frozenset(_rows(work, "fresh"))
    )
    proposals: list[Proposal] = list(stronger)
    for position, theme in enumerate(wanted[:LESSONS_MAX]):
        desk.step(position, min(len(wanted), LESSONS_MAX), "lessons")
        proposals.extend(_lesson(desk, theme))
    if len(wanted) > LESSONS_MAX:
        desk.report.warn(
            f"{len(wanted) - LESSONS_MAX} themes wait for a later night: {LESSONS_MAX} lessons a night."
        )
    return Done(proposals=tuple(proposals), work={"clusters": []}, counts=_counts(proposals))


def decay_stage(desk: Desk, work: Mapping[str, Any]) -> Done:
    """Let a step of time pass over the memories; what was met tonight has not been alone since the last step."""
    fresh = frozenset(_rows(work, "fresh"))
    proposals = decay(
        [memory for memory in desk.memories() if memory.id not in fresh],
        now=desk.now,
        last_step_at=_last_step_at(desk),
        floor=desk.settings.floor,
        base_days=desk.settings.base_days,
    )
    return Done(proposals=tuple(proposals), counts=_counts(proposals))


STAGES: Mapping[str, Stage] = {
    "gather": gather_stage,
    "gate": gate_stage,
    "extract": extract_stage,
    "dedupe": dedupe_stage,
    "reconcile": reconcile_stage,
    "cluster": cluster_stage,
    "summarize": summarize_stage,
    "decay": decay_stage,
}

DEPTHS: Mapping[str, tuple[str, ...]] = {
    "nap": ("gather", "gate", "decay"),
    "light": tuple(STAGES),
    "deep": tuple(STAGES),
}
"""Stages per depth; a deep sleep has no stage of its own yet, and its report says so."""


def stage_label(stage: str, scope: str) -> str:
    """Return the name under which a stage of a scope is checkpointed; unique within a cycle."""
    return f"{stage}:{scope}"


def _lesson(desk: Desk, theme: Theme) -> list[Learn | Supersede]:
    if desk.asker is None:
        return []
    prompt = load_prompt("summarize", placeholders=frozenset({"notes"}))
    try:
        text = desk.asker.ask(
            system=prompt.system,
            prompt=prompt.filled({"notes": theme.notes()}),
            schema=SUMMARIZE_SCHEMA,
            read=read_lesson,
        )
    except (CompletionError, UpstreamError) as error:
        desk.report.warn(f"A lesson was not drawn: {error}")
        return []
    drawn = lesson(
        theme,
        text,
        memory_id=desk.new_id("mem"),
        scope=desk.scope,
        now=desk.now,
        base_days=desk.settings.base_days,
    )
    if not drawn:
        desk.report.refused(text, "a lesson longer than its notes, or with more in it")
    return drawn


def _episodes(desk: Desk, work: Mapping[str, Any]) -> list[Episode]:
    rows = _rows(work, "episodes")
    messages = desk.messages([message_id for ids in rows for message_id in ids])
    found = [tuple(messages[one] for one in ids if one in messages) for ids in rows]
    return [Episode(messages=part) for part in found if part]


def _verdicts(work: Mapping[str, Any]) -> list[Verdict]:
    return [
        Verdict(message_id=message_id, admitted=admitted, score=score, reason=reason)
        for message_id, admitted, score, reason in _rows(work, "verdicts")
    ]


def _disposable(verdict: Verdict) -> bool:
    return not verdict.admitted and (verdict.reason in NOISE or verdict.reason == REASONS["phatic"])


def _rows(work: Mapping[str, Any], name: str) -> list[Any]:
    rows = work.get(name, [])
    return rows if isinstance(rows, list) else []


def _said_at(desk: Desk, memories: Sequence[Memory]) -> dict[str, datetime]:
    messages = desk.messages(sorted({source.message_id for memory in memories for source in memory.sources}))
    said = {
        memory.id: [messages[one.message_id].at for one in memory.sources if one.message_id in messages]
        for memory in memories
    }
    return {memory_id: max(moments) for memory_id, moments in said.items() if moments}


def _last_step_at(desk: Desk) -> datetime | None:
    """Return when decay last changed anything in this scope, as the cycles' checkpoints have it."""
    label = stage_label("decay", desk.scope)
    steps = [
        datetime.fromisoformat(stage["applied_at"])
        for cycle in desk.ledger.cycles(limit=CYCLES_LOOKED_AT)
        for stage in cycle["stages"]
        if stage["stage"] == label and (stage["counts"].get("weaken") or stage["counts"].get("fade"))
    ]
    return max(steps, default=None)


def _counts(proposals: Sequence[Proposal]) -> dict[str, int]:
    counts: dict[str, int] = {}
    names = {Learn: "learned", Reinforce: "reinforced", Supersede: "superseded"}
    for proposal in proposals:
        name = names.get(type(proposal), type(proposal).__name__.lower())
        counts[name] = counts.get(name, 0) + 1
    return counts
