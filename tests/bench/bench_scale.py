"""Measures what a pipeline costs at some loads, checks the model at others, and writes the tables of docs/scale.md.

Each load runs for some seconds on topics of its own; the CPU is that of the broker, of ingestion and of inference. The
command takes about five minutes on a quiet machine.
"""

import argparse
import os
import platform
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.bench_latency import Latency, Paced
from bench.bench_services import HERE, stopped
from bench.scale_model import BROKER, INFERENCE, INGESTION, Load, Point, fitted, predicted
from bench.scale_tables import Measured, written
from freshet.lab import broker
from freshet.operate.broker_record import Endpoint

PAGE: Final = Path("docs/scale.md")
FIT: Final = (
    Load(4, 500, serving=False),
    Load(4, 8000, serving=False),
    Load(4, 0),
    Load(4, 500),
    Load(4, 8000),
    Load(32, 0),
    Load(32, 500),
)
"""Loads that differ in one thing each: events, partitions, services."""
REPLICATED: Final = Load(4, 200)
"""Measured on one broker and on three: so few events that two cores carry three brokers and the services."""
CHECK: Final = (REPLICATED, Load(8, 2000), Load(16, 500), Load(16, 0))
"""Loads that the model has not seen."""
_FULL: Final = 0.9
"""A machine that is so busy measures its own limit and not what a load costs."""
_WARM_UP_S: Final = 2.0
_FIRST_S: Final = 15.0
"""How long topics and brokers are used before anything is measured on them."""


def main() -> None:
    """Measure, fit, check, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each load")
    arguments = parser.parse_args()
    one = broker.up(Path.cwd(), say=print)
    points = [point for some in _by_partitions((*FIT, *CHECK)) for point in measured(one, some, arguments.seconds)]
    fit, check = ([point for load in loads for point in points if point.point.load == load] for loads in (FIT, CHECK))
    costs = fitted([each.point for each in fit])
    three_root = Path(".local/scale").resolve()
    try:
        three = broker.up(three_root, say=print, brokers=3)
        (replicated,) = measured(three, [REPLICATED], arguments.seconds)
    finally:
        broker.wipe(three_root)
    copies = replicated.point.cpu[BROKER] / next(p.point.cpu[BROKER] for p in check if p.point.load == REPLICATED)
    for each in check:
        for process, cores in each.point.cpu.items():
            said = predicted(costs, each.point.load, process)
            print(f"{each.point.load}: {process} {said:.3f} predicted, {cores:.3f} measured")  # noqa: T201
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    PAGE.write_text(written(PAGE.read_text(), costs, fit, check, copies=(REPLICATED, copies), machine=machine))


def _by_partitions(loads: Sequence[Load]) -> list[list[Load]]:
    """Loads that can be measured on the same topics."""
    return [[load for load in loads if load.partitions == count] for count in sorted({at.partitions for at in loads})]


def measured(endpoint: Endpoint, loads: Sequence[Load], seconds: float) -> list[Measured]:
    """All of these loads, on a pipeline with so many partitions as they have."""
    assert endpoint.nodes, "the model is about the broker's CPU, too: use the local broker"
    pids = [node.pid for node in endpoint.nodes if node.pid is not None]
    folder = Path(f".local/scale-pipelines/{loads[0].partitions}").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "pipeline", folder)
    text = (folder / "pipeline.yaml").read_text()
    assert "partitions: 4\n" in text
    (folder / "pipeline.yaml").write_text(text.replace("partitions: 4\n", f"partitions: {loads[0].partitions}\n"))
    place = endpoint.bootstrap_servers, pids, f"scale{time.time_ns() // 1_000_000 % 1_000_000_000}.", folder
    bench = Scaled(*place)
    try:
        bench.measure(Load(loads[0].partitions, 2000), _FIRST_S)  # a JVM that has just begun costs far more
        found = [bench.measure(load, seconds) for load in loads]
        bench.admin.delete([name for name in bench.admin.names() if name.startswith(bench.names.namespace)])
    finally:
        bench.close()
    return found


class Scaled(Latency):
    """The bench's pipeline with any number of partitions."""

    def measure(self, load: Load, seconds: float) -> Measured:
        """CPU of each process under a load, and how many markers a second the services' transactions left."""
        if not load.events:
            return self._told(load, self.at_rest(seconds), 0.0)
        rate = int(load.events)
        paced = Paced(self._bootstrap_servers, self, rate, int(rate * (_WARM_UP_S + seconds)))
        with ExitStack() as held:
            if not load.serving:
                for name in (INGESTION, INFERENCE):
                    held.enter_context(stopped(self.supervisor.pid(name) or 0))
            paced.start()
            time.sleep(_WARM_UP_S)
            before = self._ends()
            cpu = self._cpu_during(lambda: time.sleep(seconds), seconds)
            events, features, predictions = (now - then for now, then in zip(self._ends(), before, strict=True))
            if not load.serving:
                time.sleep(0.5)
        paced.finish()
        self.wait_drained()
        markers = (features + predictions - 2 * events) / seconds if load.serving else 0.0
        if load.serving and markers <= 0:
            raise RuntimeError(f"{load}: services answered {predictions} of {events} events: this is no figure.")
        return self._told(load, cpu, markers)

    def _told(self, load: Load, cpu: dict[str, float], markers: float) -> Measured:
        cores = {name: cpu[f"cpu_{name}"] for name in (BROKER, INGESTION, INFERENCE)}
        point = Point(load, cores if load.serving else {BROKER: cores[BROKER]})
        busy = cpu["bench"] + cpu["others"] + sum(used for name, used in cpu.items() if name.startswith("cpu_"))
        full = busy > _FULL * (os.cpu_count() or 1)
        rest = f"{markers:.0f} markers/s, others {cpu['others']:.2f} cores, {busy:.2f} in all"
        print(f"{load}: {cores}, {rest}", flush=True)  # noqa: T201
        return Measured(point, markers, cpu["others"], full=full)

    def _ends(self) -> tuple[int, ...]:
        """How many records and markers each topic has had."""
        return tuple(
            sum(span.high for span in self.bus.spans(role).values()) for role in ("events", "features", "predictions")
        )


if __name__ == "__main__":
    main()
