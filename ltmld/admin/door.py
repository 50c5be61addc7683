"""The door of the control plane: who may come in, decided before anything else looks at a call.

Rules:
1. ``Host`` names this machine (loopback or localhost) with our port or none, and so does ``Origin`` when there
   is one: a web page that resolves its own name to 127.0.0.1 (DNS rebinding) gets 403.
2. Every call but ``GET /healthz`` carries the bearer token, compared in constant time: else 401.
3. A body states its length and keeps to ``body_bytes_max``; only an import may stream, and counts for itself.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ltmld.admin.answers import Refusal

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
OPEN_PATHS = frozenset({"/healthz"})
STREAMED_PATHS = frozenset({"/api/import"})

# The largest body of any call but an import: a remembered text; 1 MiB is far above what a person types.
BODY_BYTES_MAX = 1024 * 1024


class Door:
    """ASGI middleware that lets a call in or answers it with the reason it may not."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        hosts: Iterable[str] = LOCAL_HOSTS,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()
        self._hosts = frozenset(host.strip("[]").lower() for host in hosts)
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal.response() if refusal else self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers, path = Headers(scope=scope), scope["path"]
        port = (scope.get("server") or ("", None))[1]
        return (
            self._stranger(headers, port)
            or (None if path in OPEN_PATHS else self._unknown(headers))
            or (None if path in STREAMED_PATHS else self._oversized(headers))
        )

    def _stranger(self, headers: Headers, port: int | None) -> Refusal | None:
        for name in ("host", "origin"):
            values = headers.getlist(name)
            if name == "origin" and not values:
                continue
            if len(values) != 1 or not self._is_ours(values[0], port, origin=name == "origin"):
                shown = ", ".join(values)[:80] or "nothing"
                return Refusal(
                    403,
                    f"The {name.title()} header names {shown!r}, which is not this machine's loopback address. "
                    "Call the control plane by http://127.0.0.1 or http://localhost with its port.",
                )
        return None

    def _is_ours(self, value: str, port: int | None, *, origin: bool) -> bool:
        if origin and not value.startswith("http://"):
            return False
        try:
            parts = urlsplit(value if origin else f"//{value}")
            named, host = parts.port, (parts.hostname or "").lower()
        except ValueError:
            return False
        bare = parts.username is None and not (parts.path or parts.query or parts.fragment)
        return bare and named in (None, port) and (host in self._hosts or _is_loopback(host))

    def _unknown(self, headers: Headers) -> Refusal | None:
        given = headers.get("authorization", "").encode("latin-1", "replace")
        if hmac.compare_digest(given, self._expected):
            return None
        return Refusal(
            401,
            "This call needs the header 'Authorization: Bearer TOKEN'; the token is in admin.token in ltmld's "
            "data folder (`ltmld config path` names it).",
            headers={"WWW-Authenticate": 'Bearer realm="ltmld"'},
        )

    def _oversized(self, headers: Headers) -> Refusal | None:
        if "transfer-encoding" in headers:
            return Refusal(411, "This call needs a body of stated length (Content-Length).")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._body_bytes_max:
            return Refusal(413, f"The body is larger than {self._body_bytes_max} bytes. Send a smaller one.")
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
