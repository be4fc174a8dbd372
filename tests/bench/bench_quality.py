"""What evaluating the labelled log costs: CPU of a row, by how many rows a record has.

Two classes, one version, two slices, two baselines; labels come twenty seconds after predictions. Arguments: numbers of
rows of a record.
"""

import sys
import time

import numpy as np

from freshet.contracts.messages import Outcomes
from freshet.outcomes.outcome_rows import FIRST
from freshet.quality.fold import first_state, steps
from freshet.quality.setting import SliceRange
from freshet.quality.state_bytes import to_bytes
from support.outcomes import minutes_of, record_of, rows_of, setting

_ROWS = 200_000
_BATCH = 64
_SETTINGS = {1: setting(slices=[SliceRange("low", 0, -np.inf, 0.3), SliceRange("high", 1, 0.9, np.inf)])}


def log_of(size: int) -> list[Outcomes]:
    """Records of so many rows each."""
    rng = np.random.default_rng(0)
    records = []
    for begin in range(0, _ROWS, size):
        count = min(size, _ROWS - begin)
        predicted = begin + np.arange(count)
        score = rng.random((count, 1)).astype(np.float32)
        rows = rows_of(
            count,
            predicted_ms=predicted,
            labelled_ms=predicted + 20_000,
            label=rng.integers(0, 2, count),
            answer=(score[:, 0] > 0.5).astype(np.int64),
            scores=np.hstack([1 - score, score]),
            flags=FIRST,
            values=rng.random((count, 2)).astype(np.float32),
        )
        records.append(record_of(rows, first_row=begin, minutes=minutes_of(rows)))
    return records


def measure(size: int) -> tuple[float, int]:
    """CPU of a row in µs, and bytes of the state at the end."""
    records, state, said = log_of(size), first_state(), 0
    began = time.process_time()
    for at in range(0, len(records), _BATCH):
        state, more = steps(state, list(enumerate(records[at : at + _BATCH], at)), _SETTINGS)
        said += len(more)
    spent = time.process_time() - began
    assert said > _ROWS // 250 * 4
    return 1e6 * spent / _ROWS, len(to_bytes(state))


if __name__ == "__main__":
    for each in [int(argument) for argument in sys.argv[1:]] or [25, 250, 1000, 5000]:
        row_us, held = measure(each)
        print(f"{each:>6,} rows a record   {row_us:7.2f} µs a row   {held:>9,} bytes of state")  # noqa: T201
