"""Who sleeps: one cycle at a time, in a thread of its own, watched while it runs.

Rules:
1. ``start`` answers at once with the cycle's id; a second one while a cycle runs is refused by the ledger's lease.
   What an earlier process left unfinished comes first, whatever was asked: half of a night is never dropped.
2. The model is the one asked for, else the configured one, else the one last talked to; only the first may fail
   the start, the others give way to the rule-based extractor when Ollama does not have them. When Ollama is
   away, the cycle is told the model all the same: it reads by rule and puts the model's work off by itself.
   Where all of Ollama is its cloud, a cycle asks it only when ``wake.cloud`` allows it, or when told which model.
3. ``close`` stops a cycle between two steps and leaves it at its checkpoint: the next start resumes it. After
   ``close`` no cycle begins.
4. A thread clears only what is its own: where another cycle began since, that one is live.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

import structlog

from ltmld.core.ports import JsonObject, SleepRequest, StageProgress
from ltmld.errors import BadInputError, CompletionError, LtmldError, RefusedError, UpstreamError
from ltmld.proxy.trust import trust_for
from ltmld.wake.policy import is_cloud

if TYPE_CHECKING:
    import ssl

    from ltmld.config import Settings
    from ltmld.core.clock import Clock, NewId
    from ltmld.core.ports import Completer, Embedder, Index
    from ltmld.ledger.ledger import Ledger
    from ltmld.sleep.cycle import SleepCycle
    from ltmld.wake.feeder import Feeder

log = structlog.get_logger(__name__)

# How long `close` waits for the step in hand: numeric work ends in the longer time, a completion may take minutes
# and is left to the process's end (its answer is lost, and asked for again).
CLOSE_S = 10.0
CLOSE_ASKING_S = 2.0
GLANCE_S = 0.05

# Far more sleeps than a person starts between two deep nights.
CYCLES_LOOKED_AT = 200
NIGHTLY = "nightly"

Watch = Callable[[StageProgress], None]


@dataclass(slots=True)
class Live:
    """What a running cycle shows of itself."""

    cycle_id: str
    state: str = "queued"
    steps: list[StageProgress] = field(default_factory=list)
    """One entry for each stage of each scope, in the order of the night; the last one is being worked on."""

    def note(self, progress: StageProgress) -> None:
        """Take note of a step."""
        self.state = "running"
        if self.steps and self.steps[-1].stage == progress.stage:
            self.steps[-1] = progress
        else:
            self.steps.append(progress)


class Sleeper:
    """Starts cycles, watches them, resumes what was left unfinished."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        index: Index,
        feeder: Feeder,
        settings: Settings,
        clock: Clock,
        new_id: NewId,
        busy: Callable[[], bool] = lambda: False,
        embedder: Embedder | None = None,
    ) -> None:
        self._ledger, self._index, self._feeder = ledger, index, feeder
        self._settings, self._clock, self._new_id, self._embedder = settings, clock, new_id, embedder
        self.busy = busy
        """Whether a client's request is open; sleep gives way to it."""
        self._starting = threading.Lock()
        self._closing = threading.Event()
        self._live: Live | None = None
        self._thread: threading.Thread | None = None
        self._broken: dict[str, str] = {}
        self._cycle: SleepCycle | None = None

    def start(self, request: SleepRequest) -> str:
        """Begin a cycle in the background, or take up the one that was left unfinished, and return its id.

        Raises:
            RefusedError: a cycle runs already, or ltmld is stopping.
            BadInputError: Ollama does not have the model that was asked for.
            UpstreamError: a model was asked for and Ollama is away.
        """
        with self._starting:
            self._unless_closing()
            resumed = self._resumed()
            if resumed:
                return resumed
            model = self._model(request)
            cycle_id = self._begin(request, model)
            self._spawn(cycle_id, request, model)
            return cycle_id

    def run_now(self, request: SleepRequest, watch: Watch = lambda _progress: None) -> JsonObject:
        """Run a cycle in the calling thread, after what was left unfinished, and return its report.

        Raises:
            LtmldError: as ``start``; or what ended the cycle.
        """
        if self.resume():
            self.wait()
        with self._starting:
            self._unless_closing()
            model = self._model(request)
            cycle_id = self._begin(request, model)
        return self._run(cycle_id, request, model, watch)

    def resume(self) -> str:
        """Take up the cycle that an earlier process left unfinished; return its id, or nothing.

        One that cannot be taken up now is there at the next start: nothing is raised.
        """
        with self._starting:
            try:
                return "" if self._closing.is_set() else self._resumed()
            except LtmldError as error:
                log.warning("sleep.not_resumed", error=str(error))
                return ""

    def nights_since_deep(self) -> int:
        """Return how many nightly cycles have completed since the last deep one (of the latest cycles).

        Raises:
            LedgerError: the ledger cannot be read.
        """
        nights = (
            cycle["depth"]
            for cycle in self._ledger.cycles(limit=CYCLES_LOOKED_AT)
            if cycle["trigger"] == NIGHTLY and cycle["state"] == "completed"
        )
        return sum(1 for _ in takewhile(lambda depth: depth != "deep", nights))

    def live(self) -> Live | None:
        """Return what the running cycle shows, or ``None``."""
        return self._live

    def broken(self, cycle_id: str) -> str:
        """Return why a cycle of this process ended without saying so to the ledger, or nothing."""
        return self._broken.get(cycle_id, "")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the running cycle; tell whether it ended in time."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def close(self) -> None:
        """Stop between two steps; return when the thread has ended, or when what it does may end with the process."""
        # First the word, then the look: a cycle that is being made meanwhile finds the word.
        self._closing.set()
        if cycle := self._cycle:
            cycle.halt()
        # A start that is under way spawns its thread before the lock is free.
        if self._starting.acquire(timeout=CLOSE_ASKING_S):
            self._starting.release()
        began = time.monotonic()
        while not self.wait(GLANCE_S):
            asking = (cycle := self._cycle) is not None and cycle.asking
            if time.monotonic() - began >= (CLOSE_ASKING_S if asking else CLOSE_S):
                what = "a completion" if asking else "a step"
                log.warning("sleep.left", reason=f"{what} is still running; the next start resumes the cycle")
                return

    def _resumed(self) -> str:
        left = self._ledger.unfinished_cycle() if self._live is None else None
        if left is None:
            return ""
        request = SleepRequest(
            depth=left["depth"],
            model=left["model"],
            scope=left["scope"],
            dry_run=bool(left["dry_run"]),
            trigger=left["trigger"],
        )
        log.info("sleep.resumed", cycle=left["id"])
        self._live = Live(left["id"])
        self._spawn(left["id"], request, self._available(left["model"]))
        return str(left["id"])

    def _begin(self, request: SleepRequest, model: str) -> str:
        cycle_id = self._ledger.begin_cycle(
            scope=request.scope,
            depth=request.depth,
            trigger=request.trigger,
            model=model,
            dry_run=request.dry_run,
        )
        self._live = Live(cycle_id)
        return cycle_id

    def _spawn(self, cycle_id: str, request: SleepRequest, model: str) -> None:
        def background() -> None:
            try:
                self._run(cycle_id, request, model, lambda _progress: None)
            except LtmldError as error:
                log.warning("sleep.failed", cycle=cycle_id, error=str(error))

        self._thread = threading.Thread(target=background, name=f"sleep {cycle_id}", daemon=True)
        self._thread.start()

    def _run(self, cycle_id: str, request: SleepRequest, model: str, watch: Watch) -> JsonObject:
        self._broken[cycle_id] = "the cycle's thread died; the log of the daemon has the reason"
        try:
            cycle = self._cycle = self._made(model, watch)
            if self._closing.is_set():
                cycle.halt()
            report: JsonObject = cycle.run(request, cycle_id=cycle_id)
            del self._broken[cycle_id]
        except LtmldError as error:
            self._broken[cycle_id] = str(error)
            raise
        finally:
            with self._starting:
                # The ledger knew of the end before: another cycle may have begun, and its traces stay.
                if self._live is not None and self._live.cycle_id == cycle_id:
                    self._live = self._cycle = None
        log.info("sleep.ended", cycle=cycle_id, depth=request.depth, model=model or None)
        return report

    def _made(self, model: str, watch: Watch) -> SleepCycle:
        # The rooms of the night are imported when it falls: by day they would only cost time and memory.
        from ltmld.models.completion import OllamaCompleter  # noqa: PLC0415 - see above
        from ltmld.sleep.cycle import SleepCycle  # noqa: PLC0415 - see above

        completer: Completer | None = None
        if model:
            completer = OllamaCompleter(
                self._settings.upstream,
                model,
                self._settings.models.completion_timeout_s,
                trust=_trust(self._settings),
            )
        return SleepCycle(
            ledger=self._ledger,
            index=self._index,
            completer=completer,
            settings=self._settings.sleep,
            clock=self._clock,
            new_id=self._new_id,
            feed=self._feed,
            busy=self._must_wait,
            progress=lambda progress: self._note(progress, watch),
            embedder=self._embedder,
        )

    def _feed(self) -> None:
        while not self._closing.is_set() and self._feeder.drain():
            pass

    def _unless_closing(self) -> None:
        if self._closing.is_set():
            raise RefusedError("ltmld is stopping, and no sleep begins. Start it again, then sleep.")

    def _must_wait(self) -> bool:
        waiting = self.busy()
        if self._live is not None:
            self._live.state = "waiting" if waiting else "running"
        return waiting

    def _note(self, progress: StageProgress, watch: Watch) -> None:
        if self._live is not None:
            self._live.note(progress)
        watch(progress)

    def _model(self, request: SleepRequest) -> str:
        if request.depth == "nap":
            return ""
        if not request.model:
            return self._available(self._settings.models.sleep_model or self._last_model())
        names = _models(self._settings)
        found = _among(request.model, names)
        if not found:
            have = ", ".join(names[:8]) or "none at all"
            raise BadInputError(
                f"Ollama has no model {request.model!r}; it has {have}. Pull it, or leave --model out."
            )
        return found

    def _last_model(self) -> str:
        """Return the model last talked to; one in the cloud would be sent all that was said to the others."""
        name = self._ledger.last_model()
        if is_cloud(name) and not self._settings.wake.cloud:
            log.warning(
                "sleep.without_model", model=name, error="it runs in Ollama's cloud; set models.sleep_model"
            )
            return ""
        return name

    def _available(self, name: str) -> str:
        if not name:
            return ""
        if self._settings.upstream_host.cloud and not self._settings.wake.cloud:
            log.warning("sleep.without_model", model=name, error="upstream is Ollama's cloud (wake.cloud)")
            return ""
        try:
            found = _among(name, _models(self._settings))
        except (UpstreamError, CompletionError) as error:
            log.warning("sleep.model_unseen", model=name, error=str(error))
            return name
        if not found:
            log.warning("sleep.without_model", model=name, error="Ollama does not have it")
        return found


def _models(settings: Settings) -> list[str]:
    from ltmld.models.completion import list_models  # noqa: PLC0415 - see `_made`

    return list_models(settings.upstream, trust=_trust(settings))


def _trust(settings: Settings) -> ssl.SSLContext | None:
    return trust_for(settings.upstream_host, settings.proxy.ca_file)


def _among(name: str, names: list[str]) -> str:
    """Return the name as Ollama spells it (``llama3.2`` is ``llama3.2:latest``), or nothing."""
    return next((known for known in names if known in (name, f"{name}:latest")), "")
