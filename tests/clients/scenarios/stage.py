"""What every scenario says, and how it tells what it heard: one JSON line a feature, and a wait for the next cue.

Rules:
1. A scenario runs as a program of its own: ``python -m tests.clients.scenarios.NAME URL``; it imports nothing of ours
   but this file, because it runs where only the clients are installed.
2. An outcome holds what a person or a program would act on; ids, times and the length of the prompt are left out.
3. A feature that a client has not is said, with the reason.
4. The cue lets the test look at the server between two features, while the client still runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

MODEL = "stand-in:latest"
EMBEDDER = "stand-in-embed:latest"
UNKNOWN_MODEL = "nobody-has-this"
SYSTEM = "You answer in one sentence."
CHAT = ("My canoe is painted green.", "And the paddle, what is it made of?")
STREAM = "Whales hum at midnight, says Nora."
CALL = "Please use get_weather for Lisbon."
STRUCTURED = "Describe one bicycle as data."
CANCEL = "Count every grain of sand aloud."
EMBEDDED = ["apples and pears", "thunder over the lake"]

WEATHER = "22 degrees and sunny"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
GET_WEATHER = {"name": "get_weather", "description": "Say how the weather is.", "parameters": CITY}
WEATHER_TOOL = {"type": "function", "function": GET_WEATHER}
BICYCLE = {
    "type": "object",
    "properties": {"color": {"type": "string"}, "gears": {"type": "integer"}, "old": {"type": "boolean"}},
    "required": ["color", "gears", "old"],
}

HEARD_BEFORE_LEAVING = 3
"""How many pieces of the endless answer are taken before the client leaves."""

Feature = Callable[[str], Any] | str


def user(words: str) -> dict[str, str]:
    """Return a user's message."""
    return {"role": "user", "content": words}


def first(pieces: Iterable[Any]) -> int:
    """Take the first pieces of a stream, leave the rest, and say how many were taken."""
    return len(list(islice(pieces, HEARD_BEFORE_LEAVING)))


def left(pieces: Any) -> int:
    """Leave a stream after its first pieces, and say how many were taken."""
    heard = first(pieces)
    pieces.close()
    return heard


def said(error: Exception) -> dict[str, Any]:
    """Return what an error tells: its kind, its status, its words."""
    return {"kind": type(error).__name__, "status": getattr(error, "status_code", None), "words": str(error)}


def play(features: Mapping[str, Feature]) -> None:
    """Play every feature, each to its end; a text in the place of a feature says why there is none."""
    url = sys.argv[1]
    for name, feature in features.items():
        told = {"absent": feature} if isinstance(feature, str) else {"outcome": feature(url)}
        sys.stdout.write(json.dumps({"feature": name} | told) + "\n")
        sys.stdout.flush()
        if not sys.stdin.readline():
            return
