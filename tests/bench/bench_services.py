"""CPU per event of each service, against the do-nothing loop, on one broker in one run.

Prints a table; writes .local/bench.json. A worker joins an empty topic and is stopped (SIGSTOP) while the topic is
filled; then it goes on, and its own CPU time (user + system, all threads) is read when it has committed everything.
Wall time belongs to all processes on the machine together and is not reported.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from freshet.contracts.codec import Column, Encoder, Ragged, Strings
from freshet.contracts.schemas import current_schema, schema_id
from freshet.contracts.topic_id import UNKNOWN_BYTES
from freshet.local import broker
from freshet.local.load import BATCH_ROWS, Events
from freshet.local.stage import Stage
from freshet.models.pack import pack
from freshet.runtime.bus import Send

HERE = Path(__file__).parent
WIDTH = 8


def main() -> None:
    """Run all variants in turn, several times, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    endpoint = broker.up(Path.cwd(), say=print)
    variants: dict[str, Callable[[Bench], float]] = {
        "do_nothing": lambda bench: bench.do_nothing(transactions=False),
        "do_nothing_transactions": lambda bench: bench.do_nothing(transactions=True),
        "ingestion": lambda bench: bench.service("ingestion-0", "ingestion", "events", bench.fill_events),
        "inference_logreg": lambda bench: bench.service("inference-0", "inference", "features", bench.fill_features),
    }
    measured: dict[str, list[float]] = {name: [] for name in variants}
    for round_ in range(arguments.rounds):
        for name, variant in variants.items():
            namespace = f"bench{int(time.time()) % 1_000_000}.{round_}."
            bench = Bench(endpoint.bootstrap_servers, namespace, arguments.events)
            try:
                cpu_us = variant(bench)
            finally:
                bench.close()
            measured[name].append(cpu_us)
            print(f"round {round_ + 1}: {name:26} {cpu_us:6.2f} µs", flush=True)  # noqa: T201
    report(measured, arguments.events)


def report(measured: dict[str, list[float]], events: int) -> None:
    """Print medians and ratios to the do-nothing loop in the same transactions, and keep them as JSON."""
    cpu_us = {name: round(statistics.median(values), 3) for name, values in measured.items()}
    base = cpu_us["do_nothing_transactions"]
    ratio = {name: round(base / cpu_us[name], 3) for name in ("inference_logreg", "ingestion")}
    rounds, machine = len(measured["ingestion"]), platform.processor() or platform.machine()
    print(f"\n{events} events, {WIDTH} features, batches up to 5,000, median of {rounds}")  # noqa: T201
    print(f"{machine}, {os.cpu_count()} cores")  # noqa: T201
    print(f"{'':28}{'µs CPU/event':>14}{'min':>8}{'max':>8}{'of do-nothing':>15}")  # noqa: T201
    for name, values in measured.items():
        share = base / cpu_us[name]
        print(f"{name:28}{cpu_us[name]:14.2f}{min(values):8.2f}{max(values):8.2f}{share:15.2f}")  # noqa: T201
    Path(".local").mkdir(exist_ok=True)
    Path(".local/bench.json").write_text(json.dumps({"cpu_us": cpu_us, "ratio": ratio}, indent=2) + "\n")


class Bench(Stage):
    """A pipeline of eight numbers on topics of its own, made anew for every measurement."""

    def __init__(self, bootstrap_servers: str, namespace: str, events: int) -> None:
        super().__init__(bootstrap_servers, namespace, HERE / "pipeline", Path(".local/logs/bench"), workers=1)
        self._bootstrap_servers = bootstrap_servers
        self._events = events
        self._random = np.random.default_rng(7)
        self.apply()

    def do_nothing(self, *, transactions: bool) -> float:
        """Copy feature vectors to the predictions topic."""
        command = [sys.executable, str(HERE / "do_nothing.py"), "--bootstrap", self._bootstrap_servers]
        command += ["--namespace", self.names.namespace, "--group", "copy", "--source", "features"]
        command += ["--target", "predictions", "--total", str(self._events)]
        command += ["--transactions"] if transactions else []
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with stopped(process.pid):
                self.fill_features()
            before_s = cpu_s(process.pid)
            while (after_s := cpu_s(process.pid)) is not None and process.poll() is None:
                last_s = after_s
                time.sleep(0.01)
        return (last_s - (before_s or 0.0)) / self._events * 1e6

    def service(self, name: str, service: str, role: str, fill: Callable[[], None]) -> float:
        """Let one real service process answer a full topic."""
        if service == "inference":
            self._publish_logreg()
        self.run(name)
        self._warm_up(service, role, fill)
        pid = self.supervisor.pid(name)
        assert pid is not None
        with stopped(pid):
            fill()
        before_s = cpu_s(pid) or 0.0
        while self.unread(service, role):
            time.sleep(0.05)
        return ((cpu_s(pid) or 0.0) - before_s) / self._events * 1e6

    def _warm_up(self, service: str, role: str, fill: Callable[[], None]) -> None:
        events, self._events = self._events, 20 * BATCH_ROWS
        fill()
        self.view.wait(f"{service} to answer {role}", lambda _: self.unread(service, role) == 0 or None)
        self._events = events

    def _publish_logreg(self) -> None:
        self.run("registry")
        rows = self._random.normal(size=(1000, WIDTH)).astype(np.float32)
        model = LogisticRegression().fit(rows, np.where(rows[:, 0] > 0, "yes", "no"))
        bundle = pack(model, rows, self.spec).bundle
        self.offer(bundle.data, bundle.manifest)

    def fill_events(self) -> None:
        """Fill the events topic."""
        load = self.load()
        for _ in load.publish(self._event_batches()):
            pass

    def _event_batches(self) -> Iterator[Events]:
        for first in range(0, self._events, BATCH_ROWS):
            numbers = {f"x{at}": self._random.normal(size=BATCH_ROWS) for at in range(WIDTH)}
            yield Events({**_ids(first), **numbers})

    def fill_features(self) -> None:
        """Fill the features topic."""
        encoder = Encoder(current_schema("FeatureVector"), schema_id("FeatureVector"))
        for first in range(0, self._events, BATCH_ROWS):
            ids = _ids(first)
            columns: dict[str, Column] = {
                **ids,
                "event_time": np.arange(first, first + BATCH_ROWS),
                "spec_version": np.ones(BATCH_ROWS, np.int32),
                "values": Ragged.from_matrix(self._random.normal(size=(BATCH_ROWS, WIDTH)).astype(np.float32)),
                "source_partition": np.zeros(BATCH_ROWS, np.int32),
                "source_offset": np.arange(first, first + BATCH_ROWS),
                "source_topic": Strings.repeat(UNKNOWN_BYTES, BATCH_ROWS),
            }
            self.producer.send(Send("features", ids["entity"].tobytes(), encoder.encode(columns)))


def _ids(first: int) -> dict[str, Strings]:
    rows = range(first, first + BATCH_ROWS)
    return {
        "event_id": Strings.from_list([f"0b1e7c1a-0000-4000-8000-{row:012d}" for row in rows]),
        "entity": Strings.from_list([f"e{row % 2000}" for row in rows]),
    }


def cpu_s(pid: int) -> float | None:
    """User and system time of a process so far, in seconds; None once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
