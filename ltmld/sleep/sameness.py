"""Decide whether two sentences mean the same: guards first, nearness second.

Cosine alone cannot decide (measured: "allergic / not allergic to peanuts" 0.97, "two / three dogs" 0.94,
"3 pm / 5 pm" 0.93, a true paraphrase 0.79; on STS-B a cosine of 0.95 finds duplicates with precision 0.66).

Rules:
1. Numbers, negation, names, dates, subject and attribute must agree, whatever the cosine says.
2. After that, the newer sentence must say nothing that the older does not, word by word; or be a paraphrase
   of one attribute with the same number or date in it, and near.
3. When in doubt they are two memories: a double costs a line, a wrong merge loses a fact.
"""

from __future__ import annotations

from dataclasses import dataclass

from ltmld.core.memory import Memory, MemoryKind
from ltmld.sleep.candidate import Candidate
from ltmld.sleep.words import content, hedged, names, negated, numbers, plain

OVERLAP_MIN = 0.6
"""Share of common words (Jaccard on stems) from which a sentence may be contained in another."""
PARAPHRASE_COSINE_MIN = 0.75
CONTAINED_COSINE_MIN = 0.70

# A plan is not the event, an event is not a standing fact; the other kinds are views of the same sentence.
_STANDING = frozenset({MemoryKind.FACT, MemoryKind.PREFERENCE, MemoryKind.IDENTITY, MemoryKind.RELATIONSHIP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What is compared of one sentence, worked out once."""

    plain: str
    words: frozenset[str]
    numbers: frozenset[str]
    names: frozenset[str]
    negated: bool
    hedged: bool
    subject: str
    attribute: str
    when: str
    kind: MemoryKind


def meaning(item: Memory | Candidate) -> Meaning:
    """Return the meaning of a memory or a candidate as far as rules can see it."""
    subject = plain(item.subject)
    return Meaning(
        plain=plain(item.text).rstrip(".!"),
        words=content(item.text) - content(item.subject),
        numbers=numbers(item.text),
        names=names(item.text) - frozenset(subject.split()),
        negated=negated(item.text),
        hedged=hedged(item.text),
        subject=subject,
        attribute=item.attribute,
        when=item.when,
        kind=item.kind,
    )


def same(newer: Meaning, older: Meaning, *, cosine: float | None) -> bool:
    """Tell whether *newer* says nothing that *older* does not; ``cosine`` is ``None`` where it is unknown."""
    if not _agree(newer, older):
        return False
    if newer.plain == older.plain:
        return True
    return _contained(newer, older, cosine) or _paraphrase(newer, older, cosine)


def _agree(newer: Meaning, older: Meaning) -> bool:
    """Return whether all guards agree: one that does not makes two memories."""
    return (
        newer.negated == older.negated
        and newer.hedged == older.hedged
        and newer.numbers == older.numbers
        and newer.names == older.names
        and newer.subject == older.subject
        and _kinds_agree(newer.kind, older.kind)
        and _attributes_agree(newer.attribute, older.attribute)
        and _dates_agree(newer.when, older.when)
    )


def _kinds_agree(newer: MemoryKind, older: MemoryKind) -> bool:
    return newer is older or (newer in _STANDING and older in _STANDING)


def _attributes_agree(newer: str, older: str) -> bool:
    if newer == older or not newer or not older:
        return True
    # "pet" and "pet_name" are one attribute seen twice; "pet" and "home" are not.
    return bool(set(newer.split("_")) & set(older.split("_")))


def _dates_agree(newer: str, older: str) -> bool:
    return not newer or not older or newer.startswith(older) or older.startswith(newer)


def _contained(newer: Meaning, older: Meaning, cosine: float | None) -> bool:
    if not newer.words or not newer.words <= older.words:
        return False
    overlap = len(newer.words) / len(older.words)
    return overlap >= OVERLAP_MIN and (cosine is None or cosine >= CONTAINED_COSINE_MIN)


def _paraphrase(newer: Meaning, older: Meaning, cosine: float | None) -> bool:
    if cosine is None or cosine < PARAPHRASE_COSINE_MIN or not newer.attribute:
        return False
    anchored = bool(newer.numbers) or (bool(newer.when) and newer.when == older.when)
    return newer.attribute == older.attribute and anchored and bool(newer.words & older.words)
