"""What a day of history, and 10,000 predictions a second, cost the console.

Writes a day as the topics hold it then: evaluations, decisions, alarms, trainings, commands, rollouts with their
cut-overs, two hours of beats (older ones are compacted), and many predictions. Starts the console on it and on an empty
pipeline beside it; then pages are asked for while nothing comes, and while predictions and beats come. Broker, console,
producer and browser stand-in share the machine.
"""

import argparse
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.bench_services import cpu_s
from freshet.avro import Column, Encoder, Ragged, Strings
from freshet.avro.control import encode
from freshet.avro.own_schemas import current_schema, schema_id
from freshet.contracts.messages import Message
from freshet.contracts.shipped import pipelines_dir
from freshet.lab import broker
from freshet.lab.local_deployment import LocalDeployment
from freshet.runtime.bus.protocol import Send
from support.console import ConsoleWorld, alarm, evaluation, training

_LOANS = pipelines_dir() / "loans"
_HOUR_MS = 3_600_000
_SERVICES = ("ingestion", "inference", "drift-join", "drift-evaluate", "drift-detect", "registry", "retraining")
_WORKERS = 12
_BEATS = 2 * 1200 * _WORKERS
_BATCH = 2_000
_TICK_S = 0.1


class Told(ConsoleWorld):
    """Facts of the world in memory as records."""

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms=now_ms)
        self.records: list[tuple[str, str, Message]] = []

    def tell(self, role: str, key: str, message: Message | None, at_ms: int | None = None) -> None:
        """Keep it; nothing is folded here."""
        assert message is not None
        self.records.append((role, key, message))


def a_day(now_ms: int, evaluations: int) -> Iterator[tuple[str, str, bytes]]:
    """Role, key and value of every control record of the day, in order."""
    world = Told(now_ms)
    for epoch in range(1, 201):
        world.admit(f"1.{epoch}.0", metrics={"accuracy": 0.9})
        world.live(epoch, f"1.{epoch}.0")
        for partition in range(6):
            world.cut(epoch, partition)
        world.ask("promote", f"c{epoch}", age_ms=_HOUR_MS)
        world.decide(f"c{epoch}")
        world.tell("alarms", "loans", alarm(f"a{epoch}", now_ms - 86_400_000 + epoch * 400_000))
        world.tell("trainings", "loans", training(f"t{epoch}", now_ms - 86_400_000 + epoch * 400_000))
    for number in range(evaluations):
        series = ("served", "version:1.200.0", "baseline:majority")[number % 3]
        at_ms = now_ms - 86_400_000 + number * 86_400_000 // evaluations
        world.tell("evaluations", "loans", evaluation(series, at_ms, 228, first_row=number * 250))
    for role, key, message in world.records:
        yield role, key, encode(message)
    beats = Told(now_ms)
    for number in range(_WORKERS):
        beats.beat(_SERVICES[number % len(_SERVICES)], slot=str(number))
    told = [(role, key, encode(message)) for role, key, message in beats.records]
    for number in range(_BEATS):
        yield told[number % _WORKERS]


def predictions(count: int) -> list[bytes]:
    """Records of predictions, all different in their ids."""
    whole, number = np.arange(count, dtype=np.int64), np.arange(count, dtype=np.int32)
    columns: dict[str, Column] = {
        "event_id": Strings.from_list([f"5482792b-2aac-4bfa-a016-{at:012d}" for at in range(count)]),
        "entity": Strings.from_list([f"applicant-{at % 2000}" for at in range(count)]),
        **{name: Strings.repeat(text, count) for name, text in (("label", "approved"), ("version", "1.200.0"))},
        **dict.fromkeys(("event_time", "epoch", "features_offset", "source_offset"), whole),
        **dict.fromkeys(("fallback", "arm", "features_partition", "source_partition"), number % 6),
        "scores": Ragged(np.full(2 * count, 0.5, np.float32), np.full(count, 2)),
        **dict.fromkeys(("features_topic", "source_topic"), Strings.repeat(bytes(16), count)),
    }
    return Encoder(current_schema("Prediction"), schema_id("Prediction")).encode(columns)


