"""Detection of drift on both engines, over one labelled log on a real Kafka: CPU a row and a record, and at rest.

CPU of the whole worker's process, start-up left out. The log is the same for both, in transactions of up to three
records; each round begins as if detection had never run. Arguments: rows of a record.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from freshet.lab import broker
from freshet.runtime.data_loop import DataLoop
from support.detect_engines import WatchedLog

_RECORDS: Final = 600
_ROUNDS: Final = 3
_REST_S: Final = 5.0
_ENGINES: Final = ("loop", "faust")


def cpu_s(work: Callable[[], object]) -> float:
    """CPU of this process while it works."""
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def rest(worker: DataLoop) -> None:
    """Nothing comes."""
    until_s = time.monotonic() + _REST_S
    while time.monotonic() < until_s:
        worker.step(0.1)


def measure(log: WatchedLog, engine: str) -> tuple[float, float]:
    """CPU seconds for the whole log, and the share of a core at rest."""
    worker = log.worker(engine)
    while not worker.owned:
        worker.step(0.1)

    def drain() -> None:
        answered = 0
        while answered < _RECORDS:
            answered += worker.step(0.1)

    busy_s, rest_s = cpu_s(drain), cpu_s(lambda: rest(worker))
    worker.close()
    log.forget_what_was_said()
    return busy_s, rest_s / _REST_S


def compare(size: int) -> None:
    """Print both engines side by side."""
    servers = broker.up(Path.cwd(), say=print).bootstrap_servers
    with tempfile.TemporaryDirectory() as folder:
        log = WatchedLog(servers, f"bench{time.time_ns()}.", Path(folder))
        log.grow(_RECORDS * size, 0.2, size=size)
        found = {engine: list[tuple[float, float]]() for engine in _ENGINES}
        for _ in range(_ROUNDS):
            for engine in _ENGINES:
                found[engine].append(measure(log, engine))
    print(f"{_RECORDS} records of {size} rows, median of {_ROUNDS} rounds")  # noqa: T201
    for engine, rounds in found.items():
        busy_s, share = (statistics.median(each) for each in zip(*rounds, strict=True))
        row_us, record_ms = 1e6 * busy_s / (_RECORDS * size), 1e3 * busy_s / _RECORDS
        print(f"{engine:>8}   {row_us:7.2f} µs a row   {record_ms:6.2f} ms a record   {share:6.2%} at rest")  # noqa: T201


if __name__ == "__main__":
    for each in [int(argument) for argument in sys.argv[1:]] or [50, 1000]:
        compare(each)
