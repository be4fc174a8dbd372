"""The tables of docs/scale.md, kept between two marks on the page: costs, points, and what follows from them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.scale_model import (
    BROKER,
    INFERENCE,
    INGESTION,
    PROCESSES,
    TERMS,
    Costs,
    Load,
    Point,
    counts,
    predicted,
    transactions,
    workers_for,
)

BEGIN, END = "<!-- made by `make scale` -->", "<!-- end -->"
SIZES: Final = (1, 10, 100, 1000)
_STEADY: Final = 5_000.0
_OF_EACH: Final = 1_000.0
_PER: Final = 1e6
"""Costs are shown in µs."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A point, how many markers a second the transactions left in both outputs, and what other programs took.

    `full`: the machine had no CPU left, so the services fell behind and the figure is too low.
    """

    point: Point
    markers: float
    others: float
    full: bool = False


def written(
    page: str,
    costs: Costs,
    fit: Sequence[Measured],
    check: Sequence[Measured],
    *,
    copies: tuple[Load, float],
    machine: str,
) -> str:
    """The page with its tables made anew.

    `copies`: the load at which three copies were measured, and how many times one copy's CPU they took.
    """
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = [*_costs(costs), *_points(costs, fit, check, machine), *_projections(costs, copies)]
    return before + "\n".join([BEGIN, *tables, END]) + after


def _costs(costs: Costs) -> Iterator[str]:
    yield from ("", "### Costs", "", f"| CPU, µs of each | {' | '.join(TERMS)} |", "|---|" + "---|" * len(TERMS))
    for process in PROCESSES:
        shown = [f"{cost * _PER:,.{0 if cost * _PER >= 100 else 1}f}" for cost in costs[process]]
        if process != BROKER:
            shown[TERMS.index("request of a producer")] = "–"
        yield f"| {process.removesuffix('-0')} | {' | '.join(shown)} |"
    yield ""
    yield '"At rest" and "idle partition" are per second. 0.0 means that it could not be told from nothing.'


def _points(costs: Costs, fit: Sequence[Measured], check: Sequence[Measured], machine: str) -> Iterator[str]:
    # never below nothing: the kernel counts the machine's time in ticks, and that of our processes exactly
    most = max(0.0, *(each.others for each in (*fit, *check)))
    yield from ("", "### Predicted against measured", "")
    yield (
        f"{machine}; other programs took at most {most:.1f} cores meanwhile. Cores, predicted / measured (difference):"
    )
    yield ""
    yield "| | partitions | events/s | broker | ingestion | inference | markers/s |"
    yield "|---|---|---|---|---|---|---|"
    for of, points in (("fitted", fit), ("**checked**", check)):
        for each in points:
            load = each.point.load
            cells = [_cell(costs, each.point, process) for process in PROCESSES]
            told = sum(transactions(load, process)[1] for process in (INGESTION, INFERENCE))
            kind = of if load.serving else f"{of}, producer alone"
            kind += ", the machine was full" if each.full else ""
            marks = f"{told:.0f} / {each.markers:.0f}" if told else "–"
            yield f"| {kind} | {load.partitions} | {load.events:,.0f} | {' | '.join(cells)} | {marks} |"


def _cell(costs: Costs, point: Point, process: str) -> str:
    if process not in point.cpu:
        return "–"
    said, seen = predicted(costs, point.load, process), point.cpu[process]
    return f"{said:.3f} / {seen:.3f} ({(said - seen) / max(seen, 1e-3):+.0%})"


def _projections(costs: Costs, copied: tuple[Load, float]) -> Iterator[str]:
    measured_at, copies = copied
    yield from ("", f"### The same {_STEADY:,.0f} events/s over more partitions", "")
    yield "One process of each service; one copy of each record. Cores:"
    yield ""
    yield "| partitions | transactions/s | partitions written/s | broker | ingestion | inference |"
    yield "|---|---|---|---|---|---|"
    for size in SIZES:
        load = Load(size, _STEADY)
        *_, made, wrote = counts(load, BROKER)
        cores = " | ".join(f"{predicted(costs, load, process):.2f}" for process in PROCESSES)
        yield f"| {size:,} | {made:.0f} | {wrote:,.0f} | {cores} |"
    yield from ("", f"### {_OF_EACH:,.0f} events/s for each partition", "")
    yield (
        "So many processes that each stays below 0.7 core. Three copies cost the brokers together "
        f"{copies:.1f} times one copy, as was measured at {measured_at.partitions} partitions and "
        f"{measured_at.events:,.0f} events/s. A broker here has 4 cores, of which it uses half. Cores of all processes:"
    )
    yield ""
    yield (
        "| partitions | events/s | ingestion: processes, cores | inference: processes, cores | transactions/s | "
        "partitions written/s | brokers, one copy: cores | three copies: cores | brokers of 4 cores |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for size in SIZES:
        load = workers_for(costs, Load(size, size * _OF_EACH))
        *_, made, wrote = counts(load, BROKER)
        services = [
            f"{workers:,}, {predicted(costs, load, process):.1f}"
            for process, workers in ((INGESTION, load.ingestion), (INFERENCE, load.inference))
        ]
        broker_cores = predicted(costs, load, BROKER)
        yield (
            f"| {size:,} | {load.events:,.0f} | {' | '.join(services)} | {made:,.0f} | {wrote:,.0f} | "
            f"{broker_cores:.1f} | {broker_cores * copies:.1f} | {max(3, math.ceil(broker_cores * copies / 2)):,} |"
        )
    yield from _of_brokers(costs, copies)


def _of_brokers(costs: Costs, copies: float) -> Iterator[str]:
    """A marker request goes to each broker that leads a partition of the transaction, and each costs a request."""
    load = workers_for(costs, Load(SIZES[-1], SIZES[-1] * _OF_EACH))
    *_, made, wrote = counts(load, BROKER)
    request_s = costs[BROKER][TERMS.index("request of a producer")]
    yield from ("", f"### The last line on so many brokers ({load.partitions:,} partitions)", "")
    yield "Three copies. Not measured: one marker request is counted like a request of a producer."
    yield ""
    yield "| brokers | brokers in a transaction | marker requests/s | cores of a broker |"
    yield "|---|---|---|---|"
    for size in SIZES:
        reached = size * (1 - (1 - 1 / size) ** (wrote / made)) if size > 1 else 1.0
        further = (reached - 1) * made
        cores = (predicted(costs, load, BROKER) * copies + further * request_s) / size
        yield f"| {size:,} | {reached:.1f} | {reached * made:,.0f} | {cores:,.2f} |"
