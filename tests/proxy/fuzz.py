"""Fuzz the listener, and its upstream side, byte by byte for a given time: ``make fuzz SECONDS=60``.

Rules:
1. The seed decides everything: case N of a seed is always the same bytes, cut in the same places.
2. What is found is saved as a file that ``--again FILE`` sends once more, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tests.proxy import test_smuggling, test_untrusted
from tests.support.fuzzing import Stage, verdict, verdict_on_answer

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"
FINDINGS = Path("fuzz-findings")
SEED_BYTES_MAX = 8192
"""Largest recording in the corpus: what is larger only makes the fuzzer slower."""

CASE_BYTES_MAX = 32_768
SOUND = (
    test_smuggling.CHUNKED + b"0\r\n\r\n",
    test_smuggling.CHUNKED + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-T: 1\r\n\r\n",
    test_smuggling.CHUNKED.replace(b"/api/show", b"/api/chat") + b"2\r\n{}\r\n0\r\n\r\n",
    test_smuggling.POST + b"Content-Length: 5\r\n\r\nhello",
    test_smuggling.POST.replace(b"/api/show", b"/api/chat") + b"Content-Length: 2\r\n\r\n{}",
    test_smuggling.POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
)
"""Small requests of every framing, several times, so that most cases begin with something that works."""

FOREIGN_SHARE = 0.3
"""How many cases are answers, the rest being requests."""

TOKENS = (
    b"\r\n|\n|\r|\r\n\r\n|\x00|\xff|\x85|:| |\t|0|-1|+1|0x1|1_0|;|,|chunked|identity|gzip|close|keep-alive|100-continue"
    b"|Content-Length: 1\r\n|Content-Length: 0\r\n|Transfer-Encoding: chunked\r\n|Transfer-Encoding:\tchunked\r\n"
    b"|Connection: close\r\n|Host: localhost\r\n|Expect: 100-continue\r\n|Upgrade: h2c\r\n| HTTP/1.1\r\n| HTTP/1.0\r\n"
    b"|GET /in HTTP/1.1\r\nHost: localhost\r\n\r\n|0\r\n\r\n|5\r\nhello\r\n|fffffffffffffff0\r\n|PRI * HTTP/2.0\r\n\r\n"
    b"|\x16\x03\x01|HTTP/1.1 200 OK\r\n|HTTP/1.1 103 x\r\n\r\n|X-LTMLD-Scope: a\r\n|9999999999999999999"
).split(b"|")


def corpus(name: str, *more: bytes) -> list[bytes]:
    """Return what was recorded, Host as clients here say it, and *more*."""
    recorded = [path.read_bytes() for path in sorted(RECORDINGS.glob(f"*/{name}"))]
    return [data for data in recorded if len(data) <= SEED_BYTES_MAX] + [
        data.replace(b"Host: x\r\n", b"Host: localhost\r\n") for data in more if len(data) <= SEED_BYTES_MAX
    ]


def flip(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Change some bits of one byte."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]


def insert(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Put a token somewhere, perhaps in place of some bytes."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS) + data[at + rng.choice((0, 0, 1, 2, 8)) :]


def insert_line(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Put a token where a line begins."""
    starts = [0, *(at + 2 for at in range(len(data)) if data[at : at + 2] == b"\r\n")]
    at = rng.choice(starts)
    return data[:at] + rng.choice(TOKENS) + data[at:]


def truncate(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Leave the end away."""
    return data[: rng.randrange(len(data)) + 1]


def drop(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Leave a part away."""
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.randrange(1, 40) :]


def duplicate(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Say a part twice."""
    at = rng.randrange(len(data))
    end = at + rng.randrange(1, 120)
    return data[:end] + data[at:]


def splice(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Go on with another."""
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]


def follow(rng: random.Random, data: bytes, other: bytes) -> bytes:  # noqa: ARG001 - one shape for all
    """Put another behind it."""
    return data + other


