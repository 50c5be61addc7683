"""Whom a request is addressed to, once it goes on: Ollama where it is, under the name it has there.

Rules:
1. Nothing changes unless the way there demands it (``OllamaHost.rewrites_host``): Ollama's own check of Host and
   Origin then sees what the client sent.
2. Where Host becomes Ollama's, an Origin that was the client's own Host becomes Ollama's own as well: what was of
   the same origin stays so, and what was not stays foreign, for ``OLLAMA_ORIGINS`` to decide.
3. A base path stands before every target that is a path. A whole URL becomes its path: its host is ours, not Ollama's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from ltmld.core.ollama_host import OllamaHost
from ltmld.proxy.head import KNOWN, KNOWN_BYTES_MAX, Request, read_request, without

_URL = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")


def reader(target: OllamaHost) -> Callable[[bytes, str], Request]:
    """Return what reads request heads as ``read_request`` does, addressed to *target*."""
    if not target.rewrites_host:
        return read_request

    def read(raw: bytes, peer: str) -> Request:
        request = read_request(raw, peer)
        addressed = _addressed(request, target)
        passing = without(addressed, request.stripped)
        return replace(request, raw=addressed, passing=passing, untouched=False)

    known = lru_cache(maxsize=KNOWN)(read)  # as in head, and for the same reason
    return lambda raw, peer: (known if len(raw) <= KNOWN_BYTES_MAX else read)(raw, peer)


def _addressed(request: Request, target: OllamaHost) -> bytes:
    first, *lines = request.raw[:-4].split(b"\r\n")
    method, place, version = first.split(b" ")
    first = b" ".join([method, _target(method, place, target.base_path.encode()), version])
    host = target.authority.encode()
    own = (b"http://" + request.host, b"https://" + request.host)
    changed = []
    for line in lines:
        name, _, value = line.partition(b":")
        match name.lower():
            case b"host":
                changed.append(b"%b: %b" % (name, host))
            case b"origin" if value.strip(b" \t") in own:
                changed.append(b"%b: %b://%b" % (name, target.scheme.encode(), host))
            case _:
                changed.append(line)
    if not any(line.lower().startswith(b"host:") for line in changed):  # HTTP/1.0
        changed.insert(0, b"Host: " + host)
    return b"\r\n".join([first, *changed, b"", b""])


def _target(method: bytes, place: bytes, base_path: bytes) -> bytes:
    if method == b"CONNECT" or place == b"*":
        return place
    path = _URL.sub(b"", place, count=1) if not place.startswith(b"/") else place
    return base_path + (path if path.startswith(b"/") else b"/" + path)
