"""Latency from producing an event to consuming its prediction, and what the system costs at rest and at each rate.

One ingestion process, one inference worker (logistic regression) and the registry; a producer with linger 5 ms sends
at a steady rate; a read_committed reader of the predictions topic stops the clock. CPU is user and system time of each
process as a share of one core; broker, services, producer and reader share the machine. "bench" is the producer and
the reader, "others" all that has nothing to do with this: where that is more than a few hundredths, the machine was not
quiet, and latencies say more about its queue than about Freshet. Prints a table; writes .local/bench-latency.json.
"""

import argparse
import json
import os
import platform
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from confluent_kafka import Consumer, Producer

from bench.bench_services import HERE, WIDTH, Bench, cpu_s
from freshet.avro import Column, Decoder, Encoder, Strings
from freshet.avro.own_schemas import current_schema
from freshet.lab import broker

_TICK_S = 0.01
_WARM_UP_S = 3.0


def main() -> None:
    """Measure at rest, then at each rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", default="500,2000,5000,20000", help="events per second, with commas")
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    endpoint = broker.up(Path.cwd(), say=print)
    assert endpoint.nodes, "the latency bench looks at the broker's CPU: use the local broker"
    pids = [node.pid for node in endpoint.nodes if node.pid is not None]
    bench = Latency(endpoint.bootstrap_servers, pids, f"latency{int(time.time()) % 1_000_000}.")
    try:
        rows = [bench.at_rest(arguments.seconds)]
        rows += [bench.at_rate(int(rate), arguments.seconds) for rate in arguments.rates.split(",")]
    finally:
        bench.close()
    report(rows)


def report(rows: list[dict[str, float]]) -> None:
    """Print the table and keep it as JSON."""
    processes = [name for name in rows[0] if name.startswith("cpu_")]
    print(f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} cores; CPU in cores")  # noqa: T201
    head = ("events/s", "p50 ms", "p95 ms", "p99 ms", "max ms", "missing", *(name[4:] for name in processes))
    head += ("all", "bench", "others")
    print("".join(f"{title:>13}" for title in head))  # noqa: T201
    for row in rows:
        figures = [row.get(name, float("nan")) for name in ("rate", "p50_ms", "p95_ms", "p99_ms", "max_ms", "missing")]
        cpu = [row[name] for name in processes]
        cpu += [sum(cpu), row["bench"], row["others"]]
        print("".join(f"{f:13.0f}" for f in figures) + "".join(f"{c:13.3f}" for c in cpu))  # noqa: T201
    Path(".local").mkdir(exist_ok=True)
    Path(".local/bench-latency.json").write_text(json.dumps(rows, indent=2) + "\n")


class Latency(Bench):
    """A whole Freshet on the bench pipeline, a paced producer and a reader."""

    def __init__(
        self, bootstrap_servers: str, broker_pids: Sequence[int], namespace: str, pipeline: Path = HERE / "pipeline"
    ) -> None:
        super().__init__(bootstrap_servers, namespace, 0, pipeline)
        self._broker_pids = broker_pids
        self._publish_logreg()
        self.run("ingestion-0")
        self.run("inference-0")
        self.view.wait("a model to be live", lambda view: view.ledger.epochs.live)
        self.wait_answering("inference-0", since_ms=0)

    def at_rest(self, seconds: float) -> dict[str, float]:
        """What nothing costs."""
        time.sleep(_WARM_UP_S)
        return {"rate": 0, **self._cpu_during(lambda: time.sleep(seconds), seconds)}

    def at_rate(self, rate: int, seconds: float) -> dict[str, float]:
        """Latencies of the events after the warm-up, and CPU meanwhile."""
        paced = Paced(self._bootstrap_servers, self, rate, int(rate * (_WARM_UP_S + seconds)))
        paced.start()
        time.sleep(_WARM_UP_S)
        cpu = self._cpu_during(lambda: time.sleep(seconds), seconds)
        latencies_ms = paced.finish()[int(rate * _WARM_UP_S) :]
        seen = latencies_ms[~np.isnan(latencies_ms)]
        quantiles = np.quantile(seen, [0.5, 0.95, 0.99, 1.0]) if seen.size else np.full(4, np.nan)
        names = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
        figures = dict(zip(names, quantiles.tolist(), strict=True))
        return {"rate": rate, **figures, "missing": float(latencies_ms.size - seen.size), **cpu}

    def _cpu_during(self, wait: object, seconds: float) -> dict[str, float]:
        pids = {name: self.supervisor.pid(name) for name in ("registry", "ingestion-0", "inference-0")}
        pids = {**pids, "bench": os.getpid()}

        def spent_s() -> dict[str, float]:
            brokers_s = sum(cpu_s(pid) or 0.0 for pid in self._broker_pids)
            spent = {name: cpu_s(pid) or 0.0 for name, pid in pids.items() if pid is not None}
            return {"broker": brokers_s, **spent, "machine": busy_s()}

        before_s = spent_s()
        assert callable(wait)
        wait()
        cores = {name: (after_s - before_s[name]) / seconds for name, after_s in spent_s().items()}
        machine, bench = cores.pop("machine"), cores.pop("bench")
        figures = {f"cpu_{name}": share for name, share in cores.items()}
        return figures | {"bench": bench, "others": machine - bench - sum(cores.values())}


def busy_s() -> float:
    """Time that all cores of the machine together have worked since it started, in seconds."""
    user, nice, system, _idle, _io_wait, interrupt, soft_interrupt = (
        int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + interrupt + soft_interrupt) / os.sysconf("SC_CLK_TCK")


class Paced:
    """Sends numbered events at a steady rate from one thread and waits for their predictions in another."""

    def __init__(self, bootstrap_servers: str, bench: Bench, rate: int, total: int) -> None:
        self._rate, self._total = rate, total
        self._sent_s = np.full(total, np.nan)
        self._seen_s = np.full(total, np.nan)
        self._run = f"r{rate}-"
        self._topic, self._predictions = bench.names.topic("events"), bench.names.topic("predictions")
        self._encoder = Encoder(bench.schema, bench.event_schema_id)
        self._random = np.random.default_rng(7)
        common = {"bootstrap.servers": bootstrap_servers}
        self._producer = Producer(
            common | {"linger.ms": 5, "partitioner": "murmur2_random", "queue.buffering.max.messages": 500_000}
        )
        self._consumer = Consumer(
            common
            | {
                "group.id": f"{bench.names.namespace}latency{rate}",
                "isolation.level": "read_committed",
                "auto.offset.reset": "latest",
                "enable.auto.commit": False,
                # adds no latency: a broker answers a waiting fetch at the marker of the transaction that gives it rows
                "fetch.wait.max.ms": 500,
            }
        )
        self._all_sent = threading.Event()

    def start(self) -> None:
        """Subscribe, then send from now on."""
        assigned = threading.Event()
        self._consumer.subscribe([self._predictions], on_assign=lambda *_: assigned.set())
        while not assigned.is_set():
            self._consumer.poll(0.1)
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._read)]
        for thread in self._threads:
            thread.start()

    def finish(self) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """Latency of each event in milliseconds, NaN where no prediction came within 15 s of the last send."""
        for thread in self._threads:
            thread.join()
        self._consumer.close()
        latencies_ms: np.ndarray[tuple[int], np.dtype[np.float64]] = (self._seen_s - self._sent_s) * 1000
        return latencies_ms

    def _send(self) -> None:
        began_s, sent = time.perf_counter(), 0
        while sent < self._total:
            due = min(self._total, int((time.perf_counter() - began_s) * self._rate) + 1)
            for key, value in self._events(sent, due):
                self._producer.produce(self._topic, value, key)
            self._sent_s[sent:due] = time.perf_counter()
            sent = due
            self._producer.poll(0)
            time.sleep(_TICK_S if self._rate < 1000 else 0.002)
        self._producer.flush(10)
        self._all_sent.set()

    def _events(self, first: int, end: int) -> Iterator[tuple[bytes, bytes]]:
        if first == end:
            return
        rows = range(first, end)
        entities = Strings.from_list([f"e{row % 2000}" for row in rows])
        columns: dict[str, Column] = {
            "event_id": Strings.from_list([f"{self._run}{row}" for row in rows]),
            "entity": entities,
            "event_time": np.full(len(rows), int(time.time() * 1000)),
            **{f"x{at}": self._random.normal(size=len(rows)) for at in range(WIDTH)},
        }
        yield from zip(entities.tobytes(), self._encoder.encode(columns), strict=True)

    def _read(self) -> None:
        decoder = Decoder(current_schema("Prediction"))
        left, deadline_s = self._total, float("inf")
        while left and time.perf_counter() < deadline_s:
            messages = (
                self._consumer.consume(5000, 0.05)
                if left > 5000 and self._rate > 5000
                else [message for message in [self._consumer.poll(0.1)] if message is not None]
            )
            messages += self._consumer.consume(5000, 0) if messages else []
            now_s = time.perf_counter()
            values = [message.value() for message in messages if message.error() is None]
            if values:
                ids = decoder.decode(values).columns["event_id"]
                assert isinstance(ids, Strings)
                ours = [int(text[len(self._run) :]) for text in ids.tolist() if text.startswith(self._run)]
                self._seen_s[ours] = now_s
                left -= len(ours)
            if self._all_sent.is_set() and deadline_s == float("inf"):
                deadline_s = time.perf_counter() + 15


if __name__ == "__main__":
    main()
