"""What a pipeline costs, as a sum of what there is of each thing: no IO, no clock, nothing of this machine.

A load is turned into counts per second (events, requests of producers, transactions, partitions written in them), each
count has a cost in seconds of CPU, and a process takes the sum. The costs are found from measured points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.optimize import nnls

BROKER, INGESTION, INFERENCE = "broker", "ingestion-0", "inference-0"
PROCESSES: Final = (BROKER, INGESTION, INFERENCE)
TERMS: Final = ("at rest", "idle partition", "event", "request of a producer", "transaction", "partition in it")

COMMIT_S: Final = 0.040
"""Ingestion begins a transaction so often at the most, which is the default; inference up to four times as often."""
LINGER_S: Final = 0.005
"""How long a producer of events waits for more of a partition before it sends a request."""
_LEAST_CPU: Final = 0.01
"""Below it, in cores, a measured figure is noise: it is no more exact than that."""


@dataclass(frozen=True, slots=True)
class Load:
    """One pipeline: its partitions, events per second, and processes of ingestion and of inference."""

    partitions: int
    events: float
    ingestion: int = 1
    inference: int = 1
    serving: bool = True
    """False: producers alone write events, and no service runs."""


@dataclass(frozen=True, slots=True)
class Point:
    """A load, and the CPU of each process under it, in cores."""

    load: Load
    cpu: Mapping[str, float]


Costs = Mapping[str, Sequence[float]]
"""By process, seconds of CPU for one of each of `TERMS`."""


def touched(partitions: float, events: float) -> float:
    """How many of so many partitions get at least one of so many events, whose keys are spread evenly."""
    if partitions <= 1:
        return float(min(partitions, 1.0) * -np.expm1(-events))
    return float(partitions * -np.expm1(events * np.log1p(-1 / partitions)))


def requests(load: Load) -> float:
    """Requests per second of one producer of all events: one for what comes to a partition while it waits."""
    return load.events / (1 + LINGER_S * load.events / load.partitions)


def transactions(load: Load, process: str) -> tuple[float, float]:
    """Transactions per second of all processes of a service, and partitions written in them per second.

    Ingestion commits what came in its distance. Each process of inference answers what the transactions of ingestion
    bring, at most four times in that distance.
    """
    if not load.serving or not load.events:
        return 0.0, 0.0
    workers, most = (load.ingestion, 1) if process == INGESTION else (load.inference, min(load.ingestion, 4))
    own_events, own_partitions = load.events / workers, load.partitions / workers
    per_s = min(most / COMMIT_S, own_events)  # one that brings nothing is not made
    return workers * per_s, workers * per_s * touched(own_partitions, own_events / per_s)


def counts(load: Load, process: str) -> list[float]:
    """How much there is of each of `TERMS` for all processes of this name."""
    if process == BROKER:
        both = [transactions(load, service) for service in (INGESTION, INFERENCE)]
        made, written = (sum(of_each) for of_each in zip(*both, strict=True))
        return [1.0, load.partitions, load.events, requests(load), made, written]
    made, written = transactions(load, process)
    workers = load.ingestion if process == INGESTION else load.inference
    return [float(workers), load.partitions, load.events, 0.0, made, written]


def fitted(points: Sequence[Point]) -> Costs:
    """The costs, none below zero, that come nearest to these points, each counted by its relative error."""
    costs: dict[str, Sequence[float]] = {}
    for process in PROCESSES:
        seen = [point for point in points if process in point.cpu]
        weights = np.array([1 / max(point.cpu[process], _LEAST_CPU) for point in seen])
        rows = np.array([counts(point.load, process) for point in seen])
        sizes = np.maximum(rows.max(axis=0), 1e-12)  # so that all columns count alike
        found, _ = nnls(rows / sizes * weights[:, None], weights * [point.cpu[process] for point in seen])
        costs[process] = (found / sizes).tolist()
    return costs


def predicted(costs: Costs, load: Load, process: str) -> float:
    """Cores that all processes of this name take under a load."""
    return float(np.dot(costs[process], counts(load, process)))


def workers_for(costs: Costs, load: Load, most_cores: float = 0.7) -> Load:
    """The same load with as many processes of each service as it takes to keep each below so many cores.

    Never more than there are partitions: the load is then beyond what the pipeline can take.
    """
    for workers in _growing(load.partitions):
        load = replace(load, ingestion=workers)
        if predicted(costs, load, INGESTION) / workers <= most_cores:
            break
    for workers in _growing(load.partitions):
        load = replace(load, inference=workers)
        if predicted(costs, load, INFERENCE) / workers <= most_cores:
            break
    return load


def _growing(most: int) -> Sequence[int]:
    return sorted({min(most, round(1.25**step)) for step in range(40)} | {1})
