"""The sentences that the rule-based extractor understands, as one table.

Each rule is a pattern over one sentence said in the first person and a template for the memory. ``{S}`` is
who said it, ``{v}`` what the pattern caught, ``{n}`` a second catch. They are few and conservative: a rule
that sometimes invents something is worse than a sentence left in the raw talk, where recall finds it anyway.
Patterns see straight quotes only (``rules`` straightens them).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ltmld.core.memory import MemoryKind

# What is caught ends at punctuation or where another clause begins.
_CLAUSE = (
    r"and (?:i|we|my|it|he|she|they|i'm|i've)|but|because|'?cause|since|so|where|which|who|when|while|anymore"
    r"|though|right now|at the moment|these days|nowadays"
)
_STOP = rf"(?=\s(?:{_CLAUSE})\b|[.,;:!?()\n]|\s[-\u2013\u2014]|$)"
# A state holds from when it was said: "last month" in the sentence is no part of it.
_DATED = r"last|next|this|yesterday|today|recently|ago|an? (?:week|month|year)|about|around|in (?:19|20)\d\d"
_PLACE_STOP = rf"(?=\s(?:{_CLAUSE}|{_DATED})\b|[.,;:!?()\n]|\s[-\u2013\u2014]|$)"

PHRASE = rf"(?P<v>[^.,;:!?()\n]{{3,70}}?){_STOP}"
PLACE = rf"(?P<v>[^.;:!?()\n]{{2,50}}?){_PLACE_STOP}"
NAME = r"(?P<v>(?-i:[A-Z])[\w'-]+(?: (?-i:[A-Z])[\w'-]+){0,2})"

_I = r"\bi"
_AM = r"\bi(?:'m| am)(?: currently| now| actually)?"
_OFTEN = r"(?: really| absolutely| also| still| just| do)*"

_KIN = (
    r"(?P<n>(?:older |younger |little |big |elder )?(?:wife|husband|partner|girlfriend|boyfriend|fianc\u00e9e?"
    r"|fiancee?|mother|mom|mum|father|dad|sister|brother|son|daughter|kid|baby|grandmother|grandma|grandfather"
    r"|grandpa|aunt|uncle|cousin|nephew|niece|best friend|roommate|boss|dog|puppy|cat|kitten|parrot|hamster"
    r"|rabbit|horse))"
)
_THINGS = (
    r"(?:dogs?|pupp(?:y|ies)|cats?|kittens?|pets?|parrots?|hamsters?|rabbits?|horses?|fish|kids?|children|child"
    r"|sons?|daughters?|sisters?|brothers?|siblings?|twins|grandchildren|house|apartment|flat|farm|garden|boat"
    r"|car|motorbike|bike|guitar|piano|violin|cello|drums|flute|saxophone|shop|store|studio|business|company"
    r"|diabetes|asthma|migraines)"
)
_COUNT = r"(?:an?|one|two|three|four|five|\d+)"
_COUNTED = rf"{_COUNT} (?:[\w'-]+ ){{0,2}}{_THINGS}\b"
_CALLED = r"(?:(?: called| named) (?-i:[A-Z])[\w'-]+(?: and (?-i:[A-Z])[\w'-]+)?)?"
_NO_TRADE = (
    r"fan|lover|believer|beginner|person|member|hater|owner|reader|winner|loser|father|mother|sister|brother"
    r"|daughter|little|bit|newcomer|stranger|runner|er\b"
)
_TRADE = (
    rf"(?:(?!{_NO_TRADE})\w{{3,}}(?:eer|ist|ician|ctor|tect|tant|her\b|per\b|ner\b|ger\b|yer\b|ver\b)"
    r"|nurse|chef|pilot|baker|farmer|driver|writer|plumber|carpenter|painter|student|programmer|singer|dancer"
    r"|barista|vet|paramedic|electrician|surgeon|soldier|police officer|social worker)"
)
_DIET = r"vegetarian|vegan|pescatarian|diabetic|celiac|lactose intolerant|gluten intolerant"
_DID = (
    r"(?:went|visited|attended|joined|started|finished|bought|sold|adopted|painted|ran|won|moved|met|graduated"
    r"|signed up|learned|read|saw|watched|made|built|wrote|got|took|lost|quit|broke|passed|opened|launched"
    r"|planted|applied|hiked|travell?ed|flew|drove|swam|tried|created|volunteered|registered|proposed|married"
    r"|retired|celebrated|hosted|organi[sz]ed|participated|competed|performed|spoke|gave|ordered|donated"
    r"|received|booked)"
)
# "Made it", "got to see how": what is meant stands in another sentence.
_VAGUE = (
    r"it\b|this\b|that\b|how\b|into\b|her\b|him\b|them\b|you\b|something\b|lots\b|some\b|so\b|the point"
    r"|to (?:let|show|remind|make|celebrate|catch|apologi|see|know|get|be\b|have)"
)
_VAGUE_LIKE = (
    r"it\b|that\b|this\b|you|your|the way|the thought|the idea|how|when|is\b|was\b|them\b|what|these|those"
    r"|to\b[.!]|her\b|him\b|his\b|hearing|seeing|to (?:hear|know|see|say|think|help|admit|ask)\b"
)
_BEFORE_DID = r"(?:^|[,;] (?:and |so )?|\b(?:today|yesterday|and|so|but|weekend|week|month|year|night),? )"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of sentence and the memory it becomes; ``{n}`` in the attribute is the second catch."""

    pattern: re.Pattern[str]
    template: str
    kind: MemoryKind
    attribute: str
    importance: float
    needs_date: bool = False


