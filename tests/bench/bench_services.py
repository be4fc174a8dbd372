"""CPU per event of each service, against the do-nothing loop, on one broker in one run.

Prints a table; writes .local/bench.json. A worker first answers some events, then is stopped (SIGSTOP) while its topic
is filled; it goes on, and its own CPU time is read when a read_committed reader has seen an answer for each record.
Wall time belongs to all processes on the machine together and is not reported.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from bench.rounds import AT_LEAST_ONCE, EXACTLY_ONCE, NotRunError, Variant, compare
from freshet.avro import Column, Encoder, Ragged, Strings
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.topic_id import UNKNOWN_BYTES
from freshet.lab import broker
from freshet.lab.local_deployment import LocalDeployment
from freshet.models.bundle import Bundle
from freshet.models.packing import pack
from freshet.operate.tables.events import BATCH_ROWS, Events
from freshet.runtime.bus.protocol import Send

HERE = Path(__file__).parent
WIDTH = 8
_SECONDS_MAX = 120.0


def main() -> None:
    """Run all variants in turn, several times, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    bootstrap_servers = broker.up(Path.cwd(), say=print).bootstrap_servers
    variants = [
        variant(bootstrap_servers, arguments.events, *of) for of in (DO_NOTHING, DO_NOTHING_PLAIN, INGESTION, INFERENCE)
    ]
    title = f"{WIDTH} features, 4 partitions, batches up to 5,000"
    complete = compare(title, variants, arguments.rounds, Path(".local/bench.json"))
    sys.exit(0 if complete else 1)


def variant(
    bootstrap_servers: str, events: int, name: str, guarantee: str, measure: Callable[["Bench"], float]
) -> Variant:
    """Something to measure on topics of its own, made anew each time."""

    def on_new_topics() -> float:
        bench = Bench(bootstrap_servers, f"bench{time.time_ns() // 1_000_000 % 1_000_000_000}.", events)
        try:
            return measure(bench)
        finally:
            bench.close()

    return Variant(name, guarantee, events, on_new_topics)


