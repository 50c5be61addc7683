"""The routes of the control plane: each names its call, checks its shape, and asks ``Control``.

Rules:
1. No decision is taken here: a route translates between HTTP and ``core.ports.Control``.
2. Routes are plain functions, so that they run in threads: Control may wait for a disk.
"""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator
from starlette.requests import ClientDisconnect

from ltmld import __version__
from ltmld.admin.bodies import (
    PAGE_MAX,
    EditBody,
    Kind,
    RecallBody,
    ReindexBody,
    RememberBody,
    ScopeBody,
    SleepBody,
    State,
)
from ltmld.admin.upload import Upload
from ltmld.core.ports import Control, JsonObject, SleepRequest
from ltmld.errors import BadInputError

PAGE = 50

# An empty value counts as not given: a form sends every field it has.
AnyKind = Annotated[Kind | None, BeforeValidator(lambda value: value or None)]
AnyState = Annotated[State | None, BeforeValidator(lambda value: value or None)]
Limit = Annotated[int, BeforeValidator(lambda value: value or PAGE), Query(ge=1, le=PAGE_MAX)]


def make_router(control: Control, *, pid: int, import_bytes_max: int) -> APIRouter:
    """Return every route, bound to *control*."""
    router = APIRouter()
    _add_health(router, pid=pid)
    _add_conversations(router, control, import_bytes_max=import_bytes_max)
    _add_memories(router, control)
    _add_sleeps(router, control)
    _add_pauses(router, control)
    return router


def _add_health(router: APIRouter, *, pid: int) -> None:
    @router.get("/healthz")
    def healthz() -> JsonObject:
        """Tell that the control plane answers, and which process it is."""
        return {"status": "ok", "version": __version__, "pid": pid}


def _add_conversations(router: APIRouter, control: Control, *, import_bytes_max: int) -> None:
    @router.get("/api/status")
    def status() -> JsonObject:
        """Tell how everything stands."""
        return control.status()

    @router.post("/api/import")
    async def import_lines(request: Request) -> JsonObject:
        """Record NDJSON messages; answers once they are in the ledger and in both indexes."""
        upload = Upload(bytes_max=import_bytes_max)
        try:
            await upload.receive(request.stream())
            return await to_thread.run_sync(lambda: control.import_lines(upload.lines()))
        except ClientDisconnect as error:
            raise BadInputError("The caller went away before the whole import had arrived.") from error
        finally:
            upload.close()

    @router.post("/api/recall")
    def recall(body: RecallBody) -> JsonObject:
        """Find what memory holds about a text."""
        return control.recall(body.given())

    @router.post("/api/reindex")
    def reindex(body: ReindexBody | None = None) -> JsonObject:
        """Build the index again from the ledger, or begin to change the embedder."""
        return control.reindex(body.embedder) if body else control.reindex()

    @router.get("/api/threads")
    def threads(scope: str = "", limit: Limit = PAGE, cursor: str = "") -> JsonObject:
        """List conversations, latest first."""
        return control.threads({"scope": scope, "limit": limit, "cursor": cursor})

    @router.get("/api/exchanges/{exchange_id}")
    def exchange(exchange_id: str) -> JsonObject:
        """Show one exchange, with what was injected and why."""
        return control.exchange(exchange_id)


def _add_memories(router: APIRouter, control: Control) -> None:
    @router.get("/api/memories")
    def memories(
        scope: str = "",
        kind: AnyKind = None,
        state: AnyState = None,
        q: str = "",
        limit: Limit = PAGE,
        cursor: str = "",
    ) -> JsonObject:
        """List memories."""
        wanted = {"scope": scope, "kind": kind or "", "state": state or "", "q": q}
        return control.memories({**wanted, "limit": limit, "cursor": cursor})

    @router.post("/api/memories", status_code=201)
    def remember(body: RememberBody) -> JsonObject:
        """Keep a sentence."""
        return control.remember(body.given())

    @router.get("/api/memories/{memory_id}")
    def memory(memory_id: str) -> JsonObject:
        """Show one memory with its evidence."""
        return control.memory(memory_id)

    @router.patch("/api/memories/{memory_id}")
    def edit(memory_id: str, body: EditBody) -> JsonObject:
        """Correct a memory."""
        return control.edit(memory_id, body.given())

    @router.delete("/api/memories/{memory_id}")
    def forget(memory_id: str, *, hard: bool = False) -> JsonObject:
        """Forget a memory; hard: erase its words as well."""
        return control.forget(memory_id, hard=hard)

    @router.get("/api/memories/{memory_id}/history")
    def history(memory_id: str) -> JsonObject:
        """Show every change of a memory."""
        return control.memory_history(memory_id)


def _add_pauses(router: APIRouter, control: Control) -> None:
    @router.post("/api/pause")
    def pause(body: ScopeBody | None = None) -> JsonObject:
        """Record nothing and recall nothing in a scope, until it is resumed."""
        return control.pause((body or ScopeBody()).scope)

    @router.post("/api/resume")
    def resume(body: ScopeBody | None = None) -> JsonObject:
        """Record and recall again."""
        return control.resume((body or ScopeBody()).scope)


def _add_sleeps(router: APIRouter, control: Control) -> None:
    @router.post("/api/sleep", status_code=202)
    def start_sleep(body: SleepBody | None = None) -> JsonObject:
        """Begin a sleep cycle and answer at once with its id."""
        wanted = body.given() if body else {}
        return control.start_sleep(SleepRequest(**wanted))

    @router.get("/api/sleeps")
    def sleeps() -> JsonObject:
        """List sleep cycles, latest first."""
        return control.sleeps()

    @router.get("/api/sleeps/{cycle_id}")
    def sleep(cycle_id: str) -> JsonObject:
        """Show one cycle: its state, its progress while it runs, its report once it ended."""
        return control.sleep(cycle_id)