def _rule(
    pattern: str,
    template: str,
    attribute: str,
    kind: MemoryKind,
    importance: float,
    *,
    needs_date: bool = False,
) -> Rule:
    return Rule(
        pattern=re.compile(pattern, re.IGNORECASE),
        template=template,
        kind=kind,
        attribute=attribute,
        importance=importance,
        needs_date=needs_date,
    )


_FACT, _PREFERENCE, _EVENT = MemoryKind.FACT, MemoryKind.PREFERENCE, MemoryKind.EVENT
_PLAN, _KINSHIP, _IDENTITY = MemoryKind.PLAN, MemoryKind.RELATIONSHIP, MemoryKind.IDENTITY
_MARRIED = r"married(?: to [^.,;!?]{2,40})?|divorced|single|engaged(?: to [^.,;!?]{2,40})?|widowed"

# In order: where two rules catch the same words of a sentence, the earlier one has them.
RULES: tuple[Rule, ...] = (
    _rule(rf"\bmy (?:full |first )?name(?:'s| is) {NAME}", "{S}'s name is {v}", "name", _IDENTITY, 0.9),
    _rule(
        rf"^(?:hi|hello|hey)\b[^.!?]{{0,12}}\bi(?:'m| am) {NAME}(?=[.,!]|$| and\b)",
        "{S}'s name is {v}",
        "name",
        _IDENTITY,
        0.9,
    ),
    _rule(rf"\b(?:please |you can )call me {NAME}", "{S} wants to be called {v}", "called", _IDENTITY, 0.9),
    _rule(rf"{_AM} not allergic to {PHRASE}", "{S} is not allergic to {v}", "allergy", _FACT, 0.9),
    _rule(
        rf"{_AM} (?:severely |badly |deadly |very )?allergic to {PHRASE}",
        "{S} is allergic to {v}",
        "allergy",
        _FACT,
        0.95,
    ),
    _rule(rf"{_AM} (?:a )?(?P<v>{_DIET})\b", "{S} is {v}", "diet", _FACT, 0.85),
    _rule(
        rf"{_I}(?: just| recently|'ve| have)* moved (?:from [^.,;!?]{{2,40}} )?to {PLACE}",
        "{S} lives in {v}",
        "home",
        _FACT,
        0.85,
    ),
    _rule(
        rf"{_I}(?: currently| now| still)? (?:live|reside) in {PLACE}",
        "{S} lives in {v}",
        "home",
        _FACT,
        0.85,
    ),
    _rule(rf"{_AM} (?:living|based) in {PLACE}", "{S} lives in {v}", "home", _FACT, 0.85),
    _rule(rf"{_AM} (?:originally )?from {PLACE}", "{S} is from {v}", "origin", _FACT, 0.7),
    _rule(rf"{_I}(?: currently| now)? work as an? {PHRASE}", "{S} works as a {v}", "occupation", _FACT, 0.8),
    _rule(
        rf"{_AM} (?:working as )?an? (?P<v>(?:(?!bit|fan|lot|big|huge)\w+ ){{0,2}}{_TRADE})\b",
        "{S} works as a {v}",
        "occupation",
        _FACT,
        0.8,
    ),
    _rule(rf"{_I}(?: currently| now)? work (?:at|for) {PHRASE}", "{S} works at {v}", "employer", _FACT, 0.75),
    _rule(
        rf"\bmy favou?rite (?P<n>[a-z ]{{2,30}}?)(?:'s| is| are) {PHRASE}",
        "{S}'s favorite {n} is {v}",
        "favorite_{n}",
        _PREFERENCE,
        0.6,
    ),
    _rule(rf"\bmy birthday(?:'s| is)(?: on)? {PHRASE}", "{S}'s birthday is {v}", "birthday", _FACT, 0.85),
    _rule(rf"{_I} was born (?P<n>in|on) {PHRASE}", "{S} was born {n} {v}", "birth", _FACT, 0.8),
    _rule(rf"{_AM} (?P<v>\d{{1,3}}) years old\b", "{S} is {v} years old", "age", _FACT, 0.7),
    _rule(
        rf"\bmy {_KIN}(?:'s name)?(?:'s| is)(?: called| named)? {NAME}(?=[.,!;)]|$| and\b)",
        "{S}'s {n} is called {v}",
        "{n}",
        _KINSHIP,
        0.8,
    ),
    _rule(
        rf"\bmy {_KIN},? (?P<v>(?-i:[A-Z])[a-z]+)\b(?!')", "{S}'s {n} is called {v}", "{n}", _KINSHIP, 0.75
    ),
    _rule(
        rf"{_AM} (?P<v>{_MARRIED})(?=[.,;!]|$| and\b| with\b)",
        "{S} is {v}",
        "relationship_status",
        _KINSHIP,
        0.8,
    ),
    _rule(
        rf"{_I}(?: have|'ve got| own| also have) (?P<v>{_COUNTED}(?:(?:,| and) {_COUNTED})*{_CALLED})",
        "{S} has {v}",
        "has",
        _FACT,
        0.7,
    ),
    _rule(
        rf"{_I}{_OFTEN} (?:can't|cannot) stand (?!{_VAGUE_LIKE}){PHRASE}",
        "{S} cannot stand {v}",
        "dislikes",
        _PREFERENCE,
        0.6,
    ),
    _rule(
        rf"{_I}{_OFTEN} (?P<n>don't like|do not like|dislike|hate) (?!{_VAGUE_LIKE}){PHRASE}",
        "{S} dislikes {v}",
        "dislikes",
        _PREFERENCE,
        0.6,
    ),
    _rule(
        rf"{_I}{_OFTEN} (?P<n>love|like|enjoy|adore|prefer) (?!{_VAGUE_LIKE}){PHRASE}",
        "{S} {n}s {v}",
        "likes",
        _PREFERENCE,
        0.55,
    ),
    _rule(rf"{_I}(?: really)? (?:plan|intend) (?:to|on) {PHRASE}", "{S} plans to {v}", "plan", _PLAN, 0.6),
    _rule(rf"{_AM} planning (?:to|on) {PHRASE}", "{S} plans to {v}", "plan", _PLAN, 0.6),
    _rule(
        rf"{_AM} (?:going to|gonna) (?!an?\b|the\b|my\b|our\b|be\b|(?-i:[A-Z])){PHRASE}",
        "{S} plans to {v}",
        "plan",
        _PLAN,
        0.6,
        needs_date=True,
    ),
    _rule(rf"{_I}(?:'ll| will) {PHRASE}", "{S} plans to {v}", "plan", _PLAN, 0.55, needs_date=True),
    _rule(
        rf"{_BEFORE_DID}{_I}(?: just| also| recently| finally| even)* "
        rf"(?P<v>{_DID} (?!{_VAGUE})[^.!?;\n]{{6,140}})(?=[.!?;\n]|$)",
        "{S} {v}",
        "event",
        _EVENT,
        0.5,
    ),
)

REMEMBER = re.compile(
    r"^(?:(?:please|hey|ok|and)[ ,]+)*(?:please )?(?:remember|note|keep in mind|don't forget) that "
    r"(?P<v>.{6,300}?)[.!]?$",
    re.IGNORECASE,
)
"""An order to remember: whatever follows is kept, in the person's own words."""

UNCERTAIN = re.compile(
    r"\b(?:if|unless|imagine|suppose|pretend|wish|would|could|might|maybe|perhaps|hypothetically|for example"
    r"|let's say|in my dream|write|translate|rewrite|summari[sz]e|act as)\b|\?|^[\"'\u201c>]|[:,] ?[\"\u201c]",
    re.IGNORECASE,
)
"""Sentences about what is not so, or not yet: an if, a wish, someone else's words, a question, a task."""
