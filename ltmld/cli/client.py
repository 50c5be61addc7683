"""The control plane from outside: every call of ``core.ports.Control``, asked over HTTP of a running daemon.

Rules:
1. An error arrives as the class it was raised with, by the ``code`` of the answer, so that the exit code is the
   same with a daemon and without.
2. A daemon that cannot be reached is ``DaemonAbsentError``; no call hangs on one that is gone.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import quote, urlencode

from ltmld import errors
from ltmld.admin.codes import code_of
from ltmld.core.ports import JsonObject, SleepRequest

CONNECT_TIMEOUT_S = 5.0
# Recall takes milliseconds, an erased ledger page may take seconds.
ANSWER_TIMEOUT_S = 60.0
# An import or a rebuilt index answers when it is done: about 100 messages a second are embedded.
LONG_TIMEOUT_S = 4 * 3600.0

_ERRORS: dict[str, type[errors.LtmldError]] = {
    code_of(kind): kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.LtmldError)
}


class RemoteControl:
    """A running daemon."""

    def __init__(self, host: str, port: int, *, token: str) -> None:
        self._host, self._port, self._token = host, port, token

    def status(self) -> JsonObject:
        """Tell how everything stands."""
        return self._get("/api/status")

    def import_lines(self, lines: Iterator[bytes]) -> JsonObject:
        """Record NDJSON lines."""
        return self._call("POST", "/api/import", lines=lines, timeout_s=LONG_TIMEOUT_S)

    def recall(self, body: JsonObject) -> JsonObject:
        """Find what memory holds about a text."""
        return self._call("POST", "/api/recall", body)

    def memories(self, query: JsonObject) -> JsonObject:
        """List memories."""
        return self._get("/api/memories", query)

    def memory(self, memory_id: str) -> JsonObject:
        """Show one memory."""
        return self._get(f"/api/memories/{quote(memory_id, safe='')}")

    def memory_history(self, memory_id: str) -> JsonObject:
        """Show every change of a memory."""
        return self._get(f"/api/memories/{quote(memory_id, safe='')}/history")

    def remember(self, body: JsonObject) -> JsonObject:
        """Keep a sentence."""
        return self._call("POST", "/api/memories", body)

    def edit(self, memory_id: str, body: JsonObject) -> JsonObject:
        """Correct a memory."""
        return self._call("PATCH", f"/api/memories/{quote(memory_id, safe='')}", body)

    def forget(self, memory_id: str, *, hard: bool = False) -> JsonObject:
        """Forget a memory."""
        query = "?hard=true" if hard else ""
        return self._call("DELETE", f"/api/memories/{quote(memory_id, safe='')}{query}")

    def start_sleep(self, request: SleepRequest) -> JsonObject:
        """Begin a sleep cycle."""
        body = {"depth": request.depth, "dry_run": request.dry_run}
        named = {"model": request.model, "scope": request.scope}
        return self._call(
            "POST", "/api/sleep", body | {name: value for name, value in named.items() if value}
        )

    def sleeps(self) -> JsonObject:
        """List sleep cycles."""
        return self._get("/api/sleeps")

    def sleep(self, cycle_id: str) -> JsonObject:
        """Show one cycle."""
        return self._get(f"/api/sleeps/{quote(cycle_id, safe='')}")

    def threads(self, query: JsonObject) -> JsonObject:
        """List conversations."""
        return self._get("/api/threads", query)

    def exchange(self, exchange_id: str) -> JsonObject:
        """Show one exchange."""
        return self._get(f"/api/exchanges/{quote(exchange_id, safe='')}")

    def reindex(self, embedder: str = "") -> JsonObject:
        """Build the index again, or change the embedder."""
        body = {"embedder": embedder} if embedder else None
        return self._call("POST", "/api/reindex", body, timeout_s=LONG_TIMEOUT_S)

    def pause(self, scope: str) -> JsonObject:
        """Switch the memory of a scope off."""
        return self._call("POST", "/api/pause", {"scope": scope})

    def resume(self, scope: str) -> JsonObject:
        """Switch it on again."""
        return self._call("POST", "/api/resume", {"scope": scope})

    def pid(self) -> int:
        """Return the process id of the daemon that answers.

        Raises:
            DaemonAbsentError: nothing answers, or it is no ltmld.
        """
        answer = self._get("/healthz")
        if not isinstance(answer.get("pid"), int):
            raise errors.DaemonAbsentError(f"What answers on {self._host}:{self._port} is not ltmld.")
        return cast("int", answer["pid"])

    def _get(self, path: str, query: JsonObject | None = None) -> JsonObject:
        given = {name: value for name, value in (query or {}).items() if value not in ("", None)}
        return self._call("GET", f"{path}?{urlencode(given)}" if given else path)

    def _call(
        self,
        method: str,
        path: str,
        body: JsonObject | None = None,
        *,
        lines: Iterator[bytes] | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> JsonObject:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_TIMEOUT_S)
        try:
            connection.connect()
            connection.sock.settimeout(timeout_s)
            self._send(connection, method, path, body, lines)
            reply = connection.getresponse()
            return _read(reply.status, reply.read())
        except (OSError, http.client.HTTPException) as error:
            raise errors.DaemonAbsentError(
                f"The daemon on {self._host}:{self._port} does not answer ({str(error) or type(error).__name__}). "
                "Look at `ltmld status`, or start `ltmld serve`."
            ) from error
        finally:
            connection.close()

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: JsonObject | None,
        lines: Iterator[bytes] | None,
    ) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        if lines is not None:
            headers["Content-Type"] = "application/x-ndjson"
            try:
                connection.request(method, path, _ended(lines), headers, encode_chunked=False)
            except (BrokenPipeError, ConnectionResetError):
                return  # the daemon refused before the end; its answer says why
            return
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, path, data, headers | {"Content-Type": "application/json"})


def _ended(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield line if line.endswith(b"\n") else line + b"\n"


def _read(status: int, body: bytes) -> JsonObject:
    try:
        answer: Any = json.loads(body)
    except ValueError as error:
        raise errors.DaemonAbsentError(
            f"The control plane's address answers with status {status} and no JSON: that is not ltmld. "
            "Check admin_listen in the settings."
        ) from error
    if status < 400:
        return cast("JsonObject", answer)
    message = str(answer.get("error", f"status {status}"))
    raise _ERRORS.get(str(answer.get("code")), errors.RefusedError)(message)
