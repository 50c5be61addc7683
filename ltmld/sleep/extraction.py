"""Read all episodes of a night: by the model while it answers, by rule when there is none.

Rules:
1. An episode whose answer is lost is left: its messages keep no verdict, and the next night reads it again.
2. Ollama away from the start: the rules read tonight, and the model reads the same messages when it is back
   (dedupe keeps the doubles out). Ollama gone half way: the rest is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from ltmld.core.days import local
from ltmld.errors import CompletionError, UpstreamError
from ltmld.sleep.asking import Asker
from ltmld.sleep.candidate import Candidate
from ltmld.sleep.desk import Desk
from ltmld.sleep.echo import Heard
from ltmld.sleep.episode import Episode, is_person
from ltmld.sleep.extract import Notes, by_model, by_rule, extract_prompt, unforgotten, without_echoes
from ltmld.sleep.report import NO_MODEL


@dataclass(slots=True, kw_only=True)
class Extraction:
    """What a scope's episodes gave: candidates in order, and the ids of messages left for the next night."""

    candidates: list[Candidate] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    refused: int = 0


def extraction(
    desk: Desk, episodes: Sequence[Episode], *, admitted: frozenset[str], noise: frozenset[str]
) -> Extraction:
    """Read the *episodes* in which anything was *admitted*."""
    result = Extraction()
    worth = [episode for episode in episodes if admitted.intersection(episode.ids)]
    asker = desk.asker
    if asker is None:
        _read_by_rule(desk, worth, admitted, result)
        if worth:
            desk.report.warn(
                "No model was used: plain statements were read by rule. A model would find more."
            )
        return result
    prompt = extract_prompt()
    for position, episode in enumerate(worth):
        desk.step(position, len(worth), "episodes")
        try:
            notes = by_model(episode, noise=noise, asker=asker, prompt=prompt)
        except UpstreamError as error:
            _without_upstream(desk, worth[position:], admitted, result, error, asker)
            break
        except CompletionError as error:
            _leave(desk, episode, result, error)
        else:
            _take(desk, without_echoes(notes, heard=partial(_heard, desk, episode)), result)
    desk.report.asked(asker.tally)
    return result


def _heard(desk: Desk, episode: Episode, message_id: str) -> Heard:
    """Return what stood in the prompt behind a message: lines of memory, and what people say in the thread."""
    message = next(one for one in episode.messages if one.id == message_id)
    stood = desk.ledger.exchange(message.exchange_id)["injections"] if message.exchange_id else []
    thread = desk.ledger.thread_messages(message.thread_id)
    return Heard(
        given=tuple(item["text"] for injection in stood for item in injection["items"]),
        said=tuple(one.text for one in (*thread, *episode.messages) if is_person(one)),
    )


def _without_upstream(
    desk: Desk,
    rest: Sequence[Episode],
    admitted: frozenset[str],
    result: Extraction,
    error: UpstreamError,
    asker: Asker,
) -> None:
    result.left.update(message_id for episode in rest for message_id in episode.ids)
    if asker.tally.calls or asker.tally.cached:
        desk.report.warn(f"{len(rest)} episodes wait for the next night: {error}")
        return
    _read_by_rule(desk, rest, admitted, result)
    desk.report.rows["model"] = NO_MODEL
    desk.report.warn(
        f"No model was used, plain statements were read by rule: {error} "
        "The model reads the same messages on the next night that it is there."
    )


def _leave(desk: Desk, episode: Episode, result: Extraction, error: CompletionError) -> None:
    result.left.update(episode.ids)
    when = f"{local(episode.messages[0].at):%Y-%m-%d %H:%M}"
    desk.report.warn(
        f"The episode of {when} ({len(episode.ids)} messages) waits for the next night: {error}."
    )


def _read_by_rule(
    desk: Desk, episodes: Sequence[Episode], admitted: frozenset[str], result: Extraction
) -> None:
    for episode in episodes:
        _take(desk, by_rule(episode.messages, admitted=admitted), result)


def _take(desk: Desk, notes: Notes, result: Extraction) -> None:
    believed = unforgotten(notes, tombstoned=lambda text: desk.ledger.tombstoned(desk.scope, text))
    result.candidates.extend(believed.candidates)
    result.refused += len(believed.refusals) + believed.malformed
    for refusal in believed.refusals:
        desk.report.refused(refusal.text, refusal.reason)
    if believed.malformed:
        desk.report.warn(f"{believed.malformed} items of an answer were malformed and dropped.")
    if believed.cut:
        desk.report.warn("An answer was cut short: what was whole of it was taken.")