MUTATORS: tuple[Callable[[random.Random, bytes, bytes], bytes], ...] = (
    *(flip, insert, insert, insert_line, insert_line),
    *(truncate, drop, duplicate, splice, follow),
)


def case(seed: int, number: int, requests: list[bytes], answers: list[bytes]) -> tuple[bool, list[bytes]]:
    """Return one case: whether it is an answer, and its parts."""
    rng = random.Random(f"{seed}:{number}")  # noqa: S311 - repeatable on purpose
    is_answer = rng.random() < FOREIGN_SHARE
    pool = answers if is_answer else requests
    data = b"".join(rng.choice(pool) for _ in range(rng.choice((1, 1, 2, 3))))
    for _ in range(rng.randrange(5)):
        data = rng.choice(MUTATORS)(rng, data or b"\r\n", rng.choice(pool))[:CASE_BYTES_MAX]
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 1, 3, 10))))
    edges = [0, *places, len(data)]
    return is_answer, [data[start:end] for start, end in pairwise(edges)]


def tried(stage: Stage, is_answer: bool, parts: list[bytes]) -> str:  # noqa: FBT001 - a field of the case
    """Play one case; return what is wrong."""
    whole = b"".join(parts)
    try:
        if is_answer:
            return verdict_on_answer(stage, whole, *stage.hear(parts))
        return verdict(stage, whole, stage.send(parts))
    except TimeoutError:
        return "it hangs: what came whole is not answered"


def save(name: str, is_answer: bool, parts: list[bytes], wrong: str) -> Path:  # noqa: FBT001 - as above
    """Write a case down."""
    FINDINGS.mkdir(exist_ok=True)
    path = FINDINGS / f"{name}.json"
    tree = {"answer": is_answer, "parts": [part.hex() for part in parts], "wrong": wrong}
    path.write_text(json.dumps(tree, indent=1), encoding="utf-8")
    return path


def fuzz(*, seed: int, first: int, seconds: float, cases_max: int) -> int:
    """Play cases until the time is over or something is found; return the exit code."""
    spiked = [*test_smuggling.BAD.values(), *(data for _, data in test_smuggling.OTHER.values())]
    requests = corpus("request.http", *spiked, *test_smuggling.ACCEPTED.values(), *SOUND * 20)
    sound = (answer for _, answer in test_untrusted.WHOLE.values())
    answers = corpus("response.http", *test_untrusted.BAD_HEADS.values(), *sound)
    say(f"seed {seed}, from case {first}; {len(requests)} requests and {len(answers)} answers to start from")
    ends_at = time.monotonic() + seconds
    number = first
    with Stage() as stage:
        while time.monotonic() < ends_at and number - first < cases_max:
            is_answer, parts = case(seed, number, requests, answers)
            wrong = tried(stage, is_answer, parts)
            if wrong:
                path = save(f"{seed}-{number}", is_answer, parts, wrong)
                say(
                    f"case {number}: {wrong}\nsaved as {path}; again: python -m tests.proxy.fuzz --again {path}"
                )
                return 1
            number += 1
    say(f"{number - first} cases, nothing found")
    return 0


def say(text: str) -> None:
    """Tell whoever runs this."""
    sys.stdout.write(f"{text}\n")


def again(path: Path) -> int:
    """Play a saved case once more."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    with Stage() as stage:
        wrong = tried(stage, tree["answer"], [bytes.fromhex(part) for part in tree["parts"]])
    say(wrong or "nothing wrong any more")
    return 1 if wrong else 0


def main() -> int:
    """Read the command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--first", type=int, default=0, help="the case to begin with")
    options.add_argument("--cases", type=int, default=sys.maxsize)
    options.add_argument("--again", type=Path, help="a saved case")
    chosen = options.parse_args()
    if chosen.again:
        return again(chosen.again)
    return fuzz(seed=chosen.seed, first=chosen.first, seconds=chosen.seconds, cases_max=chosen.cases)


if __name__ == "__main__":
    raise SystemExit(main())
