"""Runs a service process: builds its loops, turns them until told to stop, and ends within one time budget."""

import contextlib
import faulthandler
import gc
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import IO, Final

import structlog

from freshet.contracts.errors import FreshetError, UnsetError
from freshet.contracts.logic import Decider
from freshet.contracts.topic_table import TopicNames
from freshet.contracts.worker import Process
from freshet.runtime import watchdog
from freshet.runtime.bus.kafka import KafkaBus
from freshet.runtime.bus.kafka.releases import warn_if_faulty
from freshet.runtime.bus.protocol import Bus, RetriableError, RightsError
from freshet.runtime.clock import SystemClock
from freshet.runtime.data_loop import DataLoop
from freshet.runtime.http import HealthServer, stuck
from freshet.runtime.jobs import Jobs, Runner
from freshet.runtime.loop_metrics import LoopMetrics
from freshet.runtime.memory_use import keep_freed_memory
from freshet.runtime.needed import Needed, needed_roles
from freshet.runtime.options import LoopOptions
from freshet.runtime.owner_loop import OwnerLoop
from freshet.runtime.reports import BackgroundReports
from freshet.runtime.service import Context, ControlService, DataService, EdgeService, Service, parts_of, slot_ids
from freshet.runtime.settings import Settings, SettingsError
from freshet.runtime.slot import hold_slot
from freshet.runtime.supervised import Supervised, Turning
from freshet.runtime.telemetry import Metrics, configure_logs
from freshet.runtime.turners import Turners

_BACK_OFF_S: Final = 1.0
_STARTED_MS: Final = time.time_ns() // 1_000_000
EXIT_SETTINGS: Final = 2
EXIT_FATAL: Final = 70
EXIT_LATE: Final = 71


def run(service: Service, pipelines: Sequence[str], settings: Settings) -> int:
    """Run until SIGTERM or SIGINT, or until something is fatal. Returns the process's exit code."""
    configure_logs(settings.log_level, service=service.name, slot=settings.slot)
    log = structlog.get_logger("main")
    watchdog.guard_process()
    keep_freed_memory()
    faulthandler.register(signal.SIGUSR1)  # kill -USR1 shows where every thread stands
    stop = threading.Event()
    _stop_on_signals(stop, settings.shutdown_s)
    if isinstance(service, EdgeService):
        return _run_edge(service, settings, stop)
    metrics = Metrics()
    metrics.tell_of_the_process()
    slots: list[IO[str] | None] = []
    loops: list[Turning] = []
    turners: Turners | None = None
    health = HealthServer(
        settings.http_host,
        settings.http_port,
        live=lambda: stuck(*(loop.beat_s for loop in loops)),
        ready=lambda: _unready(loops),
        registry=metrics.registry,
    )
    log.info("started", pipelines=list(pipelines), http_port=health.port, pid=os.getpid())
    try:
        _await_broker(settings, stop)
        if not stop.is_set():
            warn_if_faulty(settings.bootstrap_servers, settings.kafka)
            slots = _hold_slots(service, pipelines, settings)
            loops += _build(service, pipelines, settings, metrics)
        # What is there now stays: collections need not look at it again, and then rarely at the rest.
        gc.freeze()
        gc.set_threshold(100_000)
        turners = Turners(loops, stop)
        turners.run()
    except Exception as error:
        return _told(error)
    finally:
        with _shutdown_budget(settings.shutdown_s):
            if turners is not None:
                turners.end()
            health.close()
            for slot in filter(None, slots):
                slot.close()
    log.info("stopped")
    return 0


def _run_edge(service: EdgeService, settings: Settings, stop: threading.Event) -> int:
    try:
        return service.run(settings, stop)
    except Exception as error:
        return _told(error)


def _told(error: Exception) -> int:
    """Log what ended the process; its exit code."""
    log = structlog.get_logger("main")
    match error:
        case SettingsError() | RightsError() | UnsetError():
            log.error("settings", error=str(error))
            return EXIT_SETTINGS
        case FreshetError():
            log.error("fatal", error=str(error))
        case _:
            # Unknown is fatal: nothing of an open batch was committed, and the supervisor starts us again.
            log.error("unexpected", exc_info=error)
    return EXIT_FATAL


def _hold_slots(service: Service, pipelines: Sequence[str], settings: Settings) -> list[IO[str] | None]:
    ids = slot_ids(service, pipelines, settings.namespace, settings.slot)
    return [hold_slot(settings.state_dir, transactional_id, settings.slot) for transactional_id in ids]


