"""The sleep cycle: run the stages of a night in order, and alone apply what they propose.

Rules:
1. A stage's proposals and its checkpoint are one transaction. A crash repeats a stage, never half of one.
2. The checkpoint carries the work and the report so far, so a cycle goes on where it stopped.
3. Scopes are slept through one after another in one cycle; nothing of one is seen in another.
4. A dry run writes nothing but its own row and report (and keeps the model's answers, so that the real night
   asks nothing twice).
5. Whatever a stage raises ends the cycle as failed, with the reason in the report; messages that were not
   judged yet are there for the next night.
6. After ``halt`` nothing ends the cycle but its end: whatever fails then fails because the house is being
   closed, and the cycle is left at its checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from time import perf_counter
from typing import Any

import structlog

from ltmld.config import SleepSettings
from ltmld.core.clock import Clock, NewId
from ltmld.core.ports import Completer, Embedder, Index, SleepRequest, StageProgress
from ltmld.core.proposal import Learn, Proposal
from ltmld.errors import BadInputError, LtmldError
from ltmld.ledger.ledger import Ledger
from ltmld.sleep.asking import Asker, Halted
from ltmld.sleep.desk import Desk, Done, Work
from ltmld.sleep.report import Report
from ltmld.sleep.stages import DEPTHS, STAGES, stage_label

log = structlog.get_logger(__name__)

COMPLETED, FAILED, INTERRUPTED = "completed", "failed", "interrupted"


@dataclass(slots=True)
class _Night:
    """One run of one cycle."""

    cycle_id: str
    request: SleepRequest
    scopes: list[str]
    position: int
    work: Work
    report: Report
    asker: Asker | None
    pending: dict[str, list[Proposal]]

    def payload(self) -> Work:
        """Return what the checkpoint must hold for the cycle to go on."""
        return {
            "scopes": self.scopes,
            "position": self.position,
            "work": self.work,
            "report": self.report.rows,
            "away": self.asker.away if self.asker else "",
        }


class SleepCycle:
    """Sleep, whole: built once by the daemon, run by one thread at a time."""

    def __init__(  # noqa: PLR0913 - each is one neighbor of sleep, by name; a bag for them would hide them
        self,
        *,
        ledger: Ledger,
        index: Index,
        completer: Completer | None,
        settings: SleepSettings,
        clock: Clock,
        new_id: NewId,
        feed: Callable[[], object],
        busy: Callable[[], bool],
        progress: Callable[[StageProgress], None],
        embedder: Embedder | None = None,
    ) -> None:
        self._ledger = ledger
        self._index = index
        self._completer = completer
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self._feed = feed
        self._busy = busy
        self._progress = progress
        self._embedder = embedder
        self._halt = Event()
        self._asker_now: Asker | None = None

    @property
    def asking(self) -> bool:
        """Whether a completion is running; any other step ends by itself, soon."""
        return self._asker_now is not None and self._asker_now.waiting

    def halt(self) -> None:
        """Stop before the next stage, batch or model call; the checkpoint stays and the cycle can be resumed."""
        self._halt.set()

    def run(self, request: SleepRequest, *, cycle_id: str = "") -> dict[str, Any]:
        """Sleep and return the report, which is stored as well; an unfinished *cycle_id* goes on where it was.

        Raises:
            BadInputError: there is no such depth.
            RefusedError: another cycle is running.
            LedgerError: the ledger cannot be read or written.
        """
        if request.depth not in DEPTHS:
            raise BadInputError(f"There is no sleep of depth {request.depth!r}. Choose {', '.join(DEPTHS)}.")
        night = self._resumed(cycle_id) if cycle_id else self._begun(request)
        try:
            self._sleep_through(night)
        except Halted:
            return self._left(night)
        except Exception as error:  # noqa: BLE001 - end the stage: a stage that fails must not take the daemon with it
            if self._halt.is_set():
                log.info("sleep.left", cycle_id=night.cycle_id, error=f"{type(error).__name__}: {error}")
                return self._left(night)
            return self._failed(night, error)
        return self._ended(night, COMPLETED)

    def _begun(self, request: SleepRequest) -> _Night:
        model = self._model(request.depth)
        cycle_id = self._ledger.begin_cycle(
            scope=request.scope,
            depth=request.depth,
            trigger=request.trigger,
            model=model,
            dry_run=request.dry_run,
        )
        return self._night(cycle_id, request, None)

    def _resumed(self, cycle_id: str) -> _Night:
        row = self._ledger.cycle(cycle_id)
        request = SleepRequest(
            depth=row["depth"], scope=row["scope"], dry_run=bool(row["dry_run"]), trigger=row["trigger"]
        )
        checkpoint = self._ledger.checkpoint(cycle_id)
        return self._night(cycle_id, request, checkpoint[1] if checkpoint else None)

    def _night(self, cycle_id: str, request: SleepRequest, payload: Work | None) -> _Night:
        if payload:
            report = Report(payload["report"])
            scopes, position, work = payload["scopes"], payload["position"], payload["work"]
        else:
            report = Report.begun(
                depth=request.depth,
                scope=request.scope,
                model=self._model(request.depth),
                trigger=request.trigger,
                dry_run=request.dry_run,
                at=self._clock(),
            )
            scopes, position, work = self._scopes(request), 0, {}
            report.rows |= {"id": cycle_id, "scopes": scopes}
        asker = self._asker_now = self._asker(cycle_id, request.depth, report)
        if asker and payload:
            asker.away = payload["away"]
        return _Night(cycle_id, request, scopes, position, work, report, asker, {})

    def _scopes(self, request: SleepRequest) -> list[str]:
        return [request.scope] if request.scope else sorted(self._ledger.scopes())

    def _model(self, depth: str) -> str:
        return self._completer.model if self._completer and "extract" in DEPTHS[depth] else ""

    def _asker(self, cycle_id: str, depth: str, report: Report) -> Asker | None:
        if self._completer is None or not self._model(depth):
            return None
        return Asker(
            completer=self._completer,
            shelf=self._ledger,
            cycle_id=cycle_id,
            busy=self._busy,
            pause=self._halt.wait,
            alive=lambda: self._ledger.renew_lease(cycle_id),
            tally=report.tally(),
        )

    def _sleep_through(self, night: _Night) -> None:
        steps = [(scope, stage) for scope in night.scopes for stage in DEPTHS[night.request.depth]]
        if night.request.depth == "deep":
            night.report.warn("A deep sleep is a light one for now: dreaming is not built yet.")
        if not steps:
            night.report.warn("Nothing was recorded yet, so there was nothing to sleep on.")
        while night.position < len(steps):
            self._unless_halted()
            scope, stage = steps[night.position]
            if stage == "gather":
                night.work = {}
            self._run_stage(night, scope, stage)
        self._feed()

    def _run_stage(self, night: _Night, scope: str, stage: str) -> None:
        started = perf_counter()
        self._tell(night, stage, scope, 0, 1)
        # The stages compare with what is known: the index must know what the ledger does.
        self._feed()
        self._unless_halted()
        desk = self._desk(night, scope, stage)
        done = STAGES[stage](desk, night.work)
        took_ms = (perf_counter() - started) * 1000.0
        self._apply(night, desk, stage, done, took_ms)
        self._tell(night, stage, scope, 1, 1, counts=done.counts)
        log.info(
            "sleep.stage", cycle_id=night.cycle_id, stage=stage, took_ms=round(took_ms, 1), **done.counts
        )

    def _desk(self, night: _Night, scope: str, stage: str) -> Desk:
        return Desk(
            ledger=self._ledger,
            index=self._index,
            embedder=self._embedder,
            asker=night.asker,
            settings=self._settings,
            new_id=self._new_id,
            scope=scope,
            depth=night.request.depth,
            now=self._clock(),
            report=night.report,
            step=lambda done, total, note: self._tell(night, stage, scope, done, total, note=note),
            pending=night.pending.get(scope, ()),
        )

    def _apply(self, night: _Night, desk: Desk, stage: str, done: Done, took_ms: float) -> None:
        """Write the proposals and the checkpoint together; a dry run only keeps them in mind."""
        learned = {one.memory.id: one.memory.text for one in done.proposals if isinstance(one, Learn)}
        if any(not isinstance(one, Learn) for one in done.proposals):
            learned |= {memory.id: memory.text for memory in (*desk.memories(), *desk.faded())}
        night.report.proposed(done.proposals, learned)
        night.report.stage(stage, scope=desk.scope, took_ms=took_ms, counts=done.counts)
        if night.asker:
            night.report.asked(night.asker.tally)
        night.work = {**night.work, **done.work}
        night.position += 1
        if night.request.dry_run:
            night.pending.setdefault(desk.scope, []).extend(done.proposals)
            self._ledger.renew_lease(night.cycle_id)
            return
        self._ledger.apply(night.cycle_id, stage_label(stage, desk.scope), done.proposals, night.payload())

    def _tell(
        self,
        night: _Night,
        stage: str,
        scope: str,
        done: int,
        total: int,
        *,
        note: str = "",
        counts: dict[str, int] | None = None,
    ) -> None:
        words = " ".join(part for part in (scope, note) if part)
        self._progress(
            StageProgress(
                cycle_id=night.cycle_id, stage=stage, done=done, total=total, note=words, counts=counts or {}
            )
        )

    def _unless_halted(self) -> None:
        if self._halt.is_set():
            raise Halted

    def _left(self, night: _Night) -> dict[str, Any]:
        return night.report.ended(state=INTERRUPTED, at=self._clock())

    def _ended(self, night: _Night, state: str) -> dict[str, Any]:
        report = night.report.ended(state=state, at=self._clock())
        self._ledger.end_cycle(night.cycle_id, state=state, report=report)
        return report

    def _failed(self, night: _Night, error: Exception) -> dict[str, Any]:
        words = str(error) if isinstance(error, LtmldError) else f"{type(error).__name__}: {error}"
        log.error("sleep.failed", cycle_id=night.cycle_id, error=type(error).__name__, exc_info=error)
        report = night.report.ended(state=FAILED, at=self._clock(), error=words)
        try:
            self._ledger.end_cycle(night.cycle_id, state=FAILED, report=report)
        except LtmldError as lost:
            # The ledger itself is what failed: the lease runs out, and the next night begins anew.
            log.error("sleep.unreported", cycle_id=night.cycle_id, error=str(lost))  # noqa: TRY400 - the first error was logged whole
        return report
