"""Promise: whatever bytes come, Ollama gets exactly the requests that a strict parser reads in them, or none."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fuzzing import Stage, requests_in, verdict, verdict_on_answer

EXAMPLES = 150


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as opened:
        yield opened


def joined(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return the strategy of all *parts* in a row."""
    return st.tuples(*parts).map(b"".join)


NAMES = st.sampled_from([b"X-A", b"Accept", b"accept", b"X-LTMLD-Scope", b"Expect", b"Cookie", b"TE", b"x_y"])
VALUES = st.sampled_from(
    [b"", b"y", b"a, b", b" z ", b"\t", b"100-continue", b"chunked", b"\xff", b'"q"', b"0"]
)
HEADERS = st.lists(joined(NAMES, st.just(b":"), VALUES, st.just(b"\r\n")), max_size=3).map(b"".join)
CONNECTIONS = st.sampled_from(
    [
        b"",
        b"",
        b"Connection: close\r\n",
        b"Connection: keep-alive, X-A\r\n",
        b"connection: content-length\r\n",
    ]
)
PAYLOADS = st.sampled_from(
    [b"", b"x", b"hello", b"0\r\n\r\n", b"GET /in HTTP/1.1\r\nHost: localhost\r\n\r\n", b"y" * 300]
)
LINES = st.tuples(
    st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"BREW", b"OPTIONS"]),
    st.sampled_from([b"/", b"/api/chat", b"/api/tags?a=b", b"*", b"http://localhost/y", b"/%2f/../a"]),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"]),
).map(lambda parts: b" ".join(parts) + b"\r\nHost: localhost\r\n")


def counted(payload: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(payload), payload)


def chunked(pieces: list[bytes]) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


BODIES = st.one_of(st.just(b"\r\n"), PAYLOADS.map(counted), st.lists(PAYLOADS, max_size=3).map(chunked))
REQUESTS = joined(LINES, HEADERS, CONNECTIONS, BODIES)
STREAMS = st.lists(REQUESTS, min_size=1, max_size=3).map(b"".join)

POISON = st.sampled_from(
    b"Content-Length: 3\r\n|Content-Length: 0\r\n|content-length:5\r\n|Transfer-Encoding: chunked\r\n|Host: y\r\n"
    b"|Transfer-Encoding: identity\r\n|Transfer-Encoding:\x0bchunked\r\n|Transfer-Encoding: chunked, chunked\r\n"
    b"|Content-Length: 1, 1\r\n| fold\r\n|\tfold\r\n|X : y\r\n|\r\n|\n|\r|\x00|\x85|:| |0|-|+|;a=b|5\r\n|0\r\n\r\n|\xff"
    b"|GET /in HTTP/1.1\r\nHost: localhost\r\n\r\n|HTTP/1.1|HTTP/1.0".split(b"|")
)
MUTATIONS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), POISON), max_size=3)
CUTS = st.lists(st.floats(0, 1), max_size=6)


def mutated(data: bytes, mutations: list[tuple[float, int, bytes]]) -> bytes:
    """Put poison into *data*, each in place of some bytes."""
    for where, length, poison in mutations:
        at = int(where * len(data))
        data = data[:at] + poison + data[at + length :]
    return data


def poisoned(data: bytes, poison: list[tuple[float, bytes]]) -> bytes:
    """Put poison into *data* where a line begins: there it is most likely to be believed."""
    for where, extra in poison:
        starts = [0, *(at + 2 for at in range(len(data)) if data[at : at + 2] == b"\r\n")]
        at = starts[int(where * (len(starts) - 1))]
        data = data[:at] + extra + data[at:]
    return data


def cut(data: bytes, cuts: list[float]) -> list[bytes]:
    """Cut *data* at some places."""
    places = [0, *sorted(int(where * len(data)) for where in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def check(stage: Stage, data: bytes, cuts: list[float]) -> None:
    sender = stage.send(cut(data, cuts))
    wrong = verdict(stage, data, sender)
    assert not wrong, f"{wrong}\nsent {data!r}"


def test_what_is_sound_arrives_however_it_is_cut_and_pipelined(stage: Stage) -> None:
    @settings(max_examples=EXAMPLES)
    @given(STREAMS, CUTS)
    def sound(data: bytes, cuts: list[float]) -> None:
        assert not requests_in(data)[2]
        check(stage, data, cuts)
        # RFC 9112 6.1: chunks in HTTP/1.0 are a fault, though h11 reads them.
        assert stage.seen or b"HTTP/1.0\r\n" in data.partition(b"\r\n\r\n")[0]

    sound()


def test_what_is_mutated_arrives_as_a_strict_parser_reads_it_or_not_at_all(stage: Stage) -> None:
    @settings(max_examples=EXAMPLES)
    @given(STREAMS, MUTATIONS, CUTS)
    def altered(data: bytes, mutations: list[tuple[float, int, bytes]], cuts: list[float]) -> None:
        check(stage, mutated(data, mutations), cuts)

    altered()


def test_what_is_poisoned_between_lines_smuggles_nothing(stage: Stage) -> None:
    @settings(max_examples=EXAMPLES)
    @given(STREAMS, st.lists(st.tuples(st.floats(0, 1), POISON), min_size=1, max_size=3), CUTS)
    def spiked(data: bytes, poison: list[tuple[float, bytes]], cuts: list[float]) -> None:
        check(stage, poisoned(data, poison), cuts)

    spiked()


def test_whatever_bytes_come_somebody_is_answered_or_waits(stage: Stage) -> None:
    @settings(max_examples=EXAMPLES)
    @given(st.binary(max_size=200), CUTS)
    def anything(data: bytes, cuts: list[float]) -> None:
        check(stage, data, cuts)

    anything()


STATUSES = st.sampled_from(
    [b"200 OK", b"200 OK", b"404 Not Found", b"204 No Content", b"304 x", b"500 ", b"103 Hint"]
)
ANSWERS = st.lists(
    joined(st.just(b"HTTP/1.1 "), STATUSES, st.just(b"\r\n"), HEADERS, CONNECTIONS, BODIES),
    min_size=1,
    max_size=2,
).map(b"".join)


def hear(stage: Stage, data: bytes, cuts: list[float]) -> None:
    wrong = verdict_on_answer(stage, data, *stage.hear(cut(data, cuts)))
    assert not wrong, f"{wrong}\nanswered {data!r}"


def test_whatever_answers_a_client_reads_what_a_strict_parser_reads_and_the_next_its_own(
    stage: Stage,
) -> None:
    @settings(max_examples=EXAMPLES)
    @given(ANSWERS, MUTATIONS, st.lists(st.tuples(st.floats(0, 1), POISON), max_size=2), CUTS)
    def answered(
        data: bytes,
        mutations: list[tuple[float, int, bytes]],
        poison: list[tuple[float, bytes]],
        cuts: list[float],
    ) -> None:
        hear(stage, poisoned(mutated(data, mutations), poison), cuts)

    answered()


def test_whatever_bytes_answer_the_client_is_answered(stage: Stage) -> None:
    @settings(max_examples=EXAMPLES)
    @given(st.binary(max_size=200), CUTS)
    def anything(data: bytes, cuts: list[float]) -> None:
        hear(stage, data, cuts)

    anything()
