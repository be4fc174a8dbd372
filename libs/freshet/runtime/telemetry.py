"""The metrics of a process, and the set-up of structured logs."""

import logging
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from structlog.typing import EventDict, Processor

from freshet.runtime.metrics.metric import CollectorT, Metric
from freshet.runtime.metrics.of_services import BUILD, IN_PROCESS
from freshet.runtime.metrics.system_figures import SystemFigures


class Metrics:
    """The metrics of one process, made from the catalogue: `metrics[READY].labels("inference", "loans").set(1)`."""

    def __init__(self, catalogue: Sequence[Metric[Any]] = IN_PROCESS) -> None:
        """`catalogue` names those that this process counts and sets."""
        self.registry = CollectorRegistry()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the counters, and nothing reads them
        self._made: dict[Metric[Any], Any] = {metric: metric.collector(self.registry) for metric in (*catalogue, BUILD)}
        self[BUILD].labels(version("freshet"), platform.python_version()).set(1)

    def __getitem__(self, metric: Metric[CollectorT]) -> CollectorT:
        """The collector of this metric."""
        made: CollectorT = self._made[metric]
        return made

    def tell_of_the_process(self) -> None:
        """Also show what this process takes of the machine: CPU, memory, files, disk and network."""
        ProcessCollector(registry=self.registry)
        self.registry.register(SystemFigures())


def configure_logs(level: str, **context: object) -> None:
    """JSON lines on stderr from structlog and from the standard library alike; `context` goes into every line.

    So do structlog's context variables: where a process has several loops, they say of which one a line is.
    """

    def add_context(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {**context, **structlog.contextvars.get_contextvars(), **event}

    shared: list[Processor] = [
        add_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # a frame's variables may hold passwords
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
