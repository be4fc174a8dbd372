"""Time from a request to its prediction through the gateway (`?wait`), beside the same through Kafka.

The services of bench_latency; first its own producer and reader at the same rate, then callers over HTTP, each with a
connection of its own. A request's clock begins when it was due, so that a slow answer is not hidden by later ones that
had to wait for it. Callers, gateway, services and broker share the machine. In the end every acknowledged event must
lie on the topic.
"""

import argparse
import http.client
import json
import random
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np

from bench.bench_latency import Latency
from bench.bench_services import WIDTH, cpu_s
from bench.cpu_waiting import scheduled
from freshet.avro import Decoder, Strings
from freshet.lab import broker
from freshet.runtime.reading import everything
from support.gateway import OpenGateway, gateway

_WAIT_MS = 10_000
_WARM_UP_S = 3.0


class Callers:
    """Paced requests from many threads, each of which waits for its answer."""

    def __init__(self, door: OpenGateway, rate: int, seconds: float, threads: int) -> None:
        self._host = door.address.removeprefix("http://")
        self._rate, self._total = rate, int(rate * (seconds + _WARM_UP_S))
        self.latencies_ms = np.full(self._total, np.nan)
        self.statuses: Counter[int] = Counter()
        self.acknowledged: set[str] = set()
        self._next, self._lock = 0, threading.Lock()
        self._began_s = time.perf_counter()
        self._threads = [threading.Thread(target=self._call) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Until all are answered."""
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=60)
        while (number := self._take()) < self._total:
            due_s = self._began_s + number / self._rate
            time.sleep(max(0.0, due_s - time.perf_counter()))
            row = {f"x{at}": random.gauss(0, 1) for at in range(WIDTH)}
            body = json.dumps(row | {"event_id": f"http-{number}", "entity": f"e{number % 2000}"})
            path, headers = f"/pipelines/bench/events?wait={_WAIT_MS}", {"Content-Type": "application/json"}
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            told = json.loads(answer.read())
            with self._lock:
                self.statuses[answer.status] += 1
                if answer.status in (200, 202):
                    self.acknowledged.add(told["id"])
            if answer.status == 200:
                self.latencies_ms[number] = (time.perf_counter() - due_s) * 1000
        connection.close()

    def _take(self) -> int:
        with self._lock:
            self._next += 1
            return self._next - 1


def missing(bench: Latency, acknowledged: set[str]) -> int:
    """How many acknowledged events are not on the topic."""
    decoder = Decoder(bench.schema)
    there: set[str] = set()
    for batch in everything(bench.bus, "events"):
        ids = decoder.decode(batch.values).columns["event_id"]
        assert isinstance(ids, Strings)
        there.update(ids.tolist())
    return len(acknowledged - there)


def main() -> None:
    """Measure both ways at one rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=500, help="requests per second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--callers", type=int, default=200, help="connections")
    arguments = parser.parse_args()
    endpoint = broker.up(Path.cwd(), say=print)
    assert endpoint.nodes, "the latency bench looks at the broker's CPU: use the local broker"
    pids = [node.pid for node in endpoint.nodes if node.pid is not None]
    namespace = f"door{int(time.time()) % 1_000_000}."
    bench = Latency(endpoint.bootstrap_servers, pids, namespace)
    try:
        kafka = bench.at_rate(arguments.rate, arguments.seconds)
        door = gateway(bench.supervisor, endpoint.bootstrap_servers, namespace)
        pid = bench.supervisor.pid("gateway")
        assert pid is not None
        before_s, before, began_s = cpu_s(pid) or 0.0, scheduled(pid), time.monotonic()
        callers = Callers(door, arguments.rate, arguments.seconds, arguments.callers)
        callers.join()
        took_s, gateway_s = time.monotonic() - began_s, (cpu_s(pid) or 0.0) - before_s
        waited = scheduled(pid).since(before)
        lost = missing(bench, callers.acknowledged)
    finally:
        bench.close()
    seen = callers.latencies_ms[int(arguments.rate * _WARM_UP_S) :]
    p50_ms, p99_ms, max_ms = np.nanquantile(seen, [0.5, 0.99, 1.0]).tolist()
    told = f"{arguments.rate} a second for {arguments.seconds:.0f} s"
    print(f"{told}, through Kafka:       p50 {kafka['p50_ms']:.0f} ms, p99 {kafka['p99_ms']:.0f} ms, "  # noqa: T201
          f"max {kafka['max_ms']:.0f} ms; others took {kafka['others']:.2f} cores")  # fmt: skip
    print(f"{told}, through the gateway: p50 {p50_ms:.0f} ms, p99 {p99_ms:.0f} ms, max {max_ms:.0f} ms")  # noqa: T201
    answered = sum(callers.statuses.values())
    print(f"{answered / took_s:.0f} requests a second; the gateway took {gateway_s / answered * 1000:.2f} ms CPU each")  # noqa: T201
    print(  # noqa: T201
        f"its threads waited {waited.waited_s / answered * 1000:.2f} ms a request for a CPU: "
        f"{waited.share_waited:.0%} of the time in which they could have run"
    )
    print(f"answers by status: {dict(callers.statuses)}; acknowledged and not on the topic: {lost}")  # noqa: T201


if __name__ == "__main__":
    main()
