"""Whom a request is addressed to, once it goes on: Ollama where it is, under the name it has there.

Rules:
1. Nothing changes unless the way there demands it (``OllamaHost.rewrites_host``): Ollama's own check of Host and
   Origin then sees what the client sent.
2. Where Host becomes Ollama's, an Origin that was the client's own Host becomes Ollama's own as well: what was of
   the same origin stays so, and what was not stays foreign, for ``OLLAMA_ORIGINS`` to decide.
3. A base path stands before every target that is a path. A whole URL becomes its path: its host is ours, not Ollama's.
4. What lies beside a base path is not reached from here: a path with ``..`` is refused, however it is written, because
   who resolves it is not known. Ollama has no such path.
5. A redirect that names Ollama as it is addressed there leads back here: its ``Location`` loses host and base path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from ltmld.core.ollama_host import OllamaHost
from ltmld.proxy.head import HeadRefusedError, Request, Response, read_request, read_response, without

# Clients on kept-alive connections send the same head again and again, Ollama answers with the same one for a
# second (its Date): reading a head takes 5 to 10 microseconds, finding it here takes a fraction of one.
KNOWN = 256
KNOWN_BYTES_MAX = 2048

_URL = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_LOCATION = re.compile(rb"(?<=\r\n)(location:[ \t]*)([^\r\n]*)", re.IGNORECASE)
_PLACE = re.compile(rb"((?:https?:)?//[^/?#\\]*)?(.*)", re.IGNORECASE)
# A server behind a server may decode once more what the one before it has decoded; nobody stacks more than these.
_DECODINGS = 4


def reader(target: OllamaHost, *, headers_max: int) -> Callable[[bytes, str], Request]:
    """Return what reads request heads as ``read_request`` does, of so many headers, addressed to *target*."""

    def read(raw: bytes, peer: str) -> Request:
        if raw.count(b"\r\n") - 2 > headers_max:
            raise HeadRefusedError(
                f"the request has more than {headers_max} headers (LTMLD_PROXY__HEADERS_MAX)", status=431
            )
        request = read_request(raw, peer)
        if not target.rewrites_host:
            return request
        addressed = _addressed(request, target)
        passing = without(addressed, request.stripped)
        return replace(request, raw=addressed, passing=passing, untouched=False)

    known = lru_cache(maxsize=KNOWN)(read)
    return lambda raw, peer: (known if len(raw) <= KNOWN_BYTES_MAX else read)(raw, peer)


def answer_reader(target: OllamaHost) -> Callable[[bytes], Response]:
    """Return what reads response heads as ``read_response`` does; redirects within *target* lead back here."""

    def read(raw: bytes) -> Response:
        response = read_response(raw)
        if not target.rewrites_host:
            return response
        passing = _LOCATION.sub(lambda found: found[1] + _led_back(found[2], target), response.passing)
        return (
            response if passing == response.passing else replace(response, passing=passing, untouched=False)
        )

    known = lru_cache(maxsize=KNOWN)(read)
    return lambda raw: (known if len(raw) <= KNOWN_BYTES_MAX else read)(raw)


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
    if place == b"*" or (method == b"CONNECT" and not place.startswith(b"/")):
        return place
    path = _URL.sub(b"", place, count=1) if not place.startswith(b"/") else place
    if base_path and _climbs(path.partition(b"?")[0]):
        raise HeadRefusedError("the request's path leaves the one of Ollama; write it without '..'")
    return base_path + (path if path.startswith(b"/") else b"/" + path)


def _climbs(path: bytes) -> bool:
    """Tell whether anybody could read ``..`` in *path*: encoded, behind backslashes, with parameters of a segment."""
    for _ in range(_DECODINGS):
        segments = re.split(rb"[/\\]", path)
        if any(re.split(rb"[;?#]", segment)[0] == b".." for segment in segments):
            return True
        path, before = unquote_to_bytes(path), path
        if path == before:
            return False
    return b"%" in path  # wrapped more often than anybody has reason to


def _led_back(location: bytes, target: OllamaHost) -> bytes:
    """Return *location* as the client is to ask for it, where it lies within *target*."""
    place = _PLACE.fullmatch(location)
    if place is None or not (place[1] or target.base_path):
        return location
    if place[1] and place[1].partition(b"//")[2].lower() not in _spellings(target):
        return location
    inside = re.match(rb"%b(?=[/?#]|$)" % re.escape(target.base_path.encode()), place[2])
    if inside is None:
        return location
    rest = place[2][inside.end() :]
    # Two slashes (for browsers also one and a backslash) would begin with a host.
    before = b"/" if not rest.startswith(b"/") else b"/." if rest[1:2] in (b"/", b"\\") else b""
    return before + rest


def _spellings(target: OllamaHost) -> tuple[bytes, ...]:
    """Return how *target* may be named in a URL: with its port, and without where it is the scheme's own."""
    return target.authority.encode(), target.url.partition("//")[2].partition("/")[0].encode()