def _await_broker(settings: Settings, stop: threading.Event) -> None:
    """Wait until Kafka answers: a broker that is away at the start is treated like one that goes away later."""
    bus = _context(settings, "", settings.transaction_timeout_ms).bus
    log = structlog.get_logger("main").bind(bootstrap_servers=settings.bootstrap_servers)
    while not stop.is_set():
        try:
            _ask_broker(bus)
            return
        except RetriableError as error:
            log.warning("waiting_for_kafka", error=str(error))
            stop.wait(_BACK_OFF_S)


def _ask_broker(bus: Bus) -> None:
    """Raises RetriableError unless Kafka answers."""
    bus.spans("pipelines")


def _build(service: Service, pipelines: Sequence[str], settings: Settings, metrics: Metrics) -> list[Turning]:
    clock = SystemClock()
    if isinstance(service, ControlService):
        context = _context(settings, "", settings.transaction_timeout_ms)
        # made once: after a failure the process ends, since an owner begins anew with nothing that it knew
        owner = partial(_owner, service, context, metrics, service.decider(context), service.runner(context))
        return [Supervised(owner, clock, "", lambda: _ask_broker(context.bus), service=service.name)]
    options = LoopOptions(skip_expired=settings.on_expired == "skip")

    def supervised(part: DataService, pipeline: str) -> Supervised:
        context = _context(settings, pipeline, part.transaction_timeout_ms or settings.transaction_timeout_ms)
        roles = needed_roles(part.name)
        make = partial(_loop, part, context, metrics, options, roles)
        return Supervised(make, clock, pipeline, Needed(context.bus, context.names, roles).check, service=part.name)

    parts = [part for part in parts_of(service) if isinstance(part, DataService)]
    return [supervised(part, pipeline) for pipeline in pipelines for part in parts]


def _owner(service: ControlService, context: Context, metrics: Metrics, decider: Decider, runner: Runner) -> OwnerLoop:
    told = LoopMetrics(metrics, service.name, "")
    return OwnerLoop(
        decider,
        context.bus,
        context.names,
        service=service.name,
        jobs=Jobs(told.timed(runner), at_once=service.jobs_at_once),
        clock=SystemClock(),
        metrics=metrics,
        reports=BackgroundReports(context.bus.producer),
        process=context.process,
    )


def _loop(
    service: DataService, context: Context, metrics: Metrics, options: LoopOptions, needs: Sequence[str]
) -> DataLoop:
    settings, told = context.settings, LoopMetrics(metrics, service.name, context.names.pipeline)
    return DataLoop(
        service.logic(context),
        service.bus(context),
        context.names,
        service=service.name,
        slot=settings.slot,
        fixed_slot=settings.slots == "fixed",
        jobs=Jobs(told.timed(service.runner(context))),
        clock=SystemClock(),
        metrics=metrics,
        references=service.clues,
        options=options,
        assignor=service.assignor,
        reports=BackgroundReports(context.bus.producer),
        process=context.process,
        needs=needs,
    )


def _context(settings: Settings, pipeline: str, transaction_timeout_ms: int) -> Context:
    names = TopicNames(settings.namespace, pipeline)
    bus = KafkaBus(
        settings.bootstrap_servers, names, extra=settings.kafka, transaction_timeout_ms=transaction_timeout_ms
    )
    return Context(names, settings, bus, Process(settings.host, os.getpid(), _STARTED_MS))


def _unready(loops: Sequence[Turning]) -> str | None:
    reasons = [reason for loop in loops if (reason := loop.unready()) is not None]
    return ("; ".join(reasons) or None) if loops else "starting"


def _stop_on_signals(stop: threading.Event, budget_s: float) -> None:
    """On the first signal: finish. The loop may hang in a call, so the time budget starts here."""

    def on_signal(*_: object) -> None:
        if not stop.is_set():
            stop.set()
            _exit_after(budget_s)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)


@contextlib.contextmanager
def _shutdown_budget(budget_s: float) -> Iterator[None]:
    """Closing a client can hang while a broker restarts: after its time budget the process ends itself."""
    timer = _exit_after(budget_s)
    yield
    timer.cancel()


def _exit_after(budget_s: float) -> threading.Timer:
    timer = threading.Timer(budget_s, os._exit, (EXIT_LATE,))
    timer.daemon = True
    timer.start()
    return timer
