"""Processes of the simulation: a loop that may die at any client call, and comes back when somebody starts it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Protocol

from freshet.contracts.errors import FreshetError
from freshet.contracts.logic import Announce, Cancel, Job, Logic, Outcome, Start
from freshet.inference.core.logic import InferenceLogic
from freshet.inference.core.model_jobs import LoadModel, RetireModel
from freshet.inference.service import SERVICE as INFERENCE
from freshet.ingestion.core.logic import IngestionLogic
from freshet.ingestion.service import SERVICE as INGESTION
from freshet.registry.core.admission_job import Admit
from freshet.registry.core.decider import RegistryDecider
from freshet.runtime.bus.memory import MemoryBus, MemoryCluster, SimulatedCrash
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.options import LoopOptions
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.service import DataService
from freshet.runtime.telemetry import Metrics
from support.registry import PIPELINE
from support.simulation.pipeline import Minds

_METRICS: Final = Metrics()  # costs more to make than all else in a run


class Turning(Protocol):
    """What both loops are."""

    def step(self, timeout_s: float) -> int:
        """One turn."""

    def unready(self) -> str | None:
        """Why it does not serve yet."""

    def close(self) -> None:
        """Say goodbye."""


@dataclass
class MachineClock:
    """A machine's clock: the cluster's, wrong by `skew_ms`."""

    cluster: MemoryCluster
    skew_ms: int = 0

    def now_ms(self) -> int:
        """See `Clock`."""
        return self.cluster.now_ms + self.skew_ms

    def elapsed_ms(self) -> int:
        """See `Clock`. What a wrong clock does not touch."""
        return self.cluster.now_ms

    def sleep(self, seconds: float) -> None:
        """See `Clock`. Time passes for everybody."""
        self.cluster.advance(int(seconds * 1000))


class LateJobs:
    """Runs each job when its outcome is asked for, or some turns later."""

    def __init__(self, run: Callable[[Job[Any]], object], late: Callable[[], bool]) -> None:
        self._run, self._late = run, late
        self._jobs: list[Job[Any]] = []

    def start(self, job: Job[Any]) -> None:
        """See `JobRunner`."""
        self._jobs.append(job)

    def cancel(self, queue: str) -> None:
        """See `JobRunner`. Nobody cancels here."""

    def outcomes(self) -> list[Outcome[Any]]:
        """See `JobRunner`."""
        if not self._jobs or self._late():
            return []
        jobs, self._jobs = self._jobs, []
        return [self._outcome(job) for job in jobs]

    def hurry(self) -> bool:
        """See `JobRunner`. Time is not real here."""
        return False

    def close(self) -> None:
        """See `JobRunner`."""

    def _outcome(self, job: Job[Any]) -> Outcome[Any]:
        try:
            return Outcome(job, result=self._run(job))
        except FreshetError as error:
            return Outcome(job, error=error)


@dataclass
class Where:
    """What a process is started with."""

    cluster: MemoryCluster
    bus: MemoryBus
    minds: Minds
    random: Random
    skip_expired: bool
    faults: list[str] = field(default_factory=list)
    """What went wrong inside a process, which survived it."""


@dataclass
class Process:
    """One slot of one service, alive or dead."""

    name: str
    make: Callable[["Process"], Turning]
    clock: MachineClock
    loop: Turning | None = None
    said: str = ""
    """The last error that ended it."""
    busy: bool = False
    deaths: int = 0
    away: int = 0
    """So many of its next calls find no broker."""
    started: int = 0

    @property
    def service(self) -> str:
        """The first part of its name."""
        return self.name.partition("-")[0]

    def start(self) -> None:
        """Start it, if it is dead."""
        if self.loop is None and not self.busy:
            self.guarded(self._start)

    def step(self) -> None:
        """One turn, if it lives and is not in the middle of one."""
        if self.loop is not None and not self.busy:
            self.guarded(self._turn)

    def kill(self) -> None:
        """As by SIGKILL, between two calls."""
        if self.loop is not None and not self.busy:
            self.loop, self.deaths = None, self.deaths + 1

    def _start(self) -> None:
        self.started += 1
        self.loop = self.make(self)

    def _turn(self) -> None:
        assert self.loop is not None
        try:
            self.loop.step(0.0)
        except FreshetError as error:  # as main does: say why, close, exit
            self.said = f"{type(error).__name__}: {error}"
            loop, self.loop = self.loop, None
            loop.close()

    def guarded(self, doing: Callable[[], None]) -> None:
        """Do this as the process, which may die of it."""
        self.busy = True
        try:
            doing()
        except SimulatedCrash:
            self.loop, self.deaths = None, self.deaths + 1
        except FreshetError as error:
            self.loop, self.said = None, f"{type(error).__name__}: {error}"
        finally:
            self.busy = False


def applier(where: Where, name: str) -> Process:
    """A person at the command line, who lives only while a command runs."""

    def make(_process: Process) -> Turning:
        raise AssertionError("a person is not started")

    return Process(f"apply-{name}", make, MachineClock(where.cluster))


def ingestion(where: Where, slot: str, *, fixed: bool) -> Process:
    """A worker of ingestion."""
    return _data(
        where,
        INGESTION,
        slot,
        lambda _: IngestionLogic(PIPELINE),
        lambda _job: None,
        fixed=fixed,
    )


def inference(where: Where, slot: str, *, fixed: bool) -> Process:
    """A worker of inference."""

    def logic(slot: str) -> InferenceLogic:
        topic_id = where.bus.topic_id("features")
        return InferenceLogic(PIPELINE, where.bus.names.worker("inference", slot), topic_id=topic_id)

    def run(job: Job[Any]) -> object:
        if isinstance(job, LoadModel):
            return where.minds.load(job)
        assert isinstance(job, RetireModel)
        job.scorer.close()
        return None

    return _data(where, INFERENCE, slot, logic, run, fixed=fixed)


class WatchedDecider(RegistryDecider):
    """Remembers what its loop would survive: a pipeline whose decision fails is only set aside for a while."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__()
        self._faults = faults

    def decide(self, pipeline: str, now_ms: int) -> list[Announce | Start | Cancel]:
        """See `Decider`. Our own policies never fail, and never ask for what cannot be."""
        try:
            return super().decide(pipeline, now_ms)
        except Exception as error:
            self._faults.append(f"{type(error).__name__}: {error}")
            raise


