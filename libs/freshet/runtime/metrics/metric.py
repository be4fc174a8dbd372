"""A metric as the catalogue has it: name, kind, unit, labels and meaning."""

from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CollectorT = TypeVar("CollectorT", Counter, Gauge, Histogram)

Unit = Literal["records", "bytes", "seconds", "ratio", "partitions", "models", "count", "number", "info"]
Source = Literal[
    "services", "data services", "inference", "drift-join", "detection", "console", "gateway", "webhook", "observe"
]
"""Who shows a metric: every service, those that answer a pipeline's records, one alone, or `freshet observe`."""

SHORT_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

SCOPE: Final = ("service", "pipeline")
"""The labels of what a loop of a service tells; the pipeline is empty where one service decides for all."""


@dataclass(frozen=True, slots=True)
class Metric(Generic[CollectorT]):
    """One metric. Names follow Prometheus: base units, `_total` on counters."""

    name: str
    kind: type[CollectorT]
    unit: Unit
    labels: tuple[str, ...]
    meaning: str
    """A sentence, which `/metrics` shows too."""
    source: Source
    buckets: tuple[float, ...] = ()

    def collector(self, registry: CollectorRegistry) -> CollectorT:
        """A new one in that registry."""
        if self.kind is Histogram:
            return self.kind(self.name, self.meaning, self.labels, registry=registry, buckets=self.buckets)
        return self.kind(self.name, self.meaning, self.labels, registry=registry)

    @property
    def kind_name(self) -> str:
        """As Prometheus calls it: counter, gauge or histogram."""
        return self.kind.__name__.lower()


def told_of(name: str, kind: type[CollectorT], unit: Unit, meaning: str, *labels: str) -> Metric[CollectorT]:
    """What `freshet observe` tells of a pipeline."""
    return Metric(f"freshet_{name}", kind, unit, ("pipeline", *labels), meaning, "observe")


def counter(name: str, unit: Unit, meaning: str, *labels: str, source: Source = "services") -> Metric[Counter]:
    """A number of things since the process began; ends with `_total`."""
    return Metric(f"freshet_{name}", Counter, unit, (*SCOPE, *labels), meaning, source)


def gauge(name: str, unit: Unit, meaning: str, *labels: str, source: Source = "services") -> Metric[Gauge]:
    """How something is now."""
    return Metric(f"freshet_{name}", Gauge, unit, (*SCOPE, *labels), meaning, source)


def histogram(
    name: str,
    unit: Unit,
    meaning: str,
    *labels: str,
    buckets: tuple[float, ...] = SHORT_S,
    source: Source = "data services",
) -> Metric[Histogram]:
    """How often something was how large."""
    return Metric(f"freshet_{name}", Histogram, unit, (*SCOPE, *labels), meaning, source, buckets)
