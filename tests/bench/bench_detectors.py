"""CPU of each detector and of the fold around them, in µs per row, by how many rows a record has."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from freshet.avro.control import decode, encode
from freshet.contracts.messages import Minute, Outcomes
from freshet.detectors.detector import Detector
from freshet.detectors.observing import LogRecord, ObservingState, observe
from freshet.detectors.watch import Watch, WatchState
from freshet.pipeline.catalogue import detectors
from support.labelled_log import PIPELINE, START_MS, Log, bernoulli, rows

_ROWS = 100_000
_BATCH = 64
_KINDS = ("labels", "adwin", "promise")
_PROMISES = {"v1": 0.2}


def log(size: int) -> Sequence[LogRecord]:
    """Records of so many rows each, with 20 features."""
    made, wrong = Log(partitions=6), bernoulli(1, _ROWS, 0.2)
    for at in range(0, _ROWS, size):
        now_ms = START_MS + at
        values = np.zeros((size, 20), np.float32)
        minute = Minute(start_ms=now_ms // 60_000 * 60_000, predictions=size, labelled=size)
        made.append(rows(wrong[at : at + size], first=at, values=values), at_ms=now_ms, minutes=[minute])
    return made.records


def us_per_row(work: Callable[[], object]) -> float:
    """CPU of all rows, divided."""
    began_s = time.process_time()
    work()
    return (time.process_time() - began_s) / _ROWS * 1e6


def _alone(detector: Detector, batches: Sequence[Sequence[LogRecord]]) -> float:
    state, seen = ObservingState(), []
    for batch in batches:
        state, observed, _ = observe(state, batch, _PROMISES)
        seen.append(observed)

    def work() -> None:
        own = detector.begin(0)
        for observed in seen:
            own, _ = detector.rows(own, observed)

    return us_per_row(work)


def _decoded(records: Sequence[LogRecord]) -> float:
    values = [encode(one.record) for one in records]

    def work() -> None:
        for value in values:
            assert isinstance(decode("outcomes", value), Outcomes)

    return us_per_row(work)


def _folded(parts: Sequence[Detector], batches: Sequence[Sequence[LogRecord]]) -> float:
    watch = Watch(PIPELINE, {1: parts}, _PROMISES)

    def work() -> None:
        state = WatchState()
        for batch in batches:
            state, _ = watch.fold(state, batch)

    return us_per_row(work)


def main() -> None:
    """Print a table."""
    parts = [detectors().find(kind)() for kind in _KINDS]
    for part in parts:
        _alone(part, [log(1000)[:1]])  # imports
    print("µs per row; rows in a record, 64 records in a batch")  # noqa: T201
    print(f"{'rows':>6} {'decode':>8}" + "".join(f" {kind:>8}" for kind in _KINDS) + f" {'fold of all':>12}")  # noqa: T201
    for size in (10, 100, 1000):
        records = log(size)
        batches = [records[at : at + _BATCH] for at in range(0, len(records), _BATCH)]
        alone = "".join(f" {_alone(part, batches):8.2f}" for part in parts)
        print(f"{size:6} {_decoded(records):8.2f}{alone} {_folded(parts, batches):12.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