class Bench(LocalDeployment):
    """A pipeline of eight numbers on topics of its own."""

    def __init__(self, bootstrap_servers: str, namespace: str, events: int, pipeline: Path = HERE / "pipeline") -> None:
        super().__init__(bootstrap_servers, namespace, pipeline, Path(".local/logs/bench"), workers=1)
        self._bootstrap_servers = bootstrap_servers
        self._events = events
        self._random = np.random.default_rng(7)
        self.apply()

    def measure_copying(self, *options: str) -> float:
        """Copy feature vectors to the predictions topic."""
        return self.measure_program([sys.executable, str(HERE / "do_nothing.py")], *options)

    def measure_ingestion(self) -> float:
        """The real service makes feature vectors of events."""
        self.run("ingestion-0")
        return self._cpu_us("ingestion-0", self.fill_events, "features")

    def measure_inference(self) -> float:
        """The real service answers feature vectors with logistic regression."""
        self._publish_logreg()
        self.run("inference-0")
        return self._cpu_us("inference-0", self.fill_features, "predictions")

    def measure_program(self, command: Sequence[str], *arguments: str) -> float:
        """A program that answers each feature vector with a prediction until SIGTERM.

        Its arguments are bootstrap servers, source topic, target topic and a name for its group; then ours.
        """
        topics = (self.names.topic("features"), self.names.topic("predictions"))
        group = f"{self.names.namespace}program"
        self.supervisor.start("program", [*command, self._bootstrap_servers, *topics, group, *arguments], {})
        return self._cpu_us("program", self.fill_features, "predictions")

    def _cpu_us(self, name: str, fill: Callable[[int], None], target: str) -> float:
        """CPU per event of a running process that writes one record to `target` for each it is given."""
        warm_up = min(20 * BATCH_ROWS, self._events // 2)
        fill(warm_up)
        self._await_answers(name, target, warm_up)
        pid = self.supervisor.pid(name)
        assert pid is not None
        with stopped(pid):
            fill(self._events)
            before_s = cpu_s(pid)
        self._await_answers(name, target, warm_up + self._events)
        after_s = cpu_s(pid)
        if before_s is None or after_s is None or self.supervisor.restarts(name):
            raise NotRunError(f"it ended; its words are in .local/logs/bench/{name}.log")
        return (after_s - before_s) / self._events * 1e6

    def _await_answers(self, name: str, target: str, records: int) -> None:
        deadline_s = time.monotonic() + _SECONDS_MAX
        reader, seen = self.bus.reader([target]), 0
        try:
            while seen < records:
                seen += sum(map(len, reader.read(10_000, 0.05)))
                if time.monotonic() > deadline_s or self.supervisor.restarts(name) > 1:
                    log = f".local/logs/bench/{name}.log"
                    raise NotRunError(f"{seen} of {records} records answered in {_SECONDS_MAX:.0f} s; see {log}")
        finally:
            reader.close()

    def _publish_logreg(self) -> None:
        self.run("registry")
        bundle = self.logreg()
        self.offer(bundle.data, bundle.manifest)

    def logreg(self) -> Bundle:
        """A logistic regression of the eight numbers."""
        rows = self._random.normal(size=(1000, WIDTH)).astype(np.float32)
        model = LogisticRegression().fit(rows, np.where(rows[:, 0] > 0, "yes", "no"))
        return pack(model, rows, self.spec).bundle

    def fill_events(self, rows: int) -> None:
        """Write so many events."""
        for _ in self.load().publish(self._event_batches(rows)):
            pass

    def _event_batches(self, rows: int) -> Iterator[Events]:
        for some in _batches(rows):
            numbers = {f"x{at}": self._random.normal(size=len(some)) for at in range(WIDTH)}
            yield Events({**_ids(some), **numbers})

    def fill_features(self, rows: int) -> None:
        """Write so many feature vectors."""
        encoder = Encoder(current_schema("FeatureVector"), schema_id("FeatureVector"))
        for some in _batches(rows):
            ids = _ids(some)
            columns: dict[str, Column] = {
                **ids,
                "event_time": np.arange(some.start, some.stop),
                "spec_version": np.ones(len(some), np.int32),
                "values": Ragged.from_matrix(self._random.normal(size=(len(some), WIDTH)).astype(np.float32)),
                "source_partition": np.zeros(len(some), np.int32),
                "source_offset": np.arange(some.start, some.stop),
                "source_topic": Strings.repeat(UNKNOWN_BYTES, len(some)),
            }
            self.producer.send(Send("features", ids["entity"].tobytes(), encoder.encode(columns)))


DO_NOTHING = ("do-nothing, in transactions", EXACTLY_ONCE, lambda bench: bench.measure_copying("--transactions"))
DO_NOTHING_PLAIN = ("do-nothing, plain commits", AT_LEAST_ONCE, lambda bench: bench.measure_copying())
INGESTION = ("ingestion", EXACTLY_ONCE, Bench.measure_ingestion)
INFERENCE = ("inference, logistic regression", EXACTLY_ONCE, Bench.measure_inference)


def _batches(rows: int) -> Iterator[range]:
    for first in range(0, rows, BATCH_ROWS):
        yield range(first, min(first + BATCH_ROWS, rows))


def _ids(rows: range) -> dict[str, Strings]:
    return {
        "event_id": Strings.from_list([f"0b1e7c1a-0000-4000-8000-{row:012d}" for row in rows]),
        "entity": Strings.from_list([f"e{row % 2000}" for row in rows]),
    }


def cpu_s(pid: int) -> float | None:
    """User and system time so far of a process and of its living children, in seconds; None once it is gone."""
    try:
        own_s = time.clock_gettime((~pid << 3) | 2)  # how Linux names the CPU clock of another process
    except OSError:
        return None
    return own_s + sum(cpu_s(child) or 0.0 for child in _children(pid))


def _children(pid: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            _state, parent, *_ = stat.read_text().rpartition(")")[2].split()
            if int(parent) == pid:
                yield int(stat.parent.name)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Keep a process from running."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


if __name__ == "__main__":
    main()
