"""What reading a data set costs, by how many rows a record has; and what a whole training costs, by trainer.

CPU from the log's bytes to rows that a trainer takes: twelve features, two classes, one label of a hundred corrected.
CPU of the child that trains on 20,000 rows of three features, in a process of its own, imports included, and forked
from one that has them, as all but the first training of a service are. Kafka left out. Arguments: numbers of
rows of a record.
"""

import sys
import time
from contextlib import closing

import numpy as np

from freshet.avro.control import encode
from freshet.outcomes.log_rows import stretch_of
from freshet.outcomes.outcome_records import outcomes_of
from freshet.outcomes.outcome_rows import FIRST, REVISED
from freshet.retraining.data_set import data_set
from freshet.retraining.training_run import train, training_server
from support.labelled import NEVER, Log, learnable, records_of
from support.outcomes import record_of, rows_of

_ROWS = 400_000
_NAMES = tuple(f"feature_{at}" for at in range(12))
_CLASSES = ("no", "yes")


def log_of(size: int) -> list[bytes]:
    """Records of so many rows each."""
    draw = np.random.default_rng(0)
    values = []
    for begin in range(0, _ROWS, size):
        count = min(size, _ROWS - begin)
        at = begin + np.arange(count)
        revised = (at % 100 == 99) & (np.arange(count) > 0)
        rows = rows_of(
            count,
            prediction_offset=at - revised,
            predicted_ms=at,
            labelled_ms=at + 20_000,
            label=draw.integers(0, 2, count),
            flags=np.where(revised, REVISED, FIRST),
            values=draw.random((count, len(_NAMES))).astype(np.float32),
        )
        values.append(encode(record_of(rows, first_row=begin)))
    return values


def measure(size: int) -> float:
    """CPU of a row in µs."""
    values, cut = log_of(size), _ROWS * 4 // 5
    began = time.process_time()
    records = [outcomes_of("p", value) for value in values]
    log = stretch_of(records, _ROWS, width=len(_NAMES), classes=2)
    found = data_set(log, 0, cut, _ROWS, names=_NAMES, classes=_CLASSES)
    spent = time.process_time() - began
    assert 0 < len(found.holdout) < len(found.training) < cut
    return 1e6 * spent / _ROWS


if __name__ == "__main__":
    for each in [int(argument) for argument in sys.argv[1:]] or [25, 250, 1000, 5000]:
        row_us = measure(each)
        print(f"{each:>6,} rows a record   {row_us:7.2f} µs a row   {1e6 / row_us:>12,.0f} rows/s/core")  # noqa: T201
    given = Log(*records_of(learnable(25_000), 1000))
    with closing(training_server()) as server:
        for kind in ("logistic-regression", "lightgbm", "hist-gradient-boosting"):
            job = given.job(20_000, trainer=kind)
            started, forked = (train(job, given.bus, NEVER, server=each).cpu_ms for each in (None, server))
            print(f"{kind:>24}   {started:>6,} ms of CPU a training, {forked:,} after the first one")  # noqa: T201