class Looked:
    """A console as a process, and how long it takes to answer."""

    def __init__(self, stage: LocalDeployment) -> None:
        self._stage, began_s = stage, time.monotonic()
        opened = stage.open_console()
        assert opened is not None
        self._address = opened.address
        pid = stage.supervisor.pid("console")
        assert pid is not None
        self.pid = pid
        while True:
            try:
                self.get("/ready")
                break
            except OSError:
                time.sleep(0.05)
        self.page_ms()
        self.start_s, self.start_cpu_s = time.monotonic() - began_s, cpu_s(pid) or 0.0

    def get(self, path: str) -> bytes:
        """The answer's body."""
        with urllib.request.urlopen(self._address + path, timeout=30) as answer:
            return bytes(answer.read())

    def page_ms(self) -> float:
        """How long the pipeline's page takes."""
        began_s = time.perf_counter()
        assert b"loans" in self.get("/pipelines/loans")
        return (time.perf_counter() - began_s) * 1000

    def figure(self, name: str) -> float:
        """One of its metrics."""
        lines = self.get("/metrics").decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"freshet_console_{name}"))

    def memory_mb(self) -> float:
        """What it holds."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def watch(self, seconds: float) -> str:
        """Pages twice a second, with one open page that follows; how long they took, how old they were, and the CPU."""
        following = threading.Thread(target=self._follow, args=(seconds,))
        following.start()
        before_s, began_s = cpu_s(self.pid) or 0.0, time.monotonic()
        pages, builds, ages = [], [], []
        while time.monotonic() < began_s + seconds:
            pages.append(self.page_ms())
            builds.append(self.figure("build_seconds") * 1000)
            ages.append(self.figure("snapshot_age_seconds"))
            time.sleep(0.5)
        cores = ((cpu_s(self.pid) or 0.0) - before_s) / (time.monotonic() - began_s)
        following.join()
        p50_ms, p99_ms = np.quantile(pages, [0.5, 0.99]).tolist()
        return (
            f"page p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms; made in at most {max(builds):.0f} ms, at most "
            f"{max(ages):.1f} s old; {cores:.2f} cores, {self.memory_mb():.0f} MB"
        )

    def _follow(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        with urllib.request.urlopen(f"{self._address}/pipelines/loans/stream", timeout=30) as stream:
            while time.monotonic() < until_s:
                stream.readline()

    def close(self) -> None:
        """End it."""
        self._stage.supervisor.stop("console")


def write(stage: LocalDeployment, records: Iterator[tuple[str, str, bytes]]) -> int:
    """Send them in their order, topic by topic; how many there were."""
    by_role: dict[str, tuple[list[bytes], list[bytes]]] = {}
    for role, key, value in records:
        keys, values = by_role.setdefault(role, ([], []))
        keys.append(key.encode())
        values.append(value)
    for role, (keys, values) in by_role.items():
        for first in range(0, len(keys), _BATCH):
            part = slice(first, first + _BATCH)
            stage.producer.send(Send(role, [*keys[part]], values[part], [0] * len(keys[part])), 60.0)
    return sum(len(keys) for keys, _ in by_role.values())


def send_predictions(stage: LocalDeployment, values: list[bytes]) -> None:
    """Over all six partitions."""
    partitions = [at % 6 for at in range(len(values))]
    stage.producer.send(Send("predictions", [b"k"] * len(values), values, partitions), 60.0)


def flood(stage: LocalDeployment, rate: int, values: list[bytes], stop: threading.Event) -> Callable[[], int]:
    """Send predictions at this rate until told to stop; what it returns says how many were sent so far."""
    sent, size = [0], round(rate * _TICK_S)

    def send() -> None:
        began_s = time.monotonic()
        while not stop.is_set():
            first = sent[0] % (len(values) - size)
            send_predictions(stage, values[first : first + size])
            sent[0] += size
            stop.wait(max(0.0, began_s + sent[0] / rate - time.monotonic()))

    threading.Thread(target=send, daemon=True).start()
    return lambda: sent[0]


def main() -> None:
    """Measure the start on nothing and on a day, then pages at rest and under load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=int, default=1_000_000, help="on their topic before the start")
    parser.add_argument("--evaluations", type=int, default=200_000, help="of the day")
    parser.add_argument("--rate", type=int, default=10_000, help="predictions a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    servers, values = broker.up(Path.cwd(), say=print).bootstrap_servers, predictions(100_000)
    for history in (False, True):
        namespace = f"console{int(time.time()) % 1_000_000}."
        with TemporaryDirectory() as logs, LocalDeployment(servers, namespace, _LOANS, Path(logs)) as stage:
            stage.apply()
            measured(stage, values, asked, history=history)


def measured(stage: LocalDeployment, values: list[bytes], asked: argparse.Namespace, *, history: bool) -> None:
    """One console, on a day of history or on nothing."""
    what = "nothing"
    if history:
        count = write(stage, a_day(time.time_ns() // 1_000_000, asked.evaluations))
        for first in range(0, asked.predictions, _BATCH):
            send_predictions(stage, values[first % len(values) :][:_BATCH])
        what = f"{count:,} control records and {asked.predictions:,} predictions"
    looked = Looked(stage)
    print(f"start on {what}: whole page after {looked.start_s:.1f} s, {looked.start_cpu_s:.1f} s of CPU")  # noqa: T201
    print(f"at rest: {looked.watch(asked.seconds)}")  # noqa: T201
    if history:
        stop, began_s = threading.Event(), time.monotonic()
        sent = flood(stage, asked.rate, values, stop)
        told = looked.watch(asked.seconds)
        rate = sent() / (time.monotonic() - began_s)
        stop.set()
        print(f"with {rate:,.0f} predictions a second: {told}")  # noqa: T201
    looked.close()


if __name__ == "__main__":
    main()
