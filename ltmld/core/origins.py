"""Whose request may be answered in Ollama's place: Ollama's own rules about Origin and Host, as arithmetic.

Where ltmld asks Ollama, Ollama decides (CORS, and its guard against DNS rebinding). Where ltmld answers itself,
nobody else would: a page of elsewhere must not read a memory, and must not write one.

Rules:
1. An Origin is let in when it is the page's own (it equals the Host), or one that Ollama lets in by default.
   What a person added with OLLAMA_ORIGINS is known to Ollama only: such a request is Ollama's to answer.
2. A browser says its Origin with every POST. Its Host must be a name that nobody else can point here:
   without that, a page could rebind its own name to this machine and be "the same origin".
3. Without an Origin it is no browser, unless it says that another site makes it ask (Sec-Fetch-Site); its Host is
   checked only where Ollama would, on a loopback listener.
"""

from __future__ import annotations

from collections.abc import Iterable

from ltmld.core.host_names import allowed_host

# Ollama's defaults (envconfig.AllowedOrigins): these hosts with any port, and these schemes of desktop programs.
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "0.0.0.0"})  # noqa: S104 - recognized, not bound
_PROGRAMS = ("app://", "file://", "tauri://", "vscode-webview://", "vscode-file://")


def may_answer(*, origin: str, host: str, fetch_site: str = "", hostname: str, on_loopback: bool) -> bool:
    """Tell whether Ollama would let in a request with these headers ('' where one is missing)."""
    if origin:
        return allowed_origin(origin, host) and allowed_host(host, hostname=hostname)
    if fetch_site in ("cross-site", "same-site"):
        return False
    return not on_loopback or allowed_host(host, hostname=hostname)


def added_origin(origin: str, added: Iterable[str]) -> bool:
    """Tell whether *origin* is one that a person *added*; each may hold one ``*``, as in OLLAMA_ORIGINS."""
    for pattern in added:
        front, star, back = pattern.lower().partition("*")
        whole = origin.lower()
        if not star and whole == front:
            return True
        if star and len(whole) >= len(front) + len(back) and whole.startswith(front) and whole.endswith(back):
            return True
    return False


def same_origin(origin: str, host: str) -> bool:
    """Tell whether a page asks where it came from."""
    return bool(host) and origin in (f"http://{host}", f"https://{host}")


def allowed_origin(origin: str, host: str) -> bool:
    """Tell whether Ollama lets a page of *origin* in without being told to."""
    if same_origin(origin, host) or origin.startswith(_PROGRAMS):
        return True
    scheme, separator, authority = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and _local_authority(authority)


def _local_authority(authority: str) -> bool:
    name, colon, port = authority.partition(":")
    return name in _LOCAL_HOSTS and (not colon or port.isdecimal())
