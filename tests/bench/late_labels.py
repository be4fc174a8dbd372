"""Labels that come seven days late, with a faster clock: memory of the join against what `pipeline check` says.

Eight days pass. So many predictions are made in seven of them, evenly; each gets its label seven days later. Nothing of
Kafka or Avro takes part. What is open at 1,000 events/s is 60 times ten million: that is computed, not run.
Arguments: how many open predictions to measure with.
"""

import sys
import time

from freshet.drift.core.join.join_rows import Plans, Windows
from freshet.drift.core.join.join_state import LABELS, PREDICTIONS, JoinState
from freshet.drift.core.join.logic import JoinLogic
from freshet.pipeline.join_memory import ROW_BYTES, SCORE_BYTES
from freshet.runtime.memory_use import resident_bytes
from support.join_rows_made import SCORES, labels_of, predictions_at

DAY_MS = 86_400_000
DELAY_MS = 7 * DAY_MS
EVENTS_PER_S = 1_000
_MARGIN_MS = 600_000
_ROWS = 5_000
_SLAB = JoinLogic.kept.rows


def run(held: int) -> str:
    """Eight days, of which labels come in the last one."""
    rate = held / (DELAY_MS / 1000)
    plans = Plans({1: Windows(horizon=DELAY_MS, grace=_MARGIN_MS, wait=_MARGIN_MS)})
    before, began_s = resident_bytes(), time.process_time()
    state = JoinState(SCORES, plans)
    most_open = most_rows = most_bytes = 0
    for first in range(0, held * 8 // 7, _ROWS):
        state.predictions(predictions_at(first, first + _ROWS, start_ms=DAY_MS, events_per_s=rate))
        due = first - held
        if due >= 0:
            asked = predictions_at(due, due + _ROWS, start_ms=DAY_MS, events_per_s=rate)
            state.labels(labels_of(asked, (due, due + _ROWS), delay_ms=DELAY_MS))
        for role, end in ((PREDICTIONS, first + _ROWS), (LABELS, max(due + _ROWS, 0))):
            state.rows_between(role, state.logs[role].kept, end // _SLAB * _SLAB)
        state.committed()
        most_open, most_rows = max(most_open, state.told["open"]), max(most_rows, len(state.rows))
        most_bytes = max(most_bytes, state.nbytes)
    told, spent_s, grown = state.told, time.process_time() - began_s, resident_bytes() - before
    assert told["matched"] == told["labels"] > 0, told
    assert told["late"] == told["unknown"] == told["waiting"] == told["expired"] == 0, told
    said = ROW_BYTES + SCORE_BYTES * SCORES
    return (
        f"{most_open:,} open: {told['labels']:,} labels met their predictions, none late, unknown or waiting; "
        f"{spent_s:.0f} s of CPU, {1e6 * spent_s / (told['predictions'] + told['labels']):.2f} µs a record; "
        f"at most {most_rows:,} rows in {most_bytes / 1e6:,.0f} MB, {most_bytes / most_rows:.0f} B a row "
        f"(`pipeline check` says {said}); the process grew by {grown / 1e6:,.0f} MB. Computed for {EVENTS_PER_S:,} "
        f"events/s: {EVENTS_PER_S * DELAY_MS // 1000 / 1e8:.2f}e8 rows, "
        f"{EVENTS_PER_S * DELAY_MS / 1000 * most_bytes / most_rows / 2**30:.0f} GiB"
    )


if __name__ == "__main__":
    for each in [int(argument) for argument in sys.argv[1:]] or [900_000, 1_200_000]:
        print(run(each), flush=True)  # noqa: T201
