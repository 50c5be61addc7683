"""An answer that ltmld gives in Ollama's place, framed as Ollama frames its own.

Rules:
1. A streamed answer is one chunk for each of its payloads, and each payload is one write: clients that parse
   what one read brings find whole lines or events in it.
2. An HTTP/1.0 client gets no chunks; the close ends its body.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate
from http import HTTPStatus

from ltmld.core.ports import OwnReply
from ltmld.proxy.chunks import END, frame


def written(reply: OwnReply, *, http10: bool, close: bool) -> Iterator[bytes]:
    """Yield the whole answer, one piece for each write; *close*: the connection ends with it."""
    chunked = reply.streamed and not http10
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    # In Go's order: what a handler set by name, then what the server adds.
    named = sorted((*reply.headers, ("Content-Type", reply.content_type)))
    lines += [f"{name}: {value}" for name, value in named]
    lines.append(f"Date: {formatdate(usegmt=True)}")
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif not reply.streamed:
        lines.append(f"Content-Length: {sum(map(len, reply.payloads))}")
    if close:
        lines.append("Connection: close")
    head = "\r\n".join((*lines, "", "")).encode("latin-1")
    for payload in reply.payloads:
        yield head + (frame(payload) if chunked else payload)
        head = b""
    if head or chunked:
        yield head + (END if chunked else b"")
