"""Relays an answer past a capture, as the proxy does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from ltmld.core.exchange import Reply
from ltmld.wire.dialects import Capture, dialect_for
from tests.support.recordings import Case


def capture_for(path: str, *, bytes_max: int = 1 << 20) -> Capture:
    """Return a capture for the answers of a route."""
    dialect = dialect_for("POST", path)
    assert dialect is not None
    return dialect.capture(bytes_max=bytes_max)


def begun(case: Case, *, bytes_max: int = 1 << 20) -> Capture:
    """Return a capture that has seen the head of a recorded answer."""
    capture = capture_for(case.target.partition("?")[0], bytes_max=bytes_max)
    capture.begin(status=case.response.status, content_type=case.response.header("Content-Type"))
    return capture


def over(capture: Capture) -> bool:
    """Tell whether the terminator was seen; a call, so that it is asked anew each time."""
    return capture.complete


def relayed(capture: Capture, pieces: Iterable[bytes]) -> tuple[bytes, bytes, Reply]:
    """Relay as the proxy does; return what passed before the commit, what passed after it, and the reply."""
    held, before, after = b"", b"", b""
    committed = False
    for piece in pieces:
        held += piece
        passing = capture.feed(piece)
        assert 0 <= passing <= len(held)
        if committed:
            after, held = after + held, b""
            continue
        before, held = before + held[:passing], held[passing:]
        if capture.complete:
            committed = True
            after, held = held, b""
    capture.end()
    return before, after + held, capture.reply()


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut *body* at *places* (taken modulo its length)."""
    marks = sorted({place % (len(body) + 1) for place in places} | {0, len(body)})
    return [body[start:end] for start, end in pairwise(marks)]
