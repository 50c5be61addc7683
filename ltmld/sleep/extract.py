"""Extract: turn one episode into candidates, by the model or by rule.

Rules:
1. One episode, one question to the model. What it answers passes the firewall claim by claim.
2. An episode in which the gate admitted nothing is not asked about.
3. Noise (code, boilerplate, repetition) is left out of the prompt; thin talk stays, it is context.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ltmld.core.exchange import StoredMessage
from ltmld.sleep.asking import Asker
from ltmld.sleep.candidate import Candidate
from ltmld.sleep.echo import ECHO, Heard, echoes
from ltmld.sleep.episode import Episode, transcript
from ltmld.sleep.firewall import Refusal, admit
from ltmld.sleep.prompts import Prompt, load_prompt
from ltmld.sleep.replies import EXTRACT_SCHEMA, Drafts, read_drafts
from ltmld.sleep.rules import by_rules

FORGOTTEN = "its person had it forgotten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What one episode gave."""

    candidates: tuple[Candidate, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    malformed: int = 0
    cut: bool = False


def extract_prompt() -> Prompt:
    """Return the prompt of extraction.

    Raises:
        SettingsError: the user's own copy cannot be used.
    """
    return load_prompt("extract", placeholders=frozenset({"episode"}))


def by_model(episode: Episode, *, noise: frozenset[str], asker: Asker, prompt: Prompt) -> Notes:
    """Return what the model reads out of *episode*, less the message ids in *noise*.

    Raises:
        CompletionError: the model failed, or answered nonsense twice.
        UpstreamError: Ollama is away.
    """
    drafts: Drafts = asker.ask(
        system=prompt.system,
        prompt=prompt.filled({"episode": transcript(episode, without=noise)}),
        schema=EXTRACT_SCHEMA,
        read=read_drafts,
    )
    shown = frozenset(episode.ids) - noise
    judged = [admit(draft, episode, shown=shown) for draft in drafts.items]
    return Notes(
        candidates=tuple(one for one in judged if isinstance(one, Candidate)),
        refusals=tuple(one for one in judged if isinstance(one, Refusal)),
        malformed=drafts.malformed,
        cut=drafts.cut,
    )


def by_rule(messages: tuple[StoredMessage, ...], *, admitted: frozenset[str]) -> Notes:
    """Return what the rules read out of the admitted ones of *messages*."""
    found = [one for message in messages if message.id in admitted for one in by_rules(message)]
    return Notes(candidates=tuple(found))


def without_echoes(notes: Notes, *, heard: Callable[[str], Heard]) -> Notes:
    """Return *notes* less the claims that only repeat what the model had *heard* before a message, by its id."""
    echoed = [one for one in notes.candidates if not one.personal and echoes(one, heard(one.message_id))]
    if not echoed:
        return notes
    kept = tuple(one for one in notes.candidates if one not in echoed)
    dropped = tuple(Refusal(text=one.text, reason=ECHO) for one in echoed)
    return replace(notes, candidates=kept, refusals=notes.refusals + dropped)


def unforgotten(notes: Notes, *, tombstoned: Callable[[str], bool]) -> Notes:
    """Return *notes* less the candidates whose words their person had forgotten."""
    kept = tuple(one for one in notes.candidates if not tombstoned(one.text))
    dropped = tuple(Refusal(text=one.text, reason=FORGOTTEN) for one in notes.candidates if one not in kept)
    return Notes(candidates=kept, refusals=notes.refusals + dropped, malformed=notes.malformed, cut=notes.cut)
