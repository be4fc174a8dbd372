"""A state that comes back from the labelled log alone: its records are large, and the loop turns in between."""

import numpy as np
import pytest

from freshet.contracts.batch import Batch
from freshet.drift.core.evaluate import EvaluateLogic
from freshet.runtime.state.restoring import Restoring
from support.evaluating import Evaluating, pipeline_record
from support.outcomes import cut, rows_of

_RECORDS, _ROWS = 160, 750
_STEP_BYTES = 9 << 20


def test_a_log_of_large_records_is_read_again_in_steps_of_some_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a member would not poll for minutes, and lose its partition each time; and hold the whole log in memory."""
    evaluating, count = Evaluating(), _RECORDS * _ROWS
    evaluating.apply(pipeline_record())
    rows = rows_of(count, predicted_ms=np.arange(count), labelled_ms=np.arange(count))
    evaluating.log(cut(rows, *range(_ROWS, count, _ROWS)))
    evaluating.drain(evaluating.worker())
    said = evaluating.said()
    evaluating.forget_checkpoints()
    batches, steps = list[int](), [0]
    take_in, step = EvaluateLogic.take_in, Restoring.step

    def taken(logic: EvaluateLogic, batch: Batch, plan: int) -> None:
        batches.append(len(batch))
        steps[-1] += sum(len(value or b"") for value in batch.values)
        take_in(logic, batch, plan)

    def stepped(restoring: Restoring) -> bool:
        steps.append(0)
        return step(restoring)

    monkeypatch.setattr(EvaluateLogic, "take_in", taken)
    monkeypatch.setattr(Restoring, "step", stepped)
    evaluating.turn(evaluating.worker(), times=20)
    assert sum(batches) == _RECORDS
    assert max(batches) <= EvaluateLogic("p").limits.rows
    assert max(steps) < _STEP_BYTES < sum(steps)
    assert evaluating.said() == said