def registry(where: Where, name: str) -> Process:
    """A registry. All have one transactional id: the newest fences the others."""

    def run(job: Job[Any]) -> object:
        assert isinstance(job, Admit)
        return where.minds.admit(job)

    def make(process: Process) -> OwnerLoop:
        return OwnerLoop(
            WatchedDecider(where.faults),
            where.bus,
            where.bus.names,
            service="registry",
            jobs=_jobs(where, run),
            clock=process.clock,
            metrics=_METRICS,
        )

    return Process(f"registry-{name}", make, MachineClock(where.cluster))


def _data(
    where: Where,
    service: DataService,
    slot: str,
    logic: Callable[[str], Logic],
    run: Callable[[Job[Any]], object],
    *,
    fixed: bool,
) -> Process:
    def make(process: Process) -> DataLoop:
        # an elastic worker is another one each time it starts
        mine = slot if fixed else f"{slot}-{process.started}"
        return DataLoop(
            logic(mine),
            where.bus,
            where.bus.names,
            service=service.name,
            slot=mine,
            fixed_slot=fixed,
            jobs=_jobs(where, run),
            clock=process.clock,
            metrics=_METRICS,
            references=service.references,
            options=LoopOptions(batch_rows=where.random.choice([2, 5, 100]), skip_expired=where.skip_expired),
        )

    return Process(f"{service.name}-{slot}", make, MachineClock(where.cluster))


def _jobs(where: Where, run: Callable[[Job[Any]], object]) -> LateJobs:
    return LateJobs(run, lambda: not where.minds.well and where.random.random() < 0.5)
